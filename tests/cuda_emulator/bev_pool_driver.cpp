// Runs emulated BEV pooling kernels: bev_pool_driver ascending|descending CASE RESULT [CASE RESULT ...]
//
// A case is written by tests/ops/bev_pool_cases.py, in the order in which it is read here.
#include <cstdio>
#include <cstring>

#include "bev_pool_cuda_kernels.h"
#include "case_file.h"
#include "emulator.h"

namespace {

using emulator::Buffer;
using emulator::CaseFile;
using namespace dualdistill;

template <typename T>
const T* shifted(const Buffer& buffer, int64_t by) {  // element `by` of the result is the buffer's first
  return reinterpret_cast<const T*>(reinterpret_cast<uintptr_t>(buffer.data()) - by * sizeof(T));
}

size_t sum_bytes(RowType type) { return type == RowType::kDouble ? 8 : 4; }
size_t row_bytes(RowType type) { return type == RowType::kDouble ? 8 : type == RowType::kFloat ? 4 : 2; }

void forward(CaseFile& file, CaseFile& result) {
  const auto type = static_cast<RowType>(file.number());
  const auto offset = static_cast<size_t>(file.number());  // values by which vectors are misaligned
  const int64_t shift = file.number(), samples = file.number(), cells = file.number(), channels = file.number();
  const Buffer depth = file.array(), rows = file.array(offset * row_bytes(type)), points = file.array(), pixels = file.array();
  const Buffer starts = file.array(), out(samples * cells * channels * sum_bytes(type), offset * sum_bytes(type));
  emulator::watch("depth", depth.data(), depth.bytes());
  emulator::watch("rows", rows.data(), rows.bytes());
  emulator::watch("points", points.data(), points.bytes());
  emulator::watch("pixels", pixels.data(), pixels.bytes());
  emulator::watch("out", out.data(), out.bytes());
  launch_forward(
      type,
      {depth.data(), rows.data(), shifted<int32_t>(points, shift), shifted<int32_t>(pixels, shift),
       starts.as<int32_t>(), samples, cells, channels, out.data()},
      nullptr);
  result.write(out);
}

void backward(CaseFile& file, CaseFile& result) {
  const auto type = static_cast<RowType>(file.number());
  const auto offset = static_cast<size_t>(file.number());
  const int64_t image_stride = file.number(), channel_stride = file.number(), pixel_stride = file.number();
  const int64_t images = file.number(), bins = file.number(), pixels = file.number(), channels = file.number();
  const Buffer depth = file.array(), context = file.array(offset * row_bytes(type));
  const Buffer grad_rows = file.array(offset * sum_bytes(type));
  const Buffer cells = file.array(), grad_depth(depth.bytes(), offset * sum_bytes(type));
  const Buffer grad_context(images * pixels * channels * row_bytes(type), offset * row_bytes(type));
  emulator::watch("depth", depth.data(), depth.bytes());
  emulator::watch("context", context.data(), context.bytes());
  emulator::watch("grad_rows", grad_rows.data(), grad_rows.bytes());
  emulator::watch("cells", cells.data(), cells.bytes());
  emulator::watch("grad_depth", grad_depth.data(), grad_depth.bytes());
  emulator::watch("grad_context", grad_context.data(), grad_context.bytes());
  launch_backward(
      type,
      {depth.data(), context.data(), image_stride, channel_stride, pixel_stride, grad_rows.data(),
       cells.as<int32_t>(), images, bins, pixels, channels, grad_depth.data(), grad_context.data()},
      nullptr);
  result.write(grad_depth);
  result.write(grad_context);
}

void sort(CaseFile& file, CaseFile& result) {
  const int64_t cells = file.number(), bins = file.number(), pixels = file.number();
  const Buffer point_cells = file.array();
  const auto count = static_cast<int64_t>(point_cells.bytes() / sizeof(int32_t));
  const Buffer keys(2 * count * sizeof(uint64_t), 0), points(point_cells.bytes(), 0), pixels_of(points.bytes(), 0);
  const Buffer starts((cells + 1) * sizeof(int32_t), 0);
  const SortArguments arguments{
      point_cells.as<int32_t>(), count, cells, bins, pixels, keys.as<uint64_t>(), points.as<int32_t>(),
      pixels_of.as<int32_t>(), starts.as<int32_t>()};
  size_t bytes = 0;
  launch_sort(arguments, nullptr, bytes, nullptr);
  const Buffer scratch(bytes, 0);
  launch_sort(arguments, scratch.data(), bytes, nullptr);
  result.write(points);
  result.write(pixels_of);
  result.write(starts);
}

}  // namespace

int main(int count, char** words) {
  emulator::descending = std::strcmp(words[1], "descending") == 0;
  for (int i = 2; i + 1 < count; i += 2) {
    std::fprintf(stderr, "%s\n", words[i]);
    CaseFile file(words[i], "rb"), result(words[i + 1], "wb");
    switch (file.number()) {
      case 0: forward(file, result); break;
      case 1: backward(file, result); break;
      default: sort(file, result);
    }
    emulator::report();
  }
}
