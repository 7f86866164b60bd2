// BEV pooling on GPUs, forward: a warp sums the points of its cell.
#include "bev_pool_cuda_device.h"

namespace dualdistill {
namespace {

// Points summed before they are added to the total, as on the CPU. A sum of n points is a chain of at most
// kBlock / groups + n / kBlock + 5 additions: its error is below that many half units in the last place (2^-24 in
// float32) of the sum of absolute values. That is 2.6e-5 of it for the worst layout and 45,312 points.
constexpr int64_t kBlock = 256;

// Adds points [first, first + num) of the cell, at most one a lane, to `sum`, channels c and following of their rows.
// The lanes read their points' numbers together and pass them round.
template <typename T, int kVector, typename Sum>
__device__ __forceinline__ void add_points(
    const ForwardArguments& a, int64_t first, int num, int64_t c, int lanes, Sum (&sum)[kVector]) {
  const int group = threadIdx.x / lanes, groups = kWarp / lanes;
  int pixel = 0;
  Sum weight = 0;
  if (static_cast<int>(threadIdx.x) < num) {
    pixel = a.pixels[first + threadIdx.x];
    weight = static_cast<const Sum*>(a.depth)[a.points[first + threadIdx.x]];
  }
#pragma unroll 4
  for (int turn = 0; turn < num; turn += groups) {
    const int64_t row = __shfl_sync(kAll, pixel, turn + group);
    const Sum factor = __shfl_sync(kAll, weight, turn + group);
    if (turn + group < num && c < a.channels) {
      const auto values = load<T, kVector>(static_cast<const T*>(a.rows) + row * a.channels + c);
#pragma unroll
      for (int k = 0; k < kVector; ++k) sum[k] += factor * widen(values.values[k]);
    }
  }
}

template <typename T, int kVector>
__global__ void __launch_bounds__(kThreads) forward_kernel(ForwardArguments a, int lanes) {
  using Sum = typename SumOf<T>::type;
  using Row = RowOf<Sum, kVector>;
  __shared__ __align__(16) Sum tile[kTile][Row::length];
  const int64_t sample = blockIdx.x / tiles_for(a.cells), first = blockIdx.x % tiles_for(a.cells) * kTile;
  const int rows = static_cast<int>(min(static_cast<int64_t>(kTile), a.cells - first));
  const int64_t cell = sample * a.cells + first + threadIdx.y;
  const bool exists = static_cast<int>(threadIdx.y) < rows;
  const int64_t begin = exists ? a.starts[cell] : 0, end = exists ? a.starts[cell + 1] : 0;
  const int place = threadIdx.x % lanes * kVector;
  for (int64_t base = 0; base < a.channels; base += lanes * kVector) {
    Sum total[kVector] = {};
    for (int64_t block = begin; block < end; block += kBlock) {
      Sum sum[kVector] = {};
      const int64_t stop = min(block + kBlock, end);
      for (int64_t point = block; point < stop; point += kWarp) {
        const int num = static_cast<int>(min(static_cast<int64_t>(kWarp), stop - point));
        add_points<T, kVector>(a, point, num, base + place, lanes, sum);
      }
#pragma unroll
      for (int k = 0; k < kVector; ++k) total[k] += sum[k];
    }
    add_groups(total, lanes);
    if (static_cast<int>(threadIdx.x) < lanes)
#pragma unroll
      for (int k = 0; k < kVector; ++k) tile[threadIdx.y][place + k] = total[k];
    __syncthreads();
    const int channels = static_cast<int>(min(static_cast<int64_t>(lanes) * kVector, a.channels - base));
    Sum* out = static_cast<Sum*>(a.out) + (sample * a.channels + base) * a.cells + first;
    write_planes(tile, out, a.cells, channels, rows);
    __syncthreads();
  }
}

template <typename T, int kVector>
void start_forward(const ForwardArguments& a, cudaStream_t stream) {
  const unsigned blocks = static_cast<unsigned>(a.samples * tiles_for(a.cells));
  forward_kernel<T, kVector><<<blocks, dim3(kWarp, kTile), 0, stream>>>(a, lanes_for(a.channels / kVector));
}

}  // namespace

cudaError_t launch_forward(RowType type, const ForwardArguments& arguments, cudaStream_t stream) {
  if (arguments.samples * arguments.cells == 0 || arguments.channels == 0) return cudaSuccess;
  return start_for(type, arguments, [&](const ForwardArguments& a, auto value) {
    using T = decltype(value);
    constexpr int kVector = kBytes / static_cast<int>(sizeof(T));
    if (fits_vectors<kVector>(a.rows, a.channels)) start_forward<T, kVector>(a, stream);
    else start_forward<T, 1>(a, stream);
  });
}

}  // namespace dualdistill
