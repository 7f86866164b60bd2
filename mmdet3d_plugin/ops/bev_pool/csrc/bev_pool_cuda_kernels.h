// Launchers of the BEV pooling kernels: raw pointers and a stream, no torch, so that nvcc alone can compile them.
//
// "Rows" are channels-last, (cells or pixels, channels); "planes" are channels-first, (samples or images, channels,
// cells or pixels). Neither has padding. "Sums" are double for double rows, else float.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace dualdistill {

enum class RowType { kDouble, kFloat, kHalf, kBFloat16 };

struct ForwardArguments {
  const void* depth;              // sums type, one value per frustum point
  const void* rows;               // context rows
  const int32_t* points;          // sorted by cell
  const int32_t* pixels;          // of each of `points`
  const int32_t* starts;          // samples * cells + 1
  int64_t samples, cells, channels;  // cells of one sample
  void* out;                      // planes (samples, channels, cells), sums type, all of it is written
};

struct BackwardArguments {
  const void* depth;              // sums type, (images, bins, pixels)
  const void* context;            // row type, (images, channels, pixels) with the strides below
  int64_t image_stride, channel_stride, pixel_stride;
  const void* grad_rows;          // of all cells, sums type
  const int32_t* cells;           // (images, bins, pixels), -1 for none
  int64_t images, bins, pixels, channels;  // pixels of one image
  void* grad_depth;               // as depth, all of it is written
  void* grad_context;             // planes (images, channels, pixels), row type, all of it is written
};

struct SortArguments {
  const int32_t* point_cells;     // (images, bins, pixels), -1 for none
  int64_t count, cells, bins, pixels;  // count: all points; cells: of all samples
  uint64_t* keys;                 // 2 * count, scratch
  int32_t* points;                // count, point of each place in the order by cell, then by index
  int32_t* pixels_of;             // as points
  int32_t* starts;                // cells + 1
};

cudaError_t launch_forward(RowType type, const ForwardArguments& arguments, cudaStream_t stream);
cudaError_t launch_backward(RowType type, const BackwardArguments& arguments, cudaStream_t stream);

// With `scratch` null: only says in `bytes` how much scratch it needs.
cudaError_t launch_sort(const SortArguments& arguments, void* scratch, size_t& bytes, cudaStream_t stream);

}  // namespace dualdistill
