// The k largest of each row of logits, ties to the lower id, and the row's logsumexp, in one read of the row. For sm_90a.
//
// A candidate is one 64-bit number: the value's bits in an order-preserving form, then the inverted id. No two are equal, so "the k largest" is one set whatever
// order they are found in. A block keeps candidates above a bound in shared memory; when the buffer might overflow it is sorted, cut to k, and the k-th is the
// new bound. After the first tiles few values pass: about k·ln(V / tile) of a row in random order.
#include "../device.cuh"

using namespace stemma;

extern "C" {

// Mirrored by gpu.py.
struct Selection {
  const void* logits;       // [T, V]
  const uint8_t* barred;    // [V], 1 for an id that may not be chosen; optional
  int32_t* ids;             // [T, k]
  float* values;            // [T, k] descending
  float* lse;               // [T], over the whole vocabulary, barred ids too; optional
  int32_t* first_bad;       // [1], T before the launch: the first row with a value that is not finite or fewer than k ids to choose from
  int32_t positions, vocabulary, k, bfloat16;
};
}

namespace {

constexpr int kThreads = 512, kWarps = kThreads / kWarp, kCandidates = 4096;

__device__ __forceinline__ uint64_t candidate(float value, int id) {
  const uint32_t bits = __float_as_uint(value + 0.0f);  // −0 and 0 are one value
  const uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return uint64_t(ordered) << 32 | uint32_t(~id);
}
__device__ __forceinline__ float value_of(uint64_t key) {
  const uint32_t ordered = uint32_t(key >> 32);
  return __uint_as_float(ordered & 0x80000000u ? ordered & 0x7fffffffu : ~ordered);
}

// Bitonic, descending; the block's threads together. `size` is a power of two.
__device__ void sort(uint64_t* keys, int size) {
  for (int run = 2; run <= size; run *= 2)
    for (int step = run / 2; step > 0; step /= 2) {
      for (int i = threadIdx.x; i < size / 2; i += kThreads) {
        const int low = 2 * i - (i & (step - 1)), high = low + step;
        const bool descending = (low & run) == 0;
        if ((keys[low] < keys[high]) == descending) {
          const uint64_t other = keys[low];
          keys[low] = keys[high], keys[high] = other;
        }
      }
      __syncthreads();
    }
}

// Keeps the k largest, in order, and returns the new bound: what a candidate must exceed.
__device__ uint64_t cut(uint64_t* keys, int* count, int k) {
  __syncthreads();
  const int found = *count;
  int size = 2;
  while (size < found) size *= 2;
  for (int i = found + threadIdx.x; i < size; i += kThreads) keys[i] = 0;
  __syncthreads();
  sort(keys, size);
  if (threadIdx.x == 0) *count = found < k ? found : k;
  __syncthreads();
  return found < k ? 0 : keys[k - 1];
}

struct RunningSum {
  float largest = -INFINITY, sum = 0;
  __device__ void add(float value) {
    if (value > largest) sum *= expf(largest - value), largest = value;
    sum += expf(value - largest);
  }
};

// In a fixed order: lanes of a warp as a tree, then warps one after the other.
__device__ float block_lse(const RunningSum& mine, float* shared) {
  const float warp_largest = warp_max(mine.largest);
  const float warp_total = warp_sum(warp_largest == -INFINITY ? 0.0f : mine.sum * expf(mine.largest - warp_largest));
  if (threadIdx.x % kWarp == 0) shared[threadIdx.x / kWarp] = warp_largest, shared[kWarps + threadIdx.x / kWarp] = warp_total;
  __syncthreads();
  float largest = -INFINITY, sum = 0;
  for (int w = 0; w < kWarps; ++w) largest = fmaxf(largest, shared[w]);
  for (int w = 0; w < kWarps; ++w)
    if (shared[w] > -INFINITY) sum += shared[kWarps + w] * expf(shared[w] - largest);
  return largest + logf(sum);
}

template <typename T>
__global__ void __launch_bounds__(kThreads) select(Selection s) {
  constexpr int N = kVector<T>, kTile = kThreads * 4;  // elements between two looks at the buffer
  __shared__ uint64_t keys[kCandidates];
  __shared__ int count;
  __shared__ float sums[2 * kWarps];
  const int t = blockIdx.x, thread = threadIdx.x;
  const T* row = static_cast<const T*>(s.logits) + int64_t(t) * s.vocabulary;
  if (thread == 0) count = 0;
  __syncthreads();
  uint64_t bound = 0;
  RunningSum running;
  bool bad = false;
  const int vectors = s.vocabulary / N;
  const bool aligned = s.vocabulary % N == 0;  // then every row starts at a 16-byte address
  for (int tile = 0; tile < s.vocabulary; tile += kTile) {
    // 4 elements a thread: half a vector of bfloat16 is not loaded twice, two threads share it through the cache.
    const int first = tile + thread * 4;
    float wide[N];
    if (aligned && first / N < vectors) widen(__ldg(reinterpret_cast<const uint4*>(row) + first / N), wide);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int id = first + i;
      if (id >= s.vocabulary) break;
      float value;
      if (aligned) value = wide[N == 4 ? i : (first & 4) + i];
      else value = sizeof(T) == 4 ? reinterpret_cast<const float*>(row)[id] : __uint_as_float(uint32_t(reinterpret_cast<const uint16_t*>(row)[id]) << 16);
      bad = bad || !finite(value);
      if (s.lse != nullptr) running.add(value);
      if (s.barred != nullptr && s.barred[id]) continue;
      const uint64_t key = candidate(value, id);
      if (key > bound) keys[atomicAdd(&count, 1)] = key;
    }
    __syncthreads();
    const bool full = count > kCandidates - kTile;
    __syncthreads();  // all have read the count before a fast thread adds to it
    if (full) bound = cut(keys, &count, s.k);
  }
  cut(keys, &count, s.k);
  bad = bad || count < s.k;
  if (__syncthreads_or(bad)) {
    if (thread == 0) atomicMin(s.first_bad, t);
    return;
  }
  for (int i = thread; i < s.k; i += kThreads) {
    s.ids[int64_t(t) * s.k + i] = int32_t(~uint32_t(keys[i]));
    s.values[int64_t(t) * s.k + i] = value_of(keys[i]);
  }
  if (s.lse == nullptr) return;
  const float lse = block_lse(running, sums);
  if (thread == 0) s.lse[t] = lse;
}

}  // namespace

extern "C" int topk_head_select(const Selection* s, void* stream) {
  if (s->positions == 0) return 0;
  auto half = select<BFloat16>;
  auto full = select<float>;
  auto kernel = s->bfloat16 ? half : full;
  return STEMMA_LAUNCH(kernel, dim3(s->positions), dim3(kThreads), static_cast<cudaStream_t>(stream), *s);
}
