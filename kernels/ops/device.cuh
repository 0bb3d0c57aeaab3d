// What the kernels of this folder share: 16-byte vectors of float or bfloat16, warp sums, clusters of blocks, and ways to launch that the host emulation has too.
#pragma once
#include <cstddef>
#include <cstdint>

#ifdef STEMMA_EMULATED
#define STEMMA_LAUNCH(kernel, grid, block, stream, ...) emulate::launch(grid, block, 1, 0, [&] { kernel(__VA_ARGS__); })
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

#ifdef STEMMA_EMULATED
inline uint4* dynamic_shared() { return emulate::block().dynamic.data(); }
inline int cluster_rank() { return emulate::block().rank; }
inline void cluster_sync() { emulate::wait(emulate::State::at_cluster); }
// *address, in the shared memory of the cluster's block `rank`, = value.
inline void store_in(float* address, int rank, float value) {
  const ptrdiff_t at = reinterpret_cast<char*>(address) - reinterpret_cast<char*>(dynamic_shared());
  *reinterpret_cast<float*>(reinterpret_cast<char*>(emulate::cluster()[rank].dynamic.data()) + at) = value;
}
inline void copy_async(uint4* to, const uint4* from) { *to = *from; }
inline void await_copies() {}

template <typename P>
int launch_cluster(void (*kernel)(P), dim3 grid, dim3 block, int blocks, int bytes, cudaStream_t, P argument) {
  return emulate::launch(grid, block, blocks, bytes, [&] { kernel(argument); });
}
#else
__device__ __forceinline__ uint4* dynamic_shared() {
  extern __shared__ uint4 memory[];
  return memory;
}
__device__ __forceinline__ int cluster_rank() {
  uint32_t rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return int(rank);
}
// All threads of all blocks; what they stored in each other's shared memory before is seen after.
__device__ __forceinline__ void cluster_sync() { asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory"); }
// *address, in the shared memory of the cluster's block `rank`, = value.
__device__ __forceinline__ void store_in(float* address, int rank, float value) {
  uint32_t there;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(uint32_t(__cvta_generic_to_shared(address))), "r"(rank));
  asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(there), "f"(value) : "memory");
}
// 16 bytes from global to shared memory; the thread that copied sees them after await_copies, the block after a barrier besides.
__device__ __forceinline__ void copy_async(uint4* to, const uint4* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(uint32_t(__cvta_generic_to_shared(to))), "l"(from) : "memory");
}
__device__ __forceinline__ void await_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

template <typename P>
int launch_cluster(void (*kernel)(P), dim3 grid, dim3 block, int blocks, int bytes, cudaStream_t stream, P argument) {
  const cudaError_t code = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  if (code != cudaSuccess) return int(code);
  cudaLaunchAttribute shape;
  shape.id = cudaLaunchAttributeClusterDimension;
  shape.val.clusterDim.x = blocks, shape.val.clusterDim.y = 1, shape.val.clusterDim.z = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid, config.blockDim = block, config.dynamicSmemBytes = size_t(bytes), config.stream = stream, config.attrs = &shape, config.numAttrs = 1;
  return int(cudaLaunchKernelEx(&config, kernel, argument));
}
#endif

__device__ __forceinline__ bool finite(float value) { return fabsf(value) <= 3.402823466e38f; }

}  // namespace stemma
