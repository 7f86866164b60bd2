// Launchers of the BEV pooling kernels: raw pointers and a stream, no torch, so that nvcc alone can compile them.
//
// Rows are channels-last: (cells or pixels, channels) without padding. "Sums" are double for double rows, else float.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace dualdistill {

enum class RowType { kDouble, kFloat, kHalf, kBFloat16 };

struct ForwardArguments {
  const void* depth;        // sums type, one value per frustum point
  const void* rows;         // context rows
  const int32_t* points;    // sorted by cell
  const int32_t* pixels;    // of each of `points`
  const int32_t* starts;    // cells + 1
  int64_t cells, channels;
  void* out;                // (cells, channels), sums type, all of it is written
};

struct BackwardArguments {
  const void* depth;        // sums type, (images, bins, pixels)
  const void* rows;         // context rows, (images * pixels, channels)
  const void* grad_rows;    // (cells, channels), sums type
  const int32_t* cells;     // (images, bins, pixels), -1 for none
  int64_t images, bins, pixels, channels;
  void* grad_depth;         // as depth, all of it is written
  void* grad_context;       // as rows, all of it is written
};

cudaError_t launch_forward(RowType type, const ForwardArguments& arguments, cudaStream_t stream);
cudaError_t launch_backward(RowType type, const BackwardArguments& arguments, cudaStream_t stream);

}  // namespace dualdistill
