// CPU implementations of dualdistill::sparse_conv_outputs and sparse_conv_pairs (schemas:
// ops/sparse_conv/operators.py).
//
// Voxels lie in lexicographic order. For one kernel offset the keys of the wanted inputs rise with those of the
// outputs, so that one walk along both lists finds all pairs in order, without a hash table or a jump in memory.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <vector>

namespace dualdistill {
namespace {

// Kernel, stride, padding and dilation along z, y, x, and the grid: batch, z, y, x.
struct Window {
  std::array<int64_t, 4> grid;
  std::array<int64_t, 3> kernel, stride, padding, dilation;

  Window(at::IntArrayRef g, at::IntArrayRef k, at::IntArrayRef s, at::IntArrayRef p, at::IntArrayRef d) {
    TORCH_CHECK(
        g.size() == 4 && k.size() == 3 && s.size() == 3 && p.size() == 3 && d.size() == 3,
        "sparse_conv: grid is (batch, z, y, x) and kernel, stride, padding and dilation are (z, y, x)");
    std::copy(g.begin(), g.end(), grid.begin());
    for (int i = 0; i < 3; ++i) kernel[i] = k[i], stride[i] = s[i], padding[i] = p[i], dilation[i] = d[i];
  }

  int64_t out_size(int i) const {
    return (grid[i + 1] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i] + 1;
  }

  // Key of a place in the padded grid, where a window never leaves its row: (sample, z, y, x) counted with the padding.
  int64_t key(int64_t sample, int64_t z, int64_t y, int64_t x) const {
    const auto size = [this](int axis) { return grid[axis + 1] + 2 * padding[axis]; };
    return ((sample * size(0) + z) * size(1) + y) * size(2) + x;
  }
};

void check_coords(const at::Tensor& coords, const std::array<int64_t, 4>& grid) {
  TORCH_CHECK(
      coords.dim() == 2 && coords.size(1) == 4 && coords.scalar_type() == at::kInt && coords.is_contiguous(),
      "sparse_conv: coords must be contiguous int32 (V, 4), got ", coords.scalar_type(), " ", coords.sizes());
  const int32_t* c = coords.const_data_ptr<int32_t>();
  for (int64_t i = 0; i < coords.numel(); ++i)
    TORCH_CHECK(
        c[i] >= 0 && c[i] < grid[i % 4], "sparse_conv: row ", i / 4,
        " of coords lies outside the grid (batch, z, y, x) of ", at::IntArrayRef(grid.data(), 4));
}

// 11 bits at once; nothing to do for sorted lists.
void radix_sort(std::vector<int64_t>& keys) {
  constexpr int kBits = 11;
  if (std::is_sorted(keys.begin(), keys.end())) return;
  const int64_t highest = *std::max_element(keys.begin(), keys.end());
  std::vector<int64_t> other(keys.size());
  for (int shift = 0; shift < 63 && (highest >> shift) > 0; shift += kBits) {
    std::array<int64_t, (1 << kBits) + 1> start{};
    const auto digit = [shift](int64_t key) { return (key >> shift) & ((1 << kBits) - 1); };
    for (const int64_t key : keys) ++start[digit(key) + 1];
    for (int i = 0; i < (1 << kBits); ++i) start[i + 1] += start[i];
    for (const int64_t key : keys) other[start[digit(key)]++] = key;
    keys.swap(other);
  }
}

// Keys of the voxels' places times `step`, plus `shift`, in the padded grid.
std::vector<int64_t> rising_keys(
    const at::Tensor& coords, const Window& window, const std::array<int64_t, 3>& step,
    const std::array<int64_t, 3>& shift) {
  const int32_t* c = coords.const_data_ptr<int32_t>();
  std::vector<int64_t> keys(coords.size(0));
  for (size_t row = 0; row < keys.size(); ++row, c += 4) {
    keys[row] = window.key(c[0], c[1] * step[0] + shift[0], c[2] * step[1] + shift[1], c[3] * step[2] + shift[2]);
    TORCH_CHECK(
        row == 0 || keys[row] != keys[row - 1], "sparse_conv: rows ", row - 1, " and ", row,
        " of coords are the same voxel: merge them first");
    TORCH_CHECK(
        row == 0 || keys[row] > keys[row - 1], "sparse_conv: row ", row,
        " of coords is out of order: SparseTensor.of sorts voxels by (sample, z, y, x)");
  }
  return keys;
}

// For every place along one axis, the output cells whose window holds it, in order.
struct Reached {
  std::vector<int64_t> start, cells;

  Reached(const Window& window, int axis) : start{0} {
    for (int64_t place = 0; place < window.grid[axis + 1]; ++place) {
      for (int64_t k = window.kernel[axis] - 1; k >= 0; --k) {
        const int64_t scaled = place + window.padding[axis] - k * window.dilation[axis];
        const int64_t cell = scaled / window.stride[axis];
        if (scaled >= 0 && scaled % window.stride[axis] == 0 && cell < window.out_size(axis)) cells.push_back(cell);
      }
      start.push_back(static_cast<int64_t>(cells.size()));
    }
  }

