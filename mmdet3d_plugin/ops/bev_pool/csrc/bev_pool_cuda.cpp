// CUDA implementations of the dualdistill::bev_pool* operators (schemas: ops/bev_pool/operators.py).
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

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

// (B, N, C, h, w) -> (B, N, h, w, C); nothing is copied when it lies in memory like that already.
at::Tensor to_rows(const at::Tensor& context, at::ScalarType type) {
  return context.to(type).permute({0, 1, 3, 4, 2}).contiguous();
}

at::Tensor bev_pool(
    const at::Tensor& depth, const at::Tensor& context, const at::Tensor& points, const at::Tensor& pixels,
    const at::Tensor& cell_starts, const at::Tensor& point_cells, int64_t height, int64_t width) {
  check_forward_lists(depth, context, points, pixels, cell_starts, height, width);
  const c10::cuda::CUDAGuard guard(depth.device());
  const auto type = context_type(depth, context), sums = sum_type(depth, context);
  const at::Tensor weights = depth.to(sums).contiguous(), rows = to_rows(context, type);
  const int64_t batch = context.size(0), channels = context.size(2);
  const at::Tensor out = at::empty({batch, height, width, channels}, weights.options());
  const ForwardArguments arguments{
      weights.const_data_ptr(), rows.const_data_ptr(), points.const_data_ptr<int32_t>(),
      pixels.const_data_ptr<int32_t>(), cell_starts.const_data_ptr<int32_t>(), batch * height * width, channels,
      out.mutable_data_ptr()};
  C10_CUDA_CHECK(launch_forward(row_type(type), arguments, c10::cuda::getCurrentCUDAStream()));
  return out.permute({0, 3, 1, 2}).contiguous();
}

std::tuple<at::Tensor, at::Tensor> bev_pool_backward(
    const at::Tensor& grad, const at::Tensor& depth, const at::Tensor& context, const at::Tensor& point_cells) {
  check_index("point_cells", point_cells, depth.numel());
  const c10::cuda::CUDAGuard guard(depth.device());
  const auto type = context_type(depth, context), sums = sum_type(depth, context);
  const at::Tensor weights = depth.to(sums).contiguous(), rows = to_rows(context, type);
  const at::Tensor grad_rows = grad.to(sums).permute({0, 2, 3, 1}).contiguous();
  // without channels no kernel runs and the depths' gradients are zero
  const at::Tensor grad_depth = context.size(2) ? at::empty(weights.sizes(), weights.options())
                                                : at::zeros(weights.sizes(), weights.options());
  const at::Tensor grad_context = at::empty(rows.sizes(), rows.options());
  const BackwardArguments arguments{
      weights.const_data_ptr(), rows.const_data_ptr(), grad_rows.const_data_ptr(),
      point_cells.const_data_ptr<int32_t>(), context.size(0) * context.size(1), depth.size(2),
      context.size(3) * context.size(4), context.size(2), grad_depth.mutable_data_ptr(),
      grad_context.mutable_data_ptr()};
  C10_CUDA_CHECK(launch_backward(row_type(type), arguments, c10::cuda::getCurrentCUDAStream()));
  return {
      grad_depth.to(depth.scalar_type()),
      grad_context.permute({0, 1, 4, 2, 3}).contiguous().to(context.scalar_type())};
}

}  // namespace

TORCH_LIBRARY_IMPL(dualdistill, CUDA, m) {
  m.impl("bev_pool", &bev_pool);
  m.impl("bev_pool_backward", &bev_pool_backward);
}

}  // namespace dualdistill
