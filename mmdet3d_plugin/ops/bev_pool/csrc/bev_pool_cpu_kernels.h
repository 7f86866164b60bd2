// The loops of BEV pooling on CPUs: raw pointers in, raw pointers out, no torch.
//
// "Rows" are channels-last: one row per pixel or BEV cell, `stride` values long, the channels first and zeros after
// them. `stride` is a multiple of kRowMultiple, so that every row is a whole number of aligned vectors.
// Every sum is made by one thread in a fixed order: results do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../../csrc/cpu_dispatch.h"

namespace dualdistill {

constexpr int64_t kRowMultiple = 8;  // values
constexpr int64_t kTile = 16;        // cells or pixels transposed at once: a cache line of floats
constexpr int32_t kBlock = 256;      // points summed before they are added to the total: keeps fp32 sums accurate

// planes (channels, count) -> rows of [begin, begin + num) written from the start of `rows`.
template <typename T>
DUALDISTILL_INLINE void planes_to_rows(
    const T* planes, int64_t count, int64_t channels, int64_t begin, int64_t num, T* rows, int64_t stride) {
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t j = 0; j < num; ++j) rows[j * stride + c] = planes[c * count + begin + j];
}

// The way back.
template <typename T>
DUALDISTILL_INLINE void rows_to_planes(
    const T* rows, int64_t stride, int64_t count, int64_t channels, int64_t begin, int64_t num, T* planes) {
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t j = 0; j < num; ++j) planes[c * count + begin + j] = rows[j * stride + c];
}

// Calls f<N>(channel) for consecutive groups of N vectors until the row is covered.
template <typename T, typename F>
DUALDISTILL_INLINE void for_each_group(int64_t stride, const F& f) {
  int64_t c = 0;
  const auto left = [&] { return (stride - c) / Lanes<T>::count; };
  for (; left() >= 8; c += 8 * Lanes<T>::count) f.template run<8>(c);
  for (; left() >= 4; c += 4 * Lanes<T>::count) f.template run<4>(c);
  for (; left() >= 1; c += Lanes<T>::count) f.template run<1>(c);
}

// out[c] = sum over the points of one cell of depth * context.
template <typename T>
struct PoolCell {
  const T* depth;
  const T* rows;
  int64_t stride;
  const int32_t* points;
  const int32_t* pixels;
  int32_t begin, end;
  T* out;

  template <int N>
  DUALDISTILL_INLINE void run(int64_t c) const {
    using vec = typename Lanes<T>::vec;
    vec total[N] = {};
    for (int32_t block = begin; block < end; block += kBlock) {
      vec sum[N] = {};
      const int32_t stop = std::min(end, block + kBlock);
      for (int32_t i = block; i < stop; ++i) {
        const T weight = depth[points[i]];
        const vec* row = reinterpret_cast<const vec*>(rows + pixels[i] * stride + c);
        for (int k = 0; k < N; ++k) sum[k] += weight * row[k];
      }
      for (int k = 0; k < N; ++k) total[k] += sum[k];
    }
    vec* to = reinterpret_cast<vec*>(out + c);
    for (int k = 0; k < N; ++k) to[k] = total[k];
  }
};

// Both gradients of one pixel: grad_depth[d] (+)= <grad cell, context>, grad_context = sum over d of depth * grad cell.
template <typename T>
struct PoolPixelGrad {
  const T* depth;         // of the pixel's first bin; bins are `pixels` apart
  const int32_t* cells;   // as depth
  const T* grad_rows;     // of the cells
  const T* row;           // the pixel's context
  int64_t stride, bins, pixels;
  T* grad_depth;          // as depth
  T* grad_row;

  template <int N>
  DUALDISTILL_INLINE void run(int64_t c) const {
    using vec = typename Lanes<T>::vec;
    const vec* context = reinterpret_cast<const vec*>(row + c);
    vec total[N] = {};
    for (int64_t d = 0; d < bins; ++d) {
      const int32_t cell = cells[d * pixels];
      if (cell < 0) continue;
      const T weight = depth[d * pixels];
      const vec* grad = reinterpret_cast<const vec*>(grad_rows + cell * stride + c);
      vec dot = {};
      for (int k = 0; k < N; ++k) {
        total[k] += weight * grad[k];
        dot += grad[k] * context[k];
      }
      T sum = 0;
      for (int64_t lane = 0; lane < Lanes<T>::count; ++lane) sum += dot[lane];
      grad_depth[d * pixels] += sum;
    }
    vec* to = reinterpret_cast<vec*>(grad_row + c);
    for (int k = 0; k < N; ++k) to[k] = total[k];
  }
};

template <typename T>
struct Forward {
  const T *depth, *rows;
  const int32_t *points, *pixels, *starts;
  int64_t stride, channels, cells_per_sample;
  T* out;  // (B, channels, cells_per_sample)

  // Cells [begin, end); `tile` holds kTile rows.
  DUALDISTILL_INLINE void operator()(int64_t begin, int64_t end, T* tile) const {
    for (int64_t cell = begin; cell < end;) {
      const int64_t sample = cell / cells_per_sample, first = cell % cells_per_sample;
      const int64_t num = std::min({kTile, end - cell, cells_per_sample - first});
      for (int64_t j = 0; j < num; ++j)
        for_each_group<T>(
            stride, PoolCell<T>{depth, rows, stride, points, pixels, starts[cell + j], starts[cell + j + 1],
                                tile + j * stride});
      rows_to_planes(tile, stride, cells_per_sample, channels, first, num, out + sample * channels * cells_per_sample);
      cell += num;
    }
  }
};

template <typename T>
struct Backward {
  const T *depth, *context, *grad_rows;
  const int32_t* cells;
  int64_t stride, channels, bins, pixels;  // pixels of one image
  T *grad_depth, *grad_context;

  // Tiles [begin, end) of kTile pixels, images one after the other; `tile` holds 2 * kTile rows of zeros.
  DUALDISTILL_INLINE void operator()(int64_t begin, int64_t end, T* tile) const {
    const int64_t tiles = (pixels + kTile - 1) / kTile;
    for (int64_t t = begin; t < end; ++t) {
      const int64_t image = t / tiles, first = (t % tiles) * kTile, num = std::min(kTile, pixels - first);
      const int64_t frustum = image * bins * pixels, plane = image * channels * pixels;
      T* grads = tile + kTile * stride;
      planes_to_rows(context + plane, pixels, channels, first, num, tile, stride);
      for (int64_t j = 0; j < num; ++j) {
        const int64_t at = frustum + first + j;
        for_each_group<T>(
            stride, PoolPixelGrad<T>{depth + at, cells + at, grad_rows, tile + j * stride, stride, bins, pixels,
                                     grad_depth + at, grads + j * stride});
      }
      rows_to_planes(grads, stride, pixels, channels, first, num, grad_context + plane);
    }
  }
};

// Stable counting sort of one sample's points by cell. `next` holds, for each cell, where its next point goes.
inline void place_points(
    const int32_t* cells, int64_t begin, int64_t end, int64_t bins, int64_t pixels, int32_t* next, int64_t dropped_at,
    int32_t* points, int32_t* pixel_of) {
  for (int64_t plane = begin; plane < end; plane += pixels) {
    const int64_t image_pixel = plane / (bins * pixels) * pixels;
    for (int64_t j = 0; j < pixels; ++j) {
      const int32_t cell = cells[plane + j];
      const int64_t to = cell < 0 ? dropped_at++ : next[cell]++;
      points[to] = static_cast<int32_t>(plane + j);
      pixel_of[to] = static_cast<int32_t>(image_pixel + j);
    }
  }
}

}  // namespace dualdistill
