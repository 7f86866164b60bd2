// Counts what each warp asks of memory, for kernels compiled with -fsanitize=thread, whose calls end here.
//
// A request is one instruction of a warp; all its lanes' bytes lie in some number of 32-byte sectors. Accesses of lanes
// are one request when they come from one place in the code, after as many meetings, and are equally late there.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "emulator.h"

namespace {

constexpr uintptr_t kSector = 32;

struct Count {
  int64_t requests = 0, sectors = 0, bytes = 0;
};

struct Buffer {
  std::string name;
  uintptr_t begin, end;
  Count counts[2];  // reads, writes
};

using Place = std::tuple<const void*, int, size_t, bool>;      // code, meetings, buffer, write
using Request = std::tuple<const void*, int, size_t, bool, int, int>;  // and warp, how many-th

std::vector<Buffer> buffers;
std::map<std::pair<int, Place>, int> seen;  // by thread
std::map<Request, std::vector<std::pair<uintptr_t, size_t>>> requests;

void access(const void* address, size_t bytes, bool write, const void* code) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  for (size_t i = 0; i < buffers.size(); ++i) {
    if (at < buffers[i].begin || at >= buffers[i].end) continue;
    const int thread = emulator::this_thread();
    const Place place{code, emulator::meetings(), i, write};
    const int number = seen[{thread, place}]++;
    requests[std::tuple_cat(place, std::make_tuple(thread / 32, number))].emplace_back(at, bytes);
  }
}

void count_block() {
  for (const auto& [request, accesses] : requests) {
    Count& count = buffers[std::get<2>(request)].counts[std::get<3>(request)];
    std::vector<uintptr_t> sectors;
    for (const auto& [at, bytes] : accesses) {
      count.bytes += static_cast<int64_t>(bytes);
      for (uintptr_t sector = at / kSector; sector <= (at + bytes - 1) / kSector; ++sector) sectors.push_back(sector);
    }
    std::sort(sectors.begin(), sectors.end());
    ++count.requests;
    count.sectors += std::unique(sectors.begin(), sectors.end()) - sectors.begin();
  }
  requests.clear();
  seen.clear();
}

}  // namespace

namespace emulator {

void watch(const char* name, const void* data, size_t bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(data);
  buffers.push_back({name, begin, begin + bytes, {}});
  after_block = count_block;
}

void report() {
  for (const Buffer& buffer : buffers)
    for (int write = 0; write < 2; ++write) {
      const Count& count = buffer.counts[write];
      std::printf(
          "%s %s %lld %lld %lld\n", buffer.name.c_str(), write ? "write" : "read", (long long)count.requests,
          (long long)count.sectors, (long long)count.bytes);
    }
  buffers.clear();
}

}  // namespace emulator

#define CODE __builtin_return_address(0)
#define OF_SIZE(n)                                                                             \
  void __tsan_read##n(void* at) { access(at, n, false, CODE); }                                \
  void __tsan_write##n(void* at) { access(at, n, true, CODE); }                                \
  void __tsan_unaligned_read##n(void* at) { access(at, n, false, CODE); }                      \
  void __tsan_unaligned_write##n(void* at) { access(at, n, true, CODE); }

extern "C" {
OF_SIZE(1)
OF_SIZE(2)
OF_SIZE(4)
OF_SIZE(8)
OF_SIZE(16)
void __tsan_read_range(void* at, size_t bytes) { access(at, bytes, false, CODE); }
void __tsan_write_range(void* at, size_t bytes) { access(at, bytes, true, CODE); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
}
