// What the kernels of this folder share: 16-byte vectors of float or bfloat16, warp sums, and one way to launch that the host emulation has too.
#pragma once
#include <cstdint>

#ifdef STEMMA_EMULATED
#define STEMMA_LAUNCH(kernel, grid, block, stream, ...) emulate::launch(grid, block, [&] { kernel(__VA_ARGS__); })
struct float4 {
  float x, y, z, w;
};
#else
#define STEMMA_LAUNCH(kernel, grid, block, stream, ...) (kernel<<<grid, block, 0, stream>>>(__VA_ARGS__), int(cudaGetLastError()))
#endif

namespace stemma {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

struct BFloat16 {
  uint16_t bits;
};

template <typename T>
constexpr int kVector = 16 / int(sizeof(T));  // elements of one 16-byte load

__device__ __forceinline__ void widen(const uint4& v, float (&out)[8]) {
  const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    out[2 * i] = __uint_as_float(words[i] << 16);
    out[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
}
__device__ __forceinline__ void widen(const uint4& v, float (&out)[4]) {
  out[0] = __uint_as_float(v.x), out[1] = __uint_as_float(v.y), out[2] = __uint_as_float(v.z), out[3] = __uint_as_float(v.w);
}

// To nearest, ties to even; the values are finite.
__device__ __forceinline__ uint32_t bfloat16_bits(float value) {
  const uint32_t bits = __float_as_uint(value);
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
__device__ __forceinline__ uint4 narrow(const float (&v)[8]) {
  uint4 out;
  out.x = bfloat16_bits(v[0]) | bfloat16_bits(v[1]) << 16, out.y = bfloat16_bits(v[2]) | bfloat16_bits(v[3]) << 16;
  out.z = bfloat16_bits(v[4]) | bfloat16_bits(v[5]) << 16, out.w = bfloat16_bits(v[6]) | bfloat16_bits(v[7]) << 16;
  return out;
}
__device__ __forceinline__ uint4 narrow(const float (&v)[4]) {
  uint4 out;
  out.x = __float_as_uint(v[0]), out.y = __float_as_uint(v[1]), out.z = __float_as_uint(v[2]), out.w = __float_as_uint(v[3]);
  return out;
}

// The same bits in every lane: each step adds the same two numbers in both partners.
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value += __shfl_xor_sync(kAllLanes, value, mask);
  return value;
}
__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, mask));
  return value;
}

__device__ __forceinline__ bool finite(float value) { return fabsf(value) <= 3.402823466e38f; }

}  // namespace stemma
