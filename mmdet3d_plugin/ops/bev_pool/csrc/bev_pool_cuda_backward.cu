// BEV pooling on GPUs, backward: a warp follows its pixel's ray through the cells.
#include "bev_pool_cuda_device.h"

namespace dualdistill {
namespace {

constexpr int kBins = 32;  // bins of all pixels of a tile that are in shared memory at once

template <typename Sum>
struct Rays {
  int cells[kBins][kTile];
  Sum weights[kBins][kTile];
  Sum dots[kBins][kTile];
};

// Calls f(bin, row, place of the bin in the frustum) for bins [first_bin, first_bin + bins) of `rows` pixels that start
// at `frustum`; neighbouring threads get neighbouring pixels.
template <typename F>
__device__ __forceinline__ void for_each_bin(
    const BackwardArguments& a, int64_t frustum, int64_t first_bin, int bins, int rows, const F& f) {
  for (int i = thread_of_block(); i < bins * kTile; i += kThreads) {
    const int bin = i / kTile, row = i % kTile;
    if (row < rows) f(bin, row, frustum + (first_bin + bin) * a.pixels + row);
  }
}

// tile[j][c] = context of pixel j; neighbouring threads read neighbours in memory, whichever the layout.
template <typename T, typename Sum, int kLength>
__device__ __forceinline__ void read_context(
    const BackwardArguments& a, const T* context, Sum (&tile)[kTile][kLength], int channels, int rows) {
  const bool planes = a.pixel_stride <= a.channel_stride;
  for (int i = thread_of_block(); i < channels * kTile; i += kThreads) {
    const int row = planes ? i % kTile : i / channels, c = planes ? i / kTile : i % channels;
    if (row >= rows) continue;
    const T value = context[c * a.channel_stride + row * a.pixel_stride];
    tile[row][c] = widen(value);
  }
}

// The bins of one pixel that are in `rays`: adds depth * gradient to `sum`, leaves <gradient, context> in `rays.dots`.
template <int kVector, typename Sum>
__device__ __forceinline__ void follow_ray(
    const BackwardArguments& a, Rays<Sum>& rays, int bins, bool exists, int64_t c, int lanes,
    const Sum (&context)[kVector], Sum (&sum)[kVector]) {
  const int group = threadIdx.x / lanes, groups = kWarp / lanes;
  for (int turn = 0; turn < bins; turn += groups) {
    const int bin = turn + group;
    const int64_t cell = exists && bin < bins ? rays.cells[bin][threadIdx.y] : -1;
    Sum dot = 0;
    if (cell >= 0 && c < a.channels) {
      const Sum weight = rays.weights[bin][threadIdx.y];
      const auto grad = load<Sum, kVector>(static_cast<const Sum*>(a.grad_rows) + cell * a.channels + c);
#pragma unroll
      for (int k = 0; k < kVector; ++k) {
        sum[k] += weight * grad.values[k];
        dot += grad.values[k] * context[k];
      }
    }
    for (int offset = lanes / 2; offset > 0; offset /= 2) dot += __shfl_xor_sync(kAll, dot, offset);
    if (threadIdx.x % lanes == 0 && bin < bins) rays.dots[bin][threadIdx.y] = dot;
  }
}

template <typename T, int kVector>
__global__ void __launch_bounds__(kThreads) backward_kernel(BackwardArguments a, int lanes) {
  using Sum = typename SumOf<T>::type;
  using Row = RowOf<Sum, kVector>;
  __shared__ __align__(16) Sum tile[kTile][Row::length];
  __shared__ Rays<Sum> rays;
  const int64_t image = blockIdx.x / tiles_for(a.pixels), first = blockIdx.x % tiles_for(a.pixels) * kTile;
  const int rows = static_cast<int>(min(static_cast<int64_t>(kTile), a.pixels - first));
  const bool exists = static_cast<int>(threadIdx.y) < rows;
  const int64_t frustum = image * a.bins * a.pixels + first;
  const int place = threadIdx.x % lanes * kVector;
  const Sum* depth = static_cast<const Sum*>(a.depth);
  Sum* grad_depth = static_cast<Sum*>(a.grad_depth);
  for (int64_t base = 0; base < a.channels; base += lanes * kVector) {
    const int channels = static_cast<int>(min(static_cast<int64_t>(lanes) * kVector, a.channels - base));
    const int64_t context_at = image * a.image_stride + base * a.channel_stride + first * a.pixel_stride;
    read_context(a, static_cast<const T*>(a.context) + context_at, tile, channels, rows);
    __syncthreads();
    Sum context[kVector] = {}, sum[kVector] = {};
    if (exists && place < channels)
#pragma unroll
      for (int k = 0; k < kVector; ++k) context[k] = tile[threadIdx.y][place + k];
    for (int64_t bin = 0; bin < a.bins; bin += kBins) {
      const int bins = static_cast<int>(min(static_cast<int64_t>(kBins), a.bins - bin));
      for_each_bin(a, frustum, bin, bins, rows, [&](int i, int row, int64_t at) {
        rays.cells[i][row] = a.cells[at];
        rays.weights[i][row] = depth[at];
      });
      __syncthreads();
      follow_ray<kVector>(a, rays, bins, exists, base + place, lanes, context, sum);
      __syncthreads();
      for_each_bin(a, frustum, bin, bins, rows, [&](int i, int row, int64_t at) {
        grad_depth[at] = base == 0 ? rays.dots[i][row] : grad_depth[at] + rays.dots[i][row];
      });
    }
    add_groups(sum, lanes);
    if (static_cast<int>(threadIdx.x) < lanes)
#pragma unroll
      for (int k = 0; k < kVector; ++k) tile[threadIdx.y][place + k] = sum[k];
    __syncthreads();
    T* grad_context = static_cast<T*>(a.grad_context) + (image * a.channels + base) * a.pixels + first;
    write_planes(tile, grad_context, a.pixels, channels, rows);
    __syncthreads();
  }
}

template <typename T, int kVector>
void start_backward(const BackwardArguments& a, cudaStream_t stream) {
  const unsigned blocks = static_cast<unsigned>(a.images * tiles_for(a.pixels));
  backward_kernel<T, kVector><<<blocks, dim3(kWarp, kTile), 0, stream>>>(a, lanes_for(a.channels / kVector));
}

}  // namespace

cudaError_t launch_backward(RowType type, const BackwardArguments& arguments, cudaStream_t stream) {
  if (arguments.images * arguments.pixels == 0 || arguments.channels == 0) return cudaSuccess;
  return start_for(type, arguments, [&](const BackwardArguments& a, auto value) {
    using T = decltype(value);
    constexpr int kVector = kBytes / static_cast<int>(sizeof(typename SumOf<T>::type));
    if (fits_vectors<kVector>(a.grad_rows, a.channels)) start_backward<T, kVector>(a, stream);
    else start_backward<T, 1>(a, stream);
  });
}

}  // namespace dualdistill
