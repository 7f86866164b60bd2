// What the CPU and the CUDA operators share: the type sums run in, and checks of sizes, devices and index tensors.
#pragma once

#include <ATen/core/Tensor.h>

namespace dualdistill {

inline at::ScalarType sum_type(const at::Tensor& depth, const at::Tensor& context) {
  const bool wide = depth.scalar_type() == at::kDouble || context.scalar_type() == at::kDouble;
  return wide ? at::kDouble : at::kFloat;
}

inline void check_device(const char* name, const at::Tensor& tensor, const at::Tensor& other) {
  TORCH_CHECK(
      tensor.device() == other.device(), "bev_pool: ", name, " is on ", tensor.device(), " but must be on ",
      other.device(), " like the other tensors: move it there, or make the BEVPoolPlan of locations on that device");
}

inline void check_index(const char* name, const at::Tensor& index, int64_t expected, const at::Tensor& depth) {
  TORCH_CHECK(
      index.scalar_type() == at::kInt && index.is_contiguous() && index.numel() == expected, "bev_pool: ", name,
      " must be ", expected, " contiguous int32 values, got ", index.numel(), " of ", index.scalar_type(),
      ": take it from BEVPoolPlan.from_geometry");
  check_device(name, index, depth);
}

// depth (B, N, D, h, w) and context (B, N, C, h, w).
inline void check_frustum(const at::Tensor& depth, const at::Tensor& context) {
  bool fits = depth.dim() == 5 && context.dim() == 5;
  for (int64_t i = 0; fits && i < 5; ++i) fits = i == 2 || depth.size(i) == context.size(i);
  TORCH_CHECK(
      fits, "bev_pool: depth is ", depth.sizes(), " and context ", context.sizes(),
      ": they must be (B, N, D, h, w) and (B, N, C, h, w) of the same frustum");
  check_device("context", context, depth);
}

inline void check_forward(
    const at::Tensor& depth, const at::Tensor& context, const at::Tensor& points, const at::Tensor& pixels,
    const at::Tensor& cell_starts, int64_t height, int64_t width) {
  check_frustum(depth, context);
  check_index("points", points, depth.numel(), depth);
  check_index("pixels", pixels, depth.numel(), depth);
  check_index("cell_starts", cell_starts, context.size(0) * height * width + 1, depth);
}

inline void check_backward(
    const at::Tensor& grad, const at::Tensor& depth, const at::Tensor& context, const at::Tensor& point_cells,
    int64_t height, int64_t width) {
  check_frustum(depth, context);
  check_index("point_cells", point_cells, depth.numel(), depth);
  const int64_t expected[] = {context.size(0), context.size(2), height, width};
  TORCH_CHECK(
      grad.sizes() == at::IntArrayRef(expected), "bev_pool: the gradient is ", grad.sizes(), " but the output was ",
      at::IntArrayRef(expected), " (B, C, H, W): hand over the gradient of that output");
  check_device("the gradient", grad, depth);
}

inline void check_sort(const at::Tensor& point_cells) {
  TORCH_CHECK(
      point_cells.dim() == 5, "bev_pool: point_cells is ", point_cells.sizes(), " but must be (B, N, D, h, w): take it "
      "from BEVPoolPlan.from_geometry");
  check_index("point_cells", point_cells, point_cells.numel(), point_cells);
}

}  // namespace dualdistill