  template <typename F>
  void each(int64_t place, const F& f) const {
    for (int64_t i = start[place]; i < start[place + 1]; ++i) f(cells[i]);
  }
};

// Numbers of the output cells, in order, each once.
std::vector<int64_t> reached_outputs(const at::Tensor& coords, const Window& window) {
  const Reached along_z(window, 0), along_y(window, 1), along_x(window, 2);
  const int64_t size_z = window.out_size(0), size_y = window.out_size(1), size_x = window.out_size(2);
  std::vector<int64_t> found;
  found.reserve(4 * coords.size(0));
  const int32_t* c = coords.const_data_ptr<int32_t>();
  for (int64_t row = 0; row < coords.size(0); ++row, c += 4)
    along_z.each(c[1], [&](int64_t z) {
      along_y.each(c[2], [&](int64_t y) {
        const int64_t line = ((c[0] * size_z + z) * size_y + y) * size_x;
        along_x.each(c[3], [&](int64_t x) { found.push_back(line + x); });
      });
    });
  radix_sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

at::Tensor sparse_conv_outputs(
    const at::Tensor& coords, at::IntArrayRef grid, at::IntArrayRef kernel, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation) {
  const Window window(grid, kernel, stride, padding, dilation);
  check_coords(coords, window.grid);
  const std::vector<int64_t> found = reached_outputs(coords, window);
  at::Tensor outputs = at::empty({static_cast<int64_t>(found.size()), 4}, coords.options());
  int32_t* to = outputs.mutable_data_ptr<int32_t>();
  const int64_t sizes[3] = {window.out_size(0), window.out_size(1), window.out_size(2)};
  for (int64_t rest : found) {
    for (int axis = 2; axis >= 0; --axis) {
      const int64_t above = rest / sizes[axis];
      to[axis + 1] = static_cast<int32_t>(rest - above * sizes[axis]);
      rest = above;
    }
    to[0] = static_cast<int32_t>(rest);
    to += 4;
  }
  return outputs;
}

// Pairs of one kernel offset.
struct Pairs {
  std::vector<int32_t> sources, targets;
};

// Pairs of one line of the kernel along x, `width` offsets from `offset` on in steps of `dilation` keys, in one walk.
void walk(
    const std::vector<int64_t>& inputs, const std::vector<int64_t>& outputs, int64_t offset, int64_t width,
    int64_t dilation, Pairs* pairs) {
  const size_t count = inputs.size();
  size_t first = 0;
  for (size_t row = 0; row < outputs.size(); ++row) {
    const int64_t wanted = outputs[row] + offset, last = wanted + (width - 1) * dilation;
    while (first < count && inputs[first] < wanted) ++first;
    for (size_t i = first; i < count && inputs[i] <= last; ++i) {
      const int64_t x = (inputs[i] - wanted) / dilation;
      if (x * dilation != inputs[i] - wanted) continue;
      pairs[x].sources.push_back(static_cast<int32_t>(i));
      pairs[x].targets.push_back(static_cast<int32_t>(row));
    }
  }
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> joined(
    const std::vector<Pairs>& pairs, const at::TensorOptions& options) {
  at::Tensor starts = at::zeros({static_cast<int64_t>(pairs.size()) + 1}, options.dtype(at::kLong));
  int64_t* start = starts.mutable_data_ptr<int64_t>();
  for (size_t k = 0; k < pairs.size(); ++k) start[k + 1] = start[k] + static_cast<int64_t>(pairs[k].sources.size());
  at::Tensor sources = at::empty({start[pairs.size()]}, options), targets = at::empty_like(sources);
  for (size_t k = 0; k < pairs.size(); ++k) {
    std::copy(pairs[k].sources.begin(), pairs[k].sources.end(), sources.mutable_data_ptr<int32_t>() + start[k]);
    std::copy(pairs[k].targets.begin(), pairs[k].targets.end(), targets.mutable_data_ptr<int32_t>() + start[k]);
  }
  return {sources, targets, starts};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> sparse_conv_pairs(
    const at::Tensor& coords, const at::Tensor& out_coords, at::IntArrayRef grid, at::IntArrayRef kernel,
    at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation) {
  const Window window(grid, kernel, stride, padding, dilation);
  check_coords(coords, window.grid);
  check_coords(out_coords, {window.grid[0], window.out_size(0), window.out_size(1), window.out_size(2)});
  const std::vector<int64_t> inputs = rising_keys(coords, window, {1, 1, 1}, window.padding);
  const std::vector<int64_t> outputs = rising_keys(out_coords, window, window.stride, {0, 0, 0});
  std::vector<Pairs> pairs(kernel[0] * kernel[1] * kernel[2]);
  at::parallel_for(0, kernel[0] * kernel[1], 1, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const int64_t offset = window.key(0, line / kernel[1] * dilation[0], line % kernel[1] * dilation[1], 0);
      walk(inputs, outputs, offset, kernel[2], dilation[2], pairs.data() + line * kernel[2]);
    }
  });
  return joined(pairs, coords.options());
}

}  // namespace

TORCH_LIBRARY_IMPL(dualdistill, CPU, m) {
  m.impl("sparse_conv_outputs", &sparse_conv_outputs);
  m.impl("sparse_conv_pairs", &sparse_conv_pairs);
}

}  // namespace dualdistill
