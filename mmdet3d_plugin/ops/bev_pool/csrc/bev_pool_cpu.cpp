// CPU implementations of the dualdistill::bev_pool* operators (schemas: ops/bev_pool/operators.py).
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <tuple>
#include <vector>

#include "bev_pool_common.h"
#include "bev_pool_cpu_kernels.h"

namespace dualdistill {
namespace {

int64_t padded(int64_t channels) { return (channels + kRowMultiple - 1) / kRowMultiple * kRowMultiple; }

// (images, channels, ...) -> (images * count, stride) rows.
template <typename T>
at::Tensor to_rows(const at::Tensor& planes, int64_t images, int64_t channels, int64_t count) {
  const int64_t stride = padded(channels), tiles = (count + kTile - 1) / kTile;
  at::Tensor rows = stride == channels ? at::empty({images * count, stride}, planes.options())
                                       : at::zeros({images * count, stride}, planes.options());
  const T* from = planes.const_data_ptr<T>();
  T* to = rows.mutable_data_ptr<T>();
  at::parallel_for(0, images * tiles, 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t image = t / tiles, first = (t % tiles) * kTile;
      planes_to_rows(
          from + image * channels * count, count, channels, first, std::min(kTile, count - first),
          to + (image * count + first) * stride, stride);
    }
  });
  return rows;
}

// Cells split into pieces of about equal work, a cell costing its points and a little more.
std::vector<int64_t> balanced_pieces(const int32_t* starts, int64_t cells) {
  constexpr int64_t kCellCost = 4;
  const int64_t pieces = std::min<int64_t>(cells, 4 * at::get_num_threads());
  const auto cost = [&](int64_t cell) { return starts[cell] + kCellCost * cell; };
  std::vector<int64_t> bounds(pieces + 1, 0);
  for (int64_t piece = 1; piece <= pieces; ++piece) {
    int64_t low = bounds[piece - 1], high = cells;
    const int64_t target = cost(cells) / pieces * piece;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (cost(middle) < target) low = middle + 1;
      else high = middle;
    }
    bounds[piece] = piece == pieces ? cells : low;
  }
  return bounds;
}

template <typename T>
at::Tensor forward(
    const at::Tensor& depth, const at::Tensor& context, const at::Tensor& points, const at::Tensor& pixels,
    const at::Tensor& cell_starts, int64_t height, int64_t width) {
  const int64_t batch = context.size(0), channels = context.size(2), count = context.size(3) * context.size(4);
  at::Tensor out = at::empty({batch, channels, height, width}, context.options());
  const at::Tensor rows = to_rows<T>(context, batch * context.size(1), channels, count);
  const int64_t stride = padded(channels);
  const Forward<T> job{
      depth.const_data_ptr<T>(), rows.const_data_ptr<T>(), points.const_data_ptr<int32_t>(),
      pixels.const_data_ptr<int32_t>(), cell_starts.const_data_ptr<int32_t>(), stride, channels, height * width,
      out.mutable_data_ptr<T>()};
  const at::Tensor tiles = at::empty({at::get_num_threads(), kTile, stride}, context.options());
  const std::vector<int64_t> bounds = balanced_pieces(job.starts, batch * height * width);
  at::parallel_for(0, static_cast<int64_t>(bounds.size()) - 1, 1, [&](int64_t begin, int64_t end) {
    run(job, bounds[begin], bounds[end], tiles.mutable_data_ptr<T>() + at::get_thread_num() * kTile * stride);
  });
  return out;
}

