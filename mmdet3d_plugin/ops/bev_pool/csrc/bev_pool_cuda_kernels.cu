// BEV pooling on GPUs. One warp owns one BEV cell (forward) or one pixel (backward): nothing is added atomically and
// every sum has a fixed order, so results are the same bit for bit on every run.
//
// A warp is split into 32 / lanes groups. The lanes of a group hold consecutive channels, kVector each, loaded 16 bytes
// at a time; groups take turns at points (forward) or depth bins (backward) and are added up at the end.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "bev_pool_cuda_kernels.h"

namespace dualdistill {
namespace {

constexpr int kWarp = 32;
constexpr int kWarpsPerBlock = 4;
constexpr unsigned kAll = 0xffffffffu;

__device__ __forceinline__ float widen(float value) { return value; }
__device__ __forceinline__ double widen(double value) { return value; }
__device__ __forceinline__ float widen(__half value) { return __half2float(value); }
__device__ __forceinline__ float widen(__nv_bfloat16 value) { return __bfloat162float(value); }

__device__ __forceinline__ void narrow(float value, float* to) { *to = value; }
__device__ __forceinline__ void narrow(double value, double* to) { *to = value; }
__device__ __forceinline__ void narrow(float value, __half* to) { *to = __float2half_rn(value); }
__device__ __forceinline__ void narrow(float value, __nv_bfloat16* to) { *to = __float2bfloat16_rn(value); }

template <typename T>
struct SumOf { using type = float; };
template <>
struct SumOf<double> { using type = double; };

template <typename T, int kVector>
struct alignas(sizeof(T) * kVector < 16 ? sizeof(T) * kVector : 16) Pack {
  T values[kVector];
};

template <typename T, int kVector>
__device__ __forceinline__ Pack<T, kVector> load(const T* from) {
  return *reinterpret_cast<const Pack<T, kVector>*>(from);
}

template <typename T, int kVector>
__device__ __forceinline__ void add_groups(T (&sum)[kVector], int lanes) {
  for (int offset = lanes; offset < kWarp; offset *= 2)
#pragma unroll
    for (int k = 0; k < kVector; ++k) sum[k] += __shfl_xor_sync(kAll, sum[k], offset);
}

template <typename T, int kVector>
__global__ void forward_kernel(ForwardArguments a, int lanes) {
  using Sum = typename SumOf<T>::type;
  const int64_t cell = static_cast<int64_t>(blockIdx.x) * kWarpsPerBlock + threadIdx.y;
  if (cell >= a.cells) return;  // the whole warp
  const int lane = threadIdx.x % lanes, group = threadIdx.x / lanes, groups = kWarp / lanes;
  const Sum* depth = static_cast<const Sum*>(a.depth);
  const T* rows = static_cast<const T*>(a.rows);
  const int begin = a.starts[cell], end = a.starts[cell + 1];
  for (int64_t base = 0; base < a.channels; base += lanes * kVector) {
    const int64_t c = base + lane * kVector;
    const bool mine = c < a.channels;
    Sum sum[kVector] = {};
#pragma unroll 4
    for (int i = begin + group; mine && i < end; i += groups) {
      const Sum weight = depth[a.points[i]];
      const auto row = load<T, kVector>(rows + a.pixels[i] * a.channels + c);
#pragma unroll
      for (int k = 0; k < kVector; ++k) sum[k] += weight * widen(row.values[k]);
    }
    add_groups(sum, lanes);
    if (mine && group == 0) {
      Sum* out = static_cast<Sum*>(a.out) + cell * a.channels + c;
#pragma unroll
      for (int k = 0; k < kVector; ++k) out[k] = sum[k];
    }
  }
}

template <typename T, int kVector>
__global__ void backward_kernel(BackwardArguments a, int lanes) {
  using Sum = typename SumOf<T>::type;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarpsPerBlock + threadIdx.y;
  if (row >= a.images * a.pixels) return;  // the whole warp
  const int lane = threadIdx.x % lanes, group = threadIdx.x / lanes, groups = kWarp / lanes;
  const int64_t first = row / a.pixels * a.bins * a.pixels + row % a.pixels;  // of the pixel's depth bins
  const Sum* depth = static_cast<const Sum*>(a.depth) + first;
  const Sum* grad_rows = static_cast<const Sum*>(a.grad_rows);
  Sum* grad_depth = static_cast<Sum*>(a.grad_depth) + first;
  for (int64_t base = 0; base < a.channels; base += lanes * kVector) {
    const int64_t c = base + lane * kVector;
    const bool mine = c < a.channels;
    Pack<T, kVector> context = {};
    if (mine) context = load<T, kVector>(static_cast<const T*>(a.rows) + row * a.channels + c);
    Sum sum[kVector] = {};
    for (int64_t turn = 0; turn < a.bins; turn += groups) {
      const int64_t bin = turn + group;
      const int cell = bin < a.bins ? a.cells[first + bin * a.pixels] : -1;
      Sum dot = 0;
      if (mine && cell >= 0) {
        const Sum weight = depth[bin * a.pixels];
        const auto grad = load<Sum, kVector>(grad_rows + cell * a.channels + c);
#pragma unroll
        for (int k = 0; k < kVector; ++k) {
          sum[k] += weight * grad.values[k];
          dot += grad.values[k] * widen(context.values[k]);
        }
      }
      for (int offset = lanes / 2; offset > 0; offset /= 2) dot += __shfl_xor_sync(kAll, dot, offset);
      if (lane == 0 && bin < a.bins) grad_depth[bin * a.pixels] = base == 0 ? dot : grad_depth[bin * a.pixels] + dot;
    }
    add_groups(sum, lanes);
    if (mine && group == 0) {
      T* out = static_cast<T*>(a.grad_context) + row * a.channels + c;
#pragma unroll
      for (int k = 0; k < kVector; ++k) narrow(sum[k], out + k);
    }
  }
}

int lanes_for(int64_t packs) {
  int lanes = 1;
  while (lanes < kWarp && lanes < packs) lanes *= 2;
  return lanes;
}

unsigned blocks_for(int64_t warps) { return static_cast<unsigned>((warps + kWarpsPerBlock - 1) / kWarpsPerBlock); }

template <typename T, int kVector>
void start(const ForwardArguments& a, cudaStream_t stream) {
  const dim3 threads(kWarp, kWarpsPerBlock);
  forward_kernel<T, kVector><<<blocks_for(a.cells), threads, 0, stream>>>(a, lanes_for(a.channels / kVector));
}

template <typename T, int kVector>
void start(const BackwardArguments& a, cudaStream_t stream) {
  const dim3 threads(kWarp, kWarpsPerBlock);
  const unsigned blocks = blocks_for(a.images * a.pixels);
  backward_kernel<T, kVector><<<blocks, threads, 0, stream>>>(a, lanes_for(a.channels / kVector));
}

template <typename T, typename Arguments>
void start_for(const Arguments& arguments, cudaStream_t stream) {
  constexpr int kVector = 16 / sizeof(T);
  if (arguments.channels % kVector == 0) start<T, kVector>(arguments, stream);
  else start<T, 1>(arguments, stream);
}

template <typename Arguments>
cudaError_t launch(RowType type, const Arguments& arguments, cudaStream_t stream) {
  switch (type) {
    case RowType::kDouble: start_for<double>(arguments, stream); break;
    case RowType::kFloat: start_for<float>(arguments, stream); break;
    case RowType::kHalf: start_for<__half>(arguments, stream); break;
    case RowType::kBFloat16: start_for<__nv_bfloat16>(arguments, stream); break;
  }
  return cudaGetLastError();
}

}  // namespace

cudaError_t launch_forward(RowType type, const ForwardArguments& arguments, cudaStream_t stream) {
  if (arguments.cells == 0 || arguments.channels == 0) return cudaSuccess;
  return launch(type, arguments, stream);
}

cudaError_t launch_backward(RowType type, const BackwardArguments& arguments, cudaStream_t stream) {
  if (arguments.images * arguments.pixels == 0 || arguments.channels == 0) return cudaSuccess;
  return launch(type, arguments, stream);
}

}  // namespace dualdistill
