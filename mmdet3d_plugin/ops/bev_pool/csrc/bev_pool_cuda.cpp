// CUDA implementations of the dualdistill::bev_pool* operators (schemas: ops/bev_pool/operators.py).
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>

#include "bev_pool_common.h"
#include "bev_pool_cuda_kernels.h"

namespace dualdistill {
namespace {

// The type context is read in: its own, or double when sums run in double.
at::ScalarType context_type(const at::Tensor& depth, const at::Tensor& context) {
  return sum_type(depth, context) == at::kDouble ? at::kDouble : context.scalar_type();
}

RowType row_type(at::ScalarType type) {
  switch (type) {
    case at::kDouble: return RowType::kDouble;
    case at::kFloat: return RowType::kFloat;
    case at::kHalf: return RowType::kHalf;
    case at::kBFloat16: return RowType::kBFloat16;
    default:
      TORCH_CHECK(
          false, "bev_pool on CUDA takes a context of float32, float16, bfloat16 or float64, got ", type,
          ": convert it first");
  }
}

// (outer, C, inner) -> (outer, inner, C): what a kernel gathers whole rows from. Nothing is copied when it lies in memory
// like that already.
at::Tensor to_rows(const at::Tensor& planes, at::ScalarType type) {
  return planes.to(type).permute({0, 2, 1}).contiguous();
}

// (B, N, C, h, w) -> (B * N, C, h * w); nothing is copied in the layouts of convolutions.
at::Tensor by_image(const at::Tensor& context) {
  return context.reshape({context.size(0) * context.size(1), context.size(2), context.size(3) * context.size(4)});
}

at::Tensor bev_pool(
    const at::Tensor& depth, const at::Tensor& context, const at::Tensor& points, const at::Tensor& pixels,
    const at::Tensor& cell_starts, const at::Tensor& point_cells, int64_t height, int64_t width) {
  check_forward(depth, context, points, pixels, cell_starts, height, width);
  const c10::cuda::CUDAGuard guard(depth.device());
  const auto type = context_type(depth, context), sums = sum_type(depth, context);
  const at::Tensor weights = depth.to(sums).contiguous(), rows = to_rows(by_image(context), type);
  const int64_t batch = context.size(0), channels = context.size(2);
  const at::Tensor out = at::empty({batch, channels, height, width}, weights.options());
  const ForwardArguments arguments{
      weights.const_data_ptr(), rows.const_data_ptr(), points.const_data_ptr<int32_t>(),
      pixels.const_data_ptr<int32_t>(), cell_starts.const_data_ptr<int32_t>(), batch, height * width, channels,
      out.mutable_data_ptr()};
  C10_CUDA_CHECK(launch_forward(row_type(type), arguments, c10::cuda::getCurrentCUDAStream()));
  return out;
}

std::tuple<at::Tensor, at::Tensor> bev_pool_backward(
    const at::Tensor& grad, const at::Tensor& depth, const at::Tensor& context, const at::Tensor& point_cells,
    int64_t height, int64_t width) {
  check_backward(grad, depth, context, point_cells, height, width);
  const c10::cuda::CUDAGuard guard(depth.device());
  const auto type = context_type(depth, context), sums = sum_type(depth, context);
  const at::Tensor weights = depth.to(sums).contiguous(), planes = by_image(context.to(type));
  const at::Tensor grad_rows = to_rows(grad.reshape({grad.size(0), grad.size(1), height * width}), sums);
  // without channels no kernel runs and the depths' gradients are zero
  const at::Tensor grad_depth = context.size(2) ? at::empty(depth.sizes(), weights.options())
                                                : at::zeros(depth.sizes(), weights.options());
  const at::Tensor grad_context = at::empty(context.sizes(), planes.options());
  const BackwardArguments arguments{
      weights.const_data_ptr(), planes.const_data_ptr(), planes.stride(0), planes.stride(1), planes.stride(2),
      grad_rows.const_data_ptr(), point_cells.const_data_ptr<int32_t>(), planes.size(0), depth.size(2),
      planes.size(2), planes.size(1), grad_depth.mutable_data_ptr(), grad_context.mutable_data_ptr()};
  C10_CUDA_CHECK(launch_backward(row_type(type), arguments, c10::cuda::getCurrentCUDAStream()));
  return {grad_depth.to(depth.scalar_type()), grad_context.to(context.scalar_type())};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> bev_pool_sort(
    const at::Tensor& point_cells, int64_t cells_per_sample) {
  check_sort(point_cells);
  const c10::cuda::CUDAGuard guard(point_cells.device());
  const int64_t count = point_cells.numel(), cells = point_cells.size(0) * cells_per_sample;
  const at::Tensor points = at::empty({count}, point_cells.options()), pixels = at::empty_like(points);
  const at::Tensor starts = at::empty({cells + 1}, point_cells.options());
  const at::Tensor keys = at::empty({2 * count}, point_cells.options().dtype(at::kLong));
  const SortArguments arguments{
      point_cells.const_data_ptr<int32_t>(), count, cells, point_cells.size(2),
      point_cells.size(3) * point_cells.size(4), reinterpret_cast<uint64_t*>(keys.mutable_data_ptr<int64_t>()),
      points.mutable_data_ptr<int32_t>(), pixels.mutable_data_ptr<int32_t>(), starts.mutable_data_ptr<int32_t>()};
  const auto stream = c10::cuda::getCurrentCUDAStream();
  size_t bytes = 0;
  C10_CUDA_CHECK(launch_sort(arguments, nullptr, bytes, stream));
  const int64_t needed = std::max<int64_t>(static_cast<int64_t>(bytes), 1);  // null would ask for the size again
  const at::Tensor scratch = at::empty({needed}, point_cells.options().dtype(at::kByte));
  C10_CUDA_CHECK(launch_sort(arguments, scratch.mutable_data_ptr(), bytes, stream));
  return {points, pixels, starts};
}

}  // namespace

TORCH_LIBRARY_IMPL(dualdistill, CUDA, m) {
  m.impl("bev_pool", &bev_pool);
  m.impl("bev_pool_backward", &bev_pool_backward);
  m.impl("bev_pool_sort", &bev_pool_sort);
}

}  // namespace dualdistill
