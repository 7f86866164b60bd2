// Lanes as fibers: a block's lanes take turns on one thread and meet where CUDA makes them meet.
#include "emulator.h"

#include <ucontext.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

// Calls that tell AddressSanitizer of a change of stack, where it is linked in.
extern "C" {
void __sanitizer_start_switch_fiber(void**, const void*, size_t) __attribute__((weak));
void __sanitizer_finish_switch_fiber(void*, const void**, size_t*) __attribute__((weak));
}

uint3 threadIdx, blockIdx;
dim3 blockDim(1), gridDim(1);

namespace emulator {

bool descending = false;
void (*after_block)() = nullptr;

namespace {

constexpr int kWarp = 32;
constexpr size_t kStack = 128 << 10;

enum class State { kReady, kAtWarp, kAtBlock, kDone };

struct Stack {
  const void* bottom = nullptr;
  size_t size = 0;
  void* fake = nullptr;
};

// A place to go on from. A jump costs nanoseconds, while swapcontext asks the system for the signals at each switch;
// it serves to enter a fiber for the first time.
struct Place {
  void* registers[5];
};

struct Lane {
  uint3 index;
  State state = State::kReady;
  const char* what = "";
  int line = 0, meetings = 0;
  uint64_t offered[2] = {};  // of the meeting now and of the one before, which slower lanes still read
  ucontext_t context;
  bool entered = false;
  Place place;
  std::unique_ptr<char[]> memory{new char[kStack]};
  void* fake = nullptr;
};

std::vector<std::unique_ptr<Lane>> lanes;
const std::function<void()>* kernel;
Place scheduler;
Stack scheduler_stack;
int current;

Lane& self() { return *lanes[current]; }

[[noreturn]] void fail(const Lane& lane, const char* format, ...) {
  std::fprintf(
      stderr, "emulator: block (%u, %u, %u), thread (%u, %u, %u), line %d: ", blockIdx.x, blockIdx.y, blockIdx.z,
      lane.index.x, lane.index.y, lane.index.z, lane.line);
  va_list words;
  va_start(words, format);
  std::vfprintf(stderr, format, words);
  std::fprintf(stderr, "\n");
  std::abort();
}

void enter(Stack* stack_left, void* fake) {
  if (__sanitizer_finish_switch_fiber)
    __sanitizer_finish_switch_fiber(fake, &stack_left->bottom, &stack_left->size);
}

[[noreturn]] __attribute__((noinline)) void jump(Place& to) { __builtin_longjmp(to.registers, 1); }

__attribute__((noinline)) void leave_for(Place& to, Place& from) {
  if (__builtin_setjmp(from.registers) == 0) jump(to);
}

__attribute__((noinline)) void leave_for(Lane& lane, Place& from) {
  if (__builtin_setjmp(from.registers)) return;
  if (lane.entered) jump(lane.place);
  lane.entered = true;
  setcontext(&lane.context);
}

void yield() {
  Lane& lane = self();
  if (__sanitizer_start_switch_fiber)
    __sanitizer_start_switch_fiber(&lane.fake, scheduler_stack.bottom, scheduler_stack.size);
  leave_for(scheduler, lane.place);
  enter(&scheduler_stack, lane.fake);
}

void run_lane() {
  enter(&scheduler_stack, nullptr);
  for (;;) {
    (*kernel)();
    self().state = State::kDone;
    yield();
  }
}

void resume(int index) {
  current = index;
  Lane& lane = self();
  threadIdx = lane.index;
  if (__sanitizer_start_switch_fiber)
    __sanitizer_start_switch_fiber(&scheduler_stack.fake, lane.memory.get(), kStack);
  leave_for(lane, scheduler);
  Stack left;
  enter(&left, scheduler_stack.fake);
}

void wait(State state, const char* what, int line) {
  Lane& lane = self();
  lane.state = state;
  lane.what = what;
  lane.line = line;
  ++lane.meetings;
  yield();
}

void add_lane() {
  lanes.emplace_back(new Lane);
  Lane& lane = *lanes.back();
  getcontext(&lane.context);
  lane.context.uc_stack.ss_sp = lane.memory.get();
  lane.context.uc_stack.ss_size = kStack;
  lane.context.uc_link = nullptr;
  makecontext(&lane.context, run_lane, 0);
}

// Lets the lanes of a warp go on that all wait at one line; lanes that wait while others do something else never meet.
void release_warp(size_t first, size_t end) {
  const Lane* waiting = nullptr;
  for (size_t i = first; i < end; ++i)
    if (lanes[i]->state == State::kAtWarp) waiting = lanes[i].get();
  if (waiting == nullptr) return;
  for (size_t i = first; i < end; ++i) {
    const Lane& lane = *lanes[i];
    if (lane.state == State::kDone) fail(lane, "the lane has ended while others wait at %s", waiting->what);
    if (lane.state != State::kAtWarp || lane.line != waiting->line)
      fail(lane, "divergent: at %s while others are at %s of line %d", lane.what, waiting->what, waiting->line);
  }
  for (size_t i = first; i < end; ++i) lanes[i]->state = State::kReady;
}

// bool: some lane of the block has yet to end.
bool release(size_t count) {
  for (size_t warp = 0; warp < count; warp += kWarp) release_warp(warp, warp + kWarp);
  const Lane* waiting = nullptr;
  for (size_t i = 0; i < count; ++i) {
    if (lanes[i]->state == State::kReady) return true;
    if (lanes[i]->state == State::kAtBlock) waiting = lanes[i].get();
  }
  if (waiting == nullptr) return false;
  for (size_t i = 0; i < count; ++i) {
    if (lanes[i]->state == State::kDone) fail(*lanes[i], "the lane has ended while others wait at __syncthreads");
    if (lanes[i]->line != waiting->line) fail(*lanes[i], "others are at __syncthreads of line %d", waiting->line);
  }
  for (size_t i = 0; i < count; ++i) lanes[i]->state = State::kReady;
  return true;
}

void run_block(size_t count) {
  for (size_t i = 0; i < count; ++i) {
    Lane& lane = *lanes[i];
    lane.state = State::kReady;
    lane.line = lane.meetings = 0;
    lane.what = "its start";
    lane.index = {
        unsigned(i % blockDim.x), unsigned(i / blockDim.x % blockDim.y), unsigned(i / blockDim.x / blockDim.y)};
  }
  do {
    for (size_t turn = 0; turn < count; ++turn) {
      const size_t i = descending ? count - 1 - turn : turn;
      if (lanes[i]->state == State::kReady) resume(static_cast<int>(i));
    }
  } while (release(count));
  if (after_block) after_block();
}

}  // namespace

void run_grid(dim3 grid, dim3 block, const std::function<void()>& lane) {
  const size_t count = size_t(block.x) * block.y * block.z, blocks = size_t(grid.x) * grid.y * grid.z;
  if (count == 0 || count % kWarp || count > 1024 || blocks == 0) {
    std::fprintf(stderr, "emulator: %zu blocks of %zu threads: blocks must be 1 to 32 whole warps\n", blocks, count);
    std::abort();
  }
  while (lanes.size() < count) add_lane();
  blockDim = block;
  gridDim = grid;
  kernel = &lane;
  for (size_t turn = 0; turn < blocks; ++turn) {
    const size_t i = descending ? blocks - 1 - turn : turn;
    blockIdx = {unsigned(i % grid.x), unsigned(i / grid.x % grid.y), unsigned(i / grid.x / grid.y)};
    run_block(count);
  }
}

int this_thread() { return current; }
int this_lane() { return current % kWarp; }
int meetings() { return self().meetings; }

void meet_warp(const char* what, int line) { wait(State::kAtWarp, what, line); }
void meet_block(int line) { wait(State::kAtBlock, "__syncthreads", line); }

uint64_t exchange(unsigned mask, uint64_t bits, int source, const char* what, int line) {
  Lane& lane = self();
  lane.line = line;
  if (mask != 0xffffffffu) fail(lane, "%s with mask %08x: only whole warps are emulated", what, mask);
  const int slot = lane.meetings % 2, warp = current - current % kWarp;
  lane.offered[slot] = bits;
  meet_warp(what, line);
  return lanes[warp + source]->offered[slot];
}

}  // namespace emulator
