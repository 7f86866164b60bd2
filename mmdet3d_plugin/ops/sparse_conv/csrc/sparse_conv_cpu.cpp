// CPU implementations of dualdistill::sparse_conv and sparse_conv_weight_grad (schemas: ops/sparse_conv/operators.py).
#include <ATen/Parallel.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "sparse_conv_cpu_kernels.h"

namespace dualdistill {
namespace {

constexpr int64_t kPieceRows = 16384;  // output rows of one partial sum of a weight's gradient

at::ScalarType sum_type_of(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == at::kDouble || b.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

at::ScalarType result_type_of(const at::Tensor& a, const at::Tensor& b) {
  return c10::promoteTypes(a.scalar_type(), b.scalar_type());
}

void check_pairs(
    const at::Tensor& sources, const at::Tensor& targets, const at::Tensor& starts, const at::Tensor& features,
    int64_t rows) {
  const auto is_list = [](const at::Tensor& list, at::ScalarType type) {
    return list.dim() == 1 && list.is_contiguous() && list.scalar_type() == type;
  };
  TORCH_CHECK(
      is_list(sources, at::kInt) && is_list(targets, at::kInt) && is_list(starts, at::kLong) && starts.numel() > 0 &&
          sources.numel() == targets.numel() && features.dim() == 2 && rows >= 0,
      "sparse_conv: pairs are two int32 lists of one length and their int64 starts, features a matrix: take the lists "
      "from VoxelSites.rulebook");
  const int64_t* start = starts.const_data_ptr<int64_t>();
  TORCH_CHECK(
      start[0] == 0 && start[starts.numel() - 1] == sources.numel() && std::is_sorted(start, start + starts.numel()),
      "sparse_conv: starts must rise from 0 to the number of pairs, ", sources.numel());
}

PairLists lists(const at::Tensor& sources, const at::Tensor& targets, const at::Tensor& starts) {
  return {sources.const_data_ptr<int32_t>(), targets.const_data_ptr<int32_t>(), starts.const_data_ptr<int64_t>()};
}

int64_t panels_of(int64_t columns, int64_t panel) { return (columns + panel - 1) / panel; }

// Zeros after the last column, up to a whole number of panels.
at::Tensor pad_columns(const at::Tensor& tensor, int64_t panel) {
  const int64_t missing = panels_of(tensor.size(-1), panel) * panel - tensor.size(-1);
  return missing ? at::constant_pad_nd(tensor, {0, missing}, 0) : tensor.contiguous();
}

template <typename T>
at::Tensor forward(const at::Tensor& features, const at::Tensor& weight, const PairLists& pairs, int64_t rows) {
  const int64_t offsets = weight.size(0), channels = weight.size(1), columns = weight.size(2);
  const int64_t panels = panels_of(columns, kPanel<T>);
  const at::Tensor packed =
      pad_columns(weight, kPanel<T>).view({offsets, channels, panels, kPanel<T>}).transpose(1, 2).contiguous();
  at::Tensor out = at::zeros({rows, panels * kPanel<T>}, features.options());
  const SparseForward<T> job{
      features.const_data_ptr<T>(), packed.const_data_ptr<T>(), pairs, offsets, channels, panels,
      out.mutable_data_ptr<T>()};
  at::parallel_for(0, (rows + kRowBlock - 1) / kRowBlock, 1, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> next(offsets);
    run(job, begin, end, next.data());
  });
  return out.narrow(1, 0, columns).contiguous();
}

template <typename T>
at::Tensor weight_grad(const at::Tensor& features, const at::Tensor& grad, const PairLists& pairs, int64_t offsets) {
  const int64_t channels = features.size(1), columns = grad.size(1), rows = grad.size(0);
  const int64_t panels = panels_of(columns, kPanel<T>), pieces = (rows + kPieceRows - 1) / kPieceRows;
  const at::Tensor padded = pad_columns(grad, kPanel<T>);
  at::Tensor parts = at::zeros({std::max<int64_t>(pieces, 1), offsets, channels, panels * kPanel<T>}, grad.options());
  const SparseWeightGrad<T> job{
      features.const_data_ptr<T>(), padded.const_data_ptr<T>(), pairs, offsets, channels, panels, kPieceRows,
      parts.mutable_data_ptr<T>()};
  at::parallel_for(0, pieces * offsets, 1, [&](int64_t begin, int64_t end) { run(job, begin, end); });
  at::Tensor total = parts[0];
  for (int64_t piece = 1; piece < pieces; ++piece) total.add_(parts[piece]);
  return total.narrow(2, 0, columns).contiguous();
}

at::Tensor sparse_conv(
    const at::Tensor& features, const at::Tensor& weight, const at::Tensor& sources, const at::Tensor& targets,
    const at::Tensor& starts, int64_t rows) {
  check_pairs(sources, targets, starts, features, rows);
  TORCH_CHECK(
      weight.dim() == 3 && features.size(1) == weight.size(1) && weight.size(0) == starts.numel() - 1,
      "sparse_conv: features ", features.sizes(), " and ", starts.numel() - 1, " kernel offsets do not fit weight ",
      weight.sizes(), ", which is (kernel offsets, inputs, outputs)");
  const auto type = sum_type_of(features, weight);
  const auto f = features.to(type).contiguous(), w = weight.to(type);
  const PairLists pairs = lists(sources, targets, starts);
  const auto out = type == at::kDouble ? forward<double>(f, w, pairs, rows) : forward<float>(f, w, pairs, rows);
  return out.to(result_type_of(features, weight));
}

at::Tensor sparse_conv_weight_grad(
    const at::Tensor& features, const at::Tensor& grad, const at::Tensor& sources, const at::Tensor& targets,
    const at::Tensor& starts) {
  TORCH_CHECK(grad.dim() == 2, "sparse_conv_weight_grad: grad must be a matrix");
  check_pairs(sources, targets, starts, features, grad.size(0));
  const auto type = sum_type_of(features, grad);
  const auto f = features.to(type).contiguous(), g = grad.to(type);
  const PairLists pairs = lists(sources, targets, starts);
  const int64_t offsets = starts.numel() - 1;
  const auto out =
      type == at::kDouble ? weight_grad<double>(f, g, pairs, offsets) : weight_grad<float>(f, g, pairs, offsets);
  return out.to(result_type_of(features, grad));
}

}  // namespace

TORCH_LIBRARY_IMPL(dualdistill, CPU, m) {
  m.impl("sparse_conv", &sparse_conv);
  m.impl("sparse_conv_weight_grad", &sparse_conv_weight_grad);
}

}  // namespace dualdistill
