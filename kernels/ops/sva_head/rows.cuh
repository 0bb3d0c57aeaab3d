// Rows of a matrix, 16 bytes at a time, by blocks of 8 warps.
#pragma once
#include "../device.cuh"

namespace {

using namespace stemma;

constexpr int kThreads = 256, kWarps = kThreads / kWarp;

template <typename T>
__device__ __forceinline__ const uint4* row_of(const void* matrix, int64_t row, int size) {
  return reinterpret_cast<const uint4*>(static_cast<const T*>(matrix) + row * size);
}

template <typename T>
__device__ __forceinline__ float dot(const uint4& a, const uint4& b) {
  float left[kVector<T>], right[kVector<T>], sum = 0;
  widen(a, left), widen(b, right);
#pragma unroll
  for (int i = 0; i < kVector<T>; ++i) sum += left[i] * right[i];
  return sum;
}

// Vector v of a float32 row = sum.
template <int N>
__device__ __forceinline__ void put(float* row, int v, const float (&sum)[N]) {
  float4* to = reinterpret_cast<float4*>(row + v * N);
#pragma unroll
  for (int i = 0; i < N / 4; ++i) to[i] = float4{sum[4 * i], sum[4 * i + 1], sum[4 * i + 2], sum[4 * i + 3]};
}

}  // namespace
