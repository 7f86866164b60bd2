// What the forward and the backward kernel share: vectors, sums over a warp, tiles in shared memory.
//
// A block is kTile warps; each warp owns one of kTile neighbouring cells (forward) or pixels (backward), whose channels
// it sums as a row. Results leave through a tile in shared memory, which turns rows into planes: kTile floats of a
// plane are one 32-byte sector of memory. Nothing is added atomically and every sum has a fixed order, so results are
// the same bit for bit on every run.
//
// A warp is split into 32 / lanes groups. The lanes of a group hold consecutive channels, kVector each; groups take
// turns at points (forward) or depth bins (backward) and are added up at the end.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstring>

#include "bev_pool_cuda_kernels.h"

namespace dualdistill {
namespace {

constexpr int kWarp = 32;
constexpr int kTile = 8;
constexpr int kThreads = kWarp * kTile;
constexpr unsigned kAll = 0xffffffffu;
constexpr int kBytes = 16;  // the widest load or store

__device__ __forceinline__ float widen(float value) { return value; }
__device__ __forceinline__ double widen(double value) { return value; }
__device__ __forceinline__ float widen(__half value) { return __half2float(value); }
__device__ __forceinline__ float widen(__nv_bfloat16 value) { return __bfloat162float(value); }

__device__ __forceinline__ void narrow(float value, float* to) { *to = value; }
__device__ __forceinline__ void narrow(double value, double* to) { *to = value; }
__device__ __forceinline__ void narrow(float value, __half* to) { *to = __float2half_rn(value); }
__device__ __forceinline__ void narrow(float value, __nv_bfloat16* to) { *to = __float2bfloat16_rn(value); }

template <typename T>
struct SumOf { using type = float; };
template <>
struct SumOf<double> { using type = double; };

template <typename T, int kVector>
struct alignas(sizeof(T) * kVector < kBytes ? sizeof(T) * kVector : kBytes) Pack {
  T values[kVector];
};

// `from` and `to` are aligned as the pack is: see fits_vectors.
template <typename T, int kVector>
__device__ __forceinline__ Pack<T, kVector> load(const T* from) {
  return *reinterpret_cast<const Pack<T, kVector>*>(from);
}

// By an intrinsic: nvcc takes a pack of values that it has just computed apart, and would store them one by one.
template <typename T, int kVector>
__device__ __forceinline__ void store(T* to, const Pack<T, kVector>& pack) {
  if constexpr (sizeof(pack) == kBytes) {
    uint4 bits;
    memcpy(&bits, &pack, kBytes);
    __stcg(reinterpret_cast<uint4*>(to), bits);
  } else {
    *reinterpret_cast<Pack<T, kVector>*>(to) = pack;
  }
}

// Whether rows of `length` values that start at `data` are whole numbers of aligned packs.
template <int kVector>
__host__ __device__ __forceinline__ bool fits_vectors(const void* data, int64_t length) {
  return length % kVector == 0 && reinterpret_cast<uintptr_t>(data) % kBytes == 0;
}

// A row's channels that a warp holds at once, and bytes that shift the tile's rows to different banks.
template <typename Sum, int kVector>
struct RowOf {
  static constexpr int channels = kWarp * kVector;
  static constexpr int length = channels + kBytes / static_cast<int>(sizeof(Sum));
};

__device__ __forceinline__ int thread_of_block() { return threadIdx.y * kWarp + threadIdx.x; }

template <typename T, int kVector>
__device__ __forceinline__ void add_groups(T (&sum)[kVector], int lanes) {
  for (int offset = lanes; offset < kWarp; offset *= 2)
#pragma unroll
    for (int k = 0; k < kVector; ++k) sum[k] += __shfl_xor_sync(kAll, sum[k], offset);
}

template <int kStore, typename Out, typename Sum, int kLength>
__device__ __forceinline__ void write_packs(
    const Sum (&tile)[kTile][kLength], Out* planes, int64_t plane, int channels, int rows) {
  constexpr int kPacks = kTile / kStore;
  for (int i = thread_of_block(); i < channels * kPacks; i += kThreads) {
    const int c = i / kPacks, first = i % kPacks * kStore;
    if (first >= rows) continue;
    Pack<Out, kStore> pack;
#pragma unroll
    for (int k = 0; k < kStore; ++k) narrow(tile[first + k][c], &pack.values[k]);
    store<Out, kStore>(planes + c * plane + first, pack);
  }
}

// planes[c * plane + j] = tile[j][c] for the first `rows` rows and `channels` channels of the tile.
template <typename Out, typename Sum, int kLength>
__device__ __forceinline__ void write_planes(
    const Sum (&tile)[kTile][kLength], Out* planes, int64_t plane, int channels, int rows) {
  constexpr int kStore = kBytes / static_cast<int>(sizeof(Out));
  static_assert(kTile % kStore == 0, "a tile is a whole number of packs");
  if (fits_vectors<kStore>(planes, plane)) write_packs<kStore>(tile, planes, plane, channels, rows);
  else write_packs<1>(tile, planes, plane, channels, rows);
}

// Lanes that hold a row of so many packs.
inline int lanes_for(int64_t packs) {
  int lanes = 1;
  while (lanes < kWarp && lanes < packs) lanes *= 2;
  return lanes;
}

__host__ __device__ __forceinline__ int64_t tiles_for(int64_t rows) { return (rows + kTile - 1) / kTile; }

template <typename Arguments, typename Start>
cudaError_t start_for(RowType type, const Arguments& arguments, Start start) {
  switch (type) {
    case RowType::kDouble: start(arguments, double()); break;
    case RowType::kFloat: start(arguments, float()); break;
    case RowType::kHalf: start(arguments, __half()); break;
    case RowType::kBFloat16: start(arguments, __nv_bfloat16()); break;
  }
  return cudaGetLastError();
}

}  // namespace
}  // namespace dualdistill