template <typename T>
std::tuple<at::Tensor, at::Tensor> backward(
    const at::Tensor& grad, const at::Tensor& depth, const at::Tensor& context, const at::Tensor& point_cells) {
  const int64_t channels = context.size(2), bins = depth.size(2), count = context.size(3) * context.size(4);
  const int64_t images = context.size(0) * context.size(1), stride = padded(channels);
  const at::Tensor grad_rows = to_rows<T>(grad, grad.size(0), channels, grad.size(2) * grad.size(3));
  at::Tensor grad_depth = at::zeros(depth.sizes(), depth.options());
  at::Tensor grad_context = at::empty(context.sizes(), context.options());
  const Backward<T> job{
      depth.const_data_ptr<T>(), context.const_data_ptr<T>(), grad_rows.const_data_ptr<T>(),
      point_cells.const_data_ptr<int32_t>(), stride, channels, bins, count, grad_depth.mutable_data_ptr<T>(),
      grad_context.mutable_data_ptr<T>()};
  const at::Tensor tiles = at::zeros({at::get_num_threads(), 2 * kTile, stride}, context.options());
  at::parallel_for(0, images * ((count + kTile - 1) / kTile), 1, [&](int64_t begin, int64_t end) {
    run(job, begin, end, tiles.mutable_data_ptr<T>() + at::get_thread_num() * 2 * kTile * stride);
  });
  return {grad_depth, grad_context};
}

at::Tensor compute_type(const at::Tensor& tensor, at::ScalarType type) { return tensor.to(type).contiguous(); }

at::Tensor bev_pool(
    const at::Tensor& depth, const at::Tensor& context, const at::Tensor& points, const at::Tensor& pixels,
    const at::Tensor& cell_starts, const at::Tensor& point_cells, int64_t height, int64_t width) {
  check_forward(depth, context, points, pixels, cell_starts, height, width);
  const auto type = sum_type(depth, context);
  const auto d = compute_type(depth, type), c = compute_type(context, type);
  return type == at::kDouble ? forward<double>(d, c, points, pixels, cell_starts, height, width)
                             : forward<float>(d, c, points, pixels, cell_starts, height, width);
}

std::tuple<at::Tensor, at::Tensor> bev_pool_backward(
    const at::Tensor& grad, const at::Tensor& depth, const at::Tensor& context, const at::Tensor& point_cells,
    int64_t height, int64_t width) {
  check_backward(grad, depth, context, point_cells, height, width);
  const auto type = sum_type(depth, context);
  const auto g = compute_type(grad, type), d = compute_type(depth, type), c = compute_type(context, type);
  auto [grad_depth, grad_context] = type == at::kDouble ? backward<double>(g, d, c, point_cells)
                                                        : backward<float>(g, d, c, point_cells);
  return {grad_depth.to(depth.scalar_type()), grad_context.to(context.scalar_type())};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> bev_pool_sort(
    const at::Tensor& point_cells, int64_t cells_per_sample) {
  check_sort(point_cells);
  const int64_t batch = point_cells.size(0), bins = point_cells.size(2);
  const int64_t pixels = point_cells.size(3) * point_cells.size(4);
  const int64_t cells = batch * cells_per_sample, per_sample = batch ? point_cells.numel() / batch : 0;
  at::Tensor points = at::empty({point_cells.numel()}, point_cells.options()), pixel_of = at::empty(points.sizes(), points.options());
  at::Tensor starts = at::zeros({cells + 1}, point_cells.options());
  const int32_t* from = point_cells.const_data_ptr<int32_t>();
  int32_t* start = starts.mutable_data_ptr<int32_t>();
  // samples share no cell: they are counted and placed independently of each other
  at::parallel_for(0, batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * per_sample; i < end * per_sample; ++i)
      if (from[i] >= 0) ++start[from[i] + 1];
  });
  for (int64_t cell = 0; cell < cells; ++cell) start[cell + 1] += start[cell];
  std::vector<int32_t> next(start, start + cells);
  at::parallel_for(0, batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t sample = begin; sample < end; ++sample) {
      const int64_t dropped_before = sample * per_sample - start[sample * cells_per_sample];
      place_points(
          from, sample * per_sample, (sample + 1) * per_sample, bins, pixels, next.data(),
          start[cells] + dropped_before, points.mutable_data_ptr<int32_t>(), pixel_of.mutable_data_ptr<int32_t>());
    }
  });
  return {points, pixel_of, starts};
}

}  // namespace

TORCH_LIBRARY_IMPL(dualdistill, CPU, m) {
  m.impl("bev_pool", &bev_pool);
  m.impl("bev_pool_backward", &bev_pool_backward);
  m.impl("bev_pool_sort", &bev_pool_sort);
}

}  // namespace dualdistill
