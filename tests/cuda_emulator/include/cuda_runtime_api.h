// Stands in for CUDA's header of this name, and for what nvcc defines in every .cu file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static  // blocks run one after the other, in one thread
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)

using cudaStream_t = struct EmulatedStream*;
enum cudaError_t { cudaSuccess };
inline cudaError_t cudaGetLastError() { return cudaSuccess; }  // an emulated kernel that fails ends the process

struct uint3 {
  unsigned x, y, z;
};
struct __align__(16) uint4 {
  unsigned x, y, z, w;
};
struct dim3 : uint3 {
  dim3(unsigned x_, unsigned y_ = 1, unsigned z_ = 1) : uint3{x_, y_, z_} {}
};
extern uint3 threadIdx, blockIdx;  // of the lane that runs
extern dim3 blockDim, gridDim;

template <typename T>
void __stcg(T* to, T value) {
  *to = value;
}
template <typename T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
T max(T a, T b) {
  return a < b ? b : a;
}

namespace emulator {

void run_grid(dim3 grid, dim3 block, const std::function<void()>& lane);

// Waits until all lanes of the warp have come to the same line.
void meet_warp(const char* what, int line);
void meet_block(int line);

// The value that lane `source` of the warp came with; all lanes come with one.
uint64_t exchange(unsigned mask, uint64_t bits, int source, const char* what, int line);
int this_lane();

template <typename T>
T shuffle(unsigned mask, T value, int source, const char* what, int line) {
  static_assert(std::is_arithmetic<T>::value && sizeof(T) <= sizeof(uint64_t), "numbers alone are shuffled");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = exchange(mask, bits, source, what, line);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

// kernel<<<grid, block, shared, stream>>>(arguments...) is written as a call of this (tests/helpers/cuda_emulator.py).
template <typename... Arguments>
auto launch(void (*kernel)(Arguments...), dim3 grid, dim3 block, size_t = 0, cudaStream_t = nullptr) {
  return [=](Arguments... arguments) { run_grid(grid, block, [&] { kernel(arguments...); }); };
}

}  // namespace emulator

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int line = __builtin_LINE()) {
  return emulator::shuffle(mask, value, source & 31, "__shfl_sync", line);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int line = __builtin_LINE()) {
  return emulator::shuffle(mask, value, emulator::this_lane() ^ bits, "__shfl_xor_sync", line);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, int offset, int line = __builtin_LINE()) {
  const int source = emulator::this_lane() + offset;
  return emulator::shuffle(mask, value, source < 32 ? source : emulator::this_lane(), "__shfl_down_sync", line);
}
inline void __syncwarp(int line = __builtin_LINE()) { emulator::meet_warp("__syncwarp", line); }
inline void __syncthreads(int line = __builtin_LINE()) { emulator::meet_block(line); }
