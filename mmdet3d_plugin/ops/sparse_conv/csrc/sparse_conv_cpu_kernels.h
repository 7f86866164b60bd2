// The loops of sparse convolution on CPUs: raw pointers in, raw pointers out, no torch.
//
// Rows are gathered and added where they are multiplied, without a copy. Weights and everything that is read or written
// as vectors is padded to "panels" of two vectors of columns. Every sum is made by one thread in a fixed order, and
// what a task holds does not depend on the number of threads: neither do results.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../../csrc/cpu_dispatch.h"

namespace dualdistill {

constexpr int64_t kRowBlock = 128;  // rows of one task: their output stays in the cache over all kernel offsets
constexpr int kRowsAtOnce = 4;      // with two vectors of columns: 8 sums in registers

template <typename T>
constexpr int64_t kPanel = 2 * Lanes<T>::count;  // columns

// Which input row meets which output row: those of kernel offset k are [starts[k], starts[k + 1]), and both rows rise.
struct PairLists {
  const int32_t *sources, *targets;
  const int64_t* starts;

  // First pair of offset k whose output row is not below `row`.
  DUALDISTILL_INLINE int64_t first(int64_t k, int64_t row) const {
    return std::lower_bound(targets + starts[k], targets + starts[k + 1], row) - targets;
  }

  // The same, from a pair before it that is near.
  DUALDISTILL_INLINE int64_t pass(int64_t k, int64_t pair, int64_t row) const {
    while (pair < starts[k + 1] && targets[pair] < row) ++pair;
    return pair;
  }
};

// out[o] = sum over kernel offsets k and their pairs (i, o) of features[i] * weight[k].
template <typename T>
struct SparseForward {
  using vec = typename Lanes<T>::vec;
  const T* features;  // (inputs, channels)
  const T* weight;    // (offsets, panels, channels, kPanel)
  PairLists pairs;
  int64_t offsets, channels, panels;
  T* out;  // (rows, panels * kPanel), zeros

  // Output rows of blocks [begin, end); `next` holds a number for each offset.
  DUALDISTILL_INLINE void operator()(int64_t begin, int64_t end, int64_t* next) const {
    for (int64_t k = 0; k < offsets; ++k) next[k] = pairs.first(k, begin * kRowBlock);
    for (int64_t block = begin; block < end; ++block)
      for (int64_t k = 0; k < offsets; ++k) {
        const int64_t first = next[k], last = pairs.pass(k, first, (block + 1) * kRowBlock);
        next[k] = last;
        for (int64_t panel = 0; panel < panels; ++panel) {
          int64_t i = first;
          for (; i + kRowsAtOnce <= last; i += kRowsAtOnce) multiply<kRowsAtOnce>(i, k, panel);
          if (last - i == 3) multiply<3>(i, k, panel);  // what is left of kRowsAtOnce
          if (last - i == 2) multiply<2>(i, k, panel);
          if (last - i == 1) multiply<1>(i, k, panel);
        }
      }
  }

  template <int N>
  DUALDISTILL_INLINE void multiply(int64_t first, int64_t k, int64_t panel) const {
    const T* row[N];
    vec sum[N][2] = {};
    for (int n = 0; n < N; ++n) row[n] = features + pairs.sources[first + n] * channels;
    const vec* w = reinterpret_cast<const vec*>(weight + (k * panels + panel) * channels * kPanel<T>);
    for (int64_t c = 0; c < channels; ++c)
      for (int n = 0; n < N; ++n) {
        sum[n][0] += row[n][c] * w[2 * c];
        sum[n][1] += row[n][c] * w[2 * c + 1];
      }
    for (int n = 0; n < N; ++n) {
      vec* to = reinterpret_cast<vec*>(out + (pairs.targets[first + n] * panels + panel) * kPanel<T>);
      to[0] += sum[n][0];
      to[1] += sum[n][1];
    }
  }
};

// out[k] = sum over the pairs (i, o) of offset k of features[i]^T * grad[o], in pieces of rows that are added later.
template <typename T>
struct SparseWeightGrad {
  using vec = typename Lanes<T>::vec;
  const T* features;  // (inputs, channels)
  const T* grad;      // (rows, panels * kPanel)
  PairLists pairs;
  int64_t offsets, channels, panels, piece_rows;
  T* out;  // (pieces, offsets, channels, panels * kPanel), zeros

  // Tasks [begin, end): piece * offsets + k.
  DUALDISTILL_INLINE void operator()(int64_t begin, int64_t end) const {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t k = task % offsets, piece = task / offsets;
      const int64_t last = pairs.first(k, (piece + 1) * piece_rows);
      T* to = out + task * channels * panels * kPanel<T>;
      for (int64_t first = pairs.first(k, piece * piece_rows); first < last; first += kRowBlock)
        add(first, std::min(last, first + kRowBlock), to);
    }
  }

  DUALDISTILL_INLINE void add(int64_t first, int64_t last, T* to) const {
    for (int64_t panel = 0; panel < panels; ++panel) {
      int64_t c = 0;
      for (; c + kRowsAtOnce <= channels; c += kRowsAtOnce) multiply<kRowsAtOnce>(first, last, c, panel, to);
      for (; c < channels; ++c) multiply<1>(first, last, c, panel, to);
    }
  }

  template <int N>
  DUALDISTILL_INLINE void multiply(int64_t first, int64_t last, int64_t channel, int64_t panel, T* to) const {
    vec sum[N][2] = {};
    for (int64_t i = first; i < last; ++i) {
      const T* row = features + pairs.sources[i] * channels + channel;
      const vec* g = reinterpret_cast<const vec*>(grad + (pairs.targets[i] * panels + panel) * kPanel<T>);
      for (int n = 0; n < N; ++n) {
        sum[n][0] += row[n] * g[0];
        sum[n][1] += row[n] * g[1];
      }
    }
    for (int n = 0; n < N; ++n) {
      vec* total = reinterpret_cast<vec*>(to + ((channel + n) * panels + panel) * kPanel<T>);
      total[0] += sum[n][0];
      total[1] += sum[n][1];
    }
  }
};

}  // namespace dualdistill
