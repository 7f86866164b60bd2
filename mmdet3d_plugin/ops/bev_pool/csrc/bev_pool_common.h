// What the CPU and the CUDA operators share: the type sums run in, and checks of the index tensors.
#pragma once

#include <ATen/core/Tensor.h>

namespace dualdistill {

inline at::ScalarType sum_type(const at::Tensor& depth, const at::Tensor& context) {
  const bool wide = depth.scalar_type() == at::kDouble || context.scalar_type() == at::kDouble;
  return wide ? at::kDouble : at::kFloat;
}

inline void check_index(const char* name, const at::Tensor& index, int64_t expected) {
  TORCH_CHECK(
      index.scalar_type() == at::kInt && index.is_contiguous() && index.numel() == expected, "bev_pool: ", name,
      " must be ", expected, " contiguous int32 values, got ", index.numel(), " of ", index.scalar_type(),
      ": take it from BEVPoolPlan.from_geometry");
}

inline void check_forward_lists(
    const at::Tensor& depth, const at::Tensor& context, const at::Tensor& points, const at::Tensor& pixels,
    const at::Tensor& cell_starts, int64_t height, int64_t width) {
  check_index("points", points, depth.numel());
  check_index("pixels", pixels, depth.numel());
  check_index("cell_starts", cell_starts, context.size(0) * height * width + 1);
}

}  // namespace dualdistill
