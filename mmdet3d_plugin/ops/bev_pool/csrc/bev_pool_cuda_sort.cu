// The plan's order of points on GPUs: one radix sort of packed keys, the cell above and the point below.
//
// Only the bits of the cells are sorted: points start in their order, and a radix sort keeps it within a cell.
#include <cub/device/device_radix_sort.cuh>

#include "bev_pool_cuda_kernels.h"

namespace dualdistill {
namespace {

constexpr int kThreads = 256;
constexpr int kPointBits = 32;

__global__ void __launch_bounds__(kThreads) pack_kernel(SortArguments a) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= a.count) return;
  const int32_t cell = a.point_cells[i];
  a.keys[i] = static_cast<uint64_t>(cell < 0 ? a.cells : cell) << kPointBits | static_cast<uint64_t>(i);
}

// Keys below `key` in the sorted `keys`.
__device__ __forceinline__ int64_t lower_bound(const uint64_t* keys, int64_t count, uint64_t key) {
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (keys[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

__global__ void __launch_bounds__(kThreads) unpack_kernel(SortArguments a, const uint64_t* sorted) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < a.count) {
    const int64_t point = static_cast<int64_t>(sorted[i] & 0xffffffffu), image = point / (a.bins * a.pixels);
    a.points[i] = static_cast<int32_t>(point);
    a.pixels_of[i] = static_cast<int32_t>(image * a.pixels + point % a.pixels);
  }
  if (i <= a.cells)
    a.starts[i] = static_cast<int32_t>(lower_bound(sorted, a.count, static_cast<uint64_t>(i) << kPointBits));
}

unsigned blocks_for(int64_t threads) { return static_cast<unsigned>((threads + kThreads - 1) / kThreads); }

}  // namespace

cudaError_t launch_sort(const SortArguments& a, void* scratch, size_t& bytes, cudaStream_t stream) {
  int end_bit = kPointBits;
  while (a.cells >> (end_bit - kPointBits)) ++end_bit;
  const auto sort = [&] {
    return cub::DeviceRadixSort::SortKeys(
        scratch, bytes, a.keys, a.keys + a.count, static_cast<int>(a.count), kPointBits, end_bit, stream);
  };
  if (scratch == nullptr) return sort();
  if (a.count > 0) {
    pack_kernel<<<blocks_for(a.count), kThreads, 0, stream>>>(a);
    const cudaError_t error = sort();
    if (error != cudaSuccess) return error;
  }
  unpack_kernel<<<blocks_for(a.count > a.cells ? a.count : a.cells + 1), kThreads, 0, stream>>>(a, a.keys + a.count);
  return cudaGetLastError();
}

}  // namespace dualdistill
