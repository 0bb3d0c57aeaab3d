// The head's gradient: a segmented sum over pairs sorted by row. A fixed order, no atomics.
#pragma once
#include "rows.cuh"

// Mirrored by gpu.py.
struct Segments {
  const void* hidden;        // [T, H]
  const float* grad_logits;  // [T · k]
  const int32_t* rows;       // [M] ascending: a row of `out`; `barred` ones come last and are left out
  const int64_t* pairs;      // [M]: position · k + slot
  float* out;                // [·, H]
  float* edges;              // [2 · chunks, H]: sums of runs that cross a chunk's begin and end
  int32_t* edge_rows;        // [2 · chunks], −1 where there is no such run
  int32_t count, size, k, chunk, barred, bfloat16;
};

namespace {

constexpr int kPairsInFlight = 4;  // of a thread

// out[row] += sum for the N columns of vector v.
template <int N>
__device__ __forceinline__ void add_to_row(float* matrix, int row, int size, int v, const float (&sum)[N]) {
  float4* to = reinterpret_cast<float4*>(matrix + int64_t(row) * size + v * N);
#pragma unroll
  for (int i = 0; i < N / 4; ++i) {
    float4 value = to[i];
    value.x += sum[4 * i], value.y += sum[4 * i + 1], value.z += sum[4 * i + 2], value.w += sum[4 * i + 3];
    to[i] = value;
  }
}

// A thread adds one vector of columns over a chunk of sorted pairs. Runs inside the chunk go to their row; those that cross its ends go to its edges.
template <typename T>
__global__ void sum_chunks(Segments s) {
  constexpr int N = kVector<T>;
  const int v = blockIdx.y * blockDim.x + threadIdx.x, chunk = blockIdx.x * blockDim.y + threadIdx.y;
  const int begin = chunk * s.chunk, vectors = s.size / N;
  if (v >= vectors || begin >= s.count) return;
  const int end = begin + s.chunk < s.count ? begin + s.chunk : s.count;
  bool crosses_begin = begin > 0 && s.rows[begin - 1] == s.rows[begin];
  int row = s.rows[begin], head_row = -1, tail_row = -1;
  float sum[N] = {};
  for (int i = begin; i < end && row != s.barred; i += kPairsInFlight) {
    int next[kPairsInFlight];
    float g[kPairsInFlight];
    uint4 x[kPairsInFlight];
#pragma unroll
    for (int j = 0; j < kPairsInFlight; ++j) {
      next[j] = i + j < end ? s.rows[i + j] : s.barred;
      if (next[j] == s.barred) continue;
      const uint32_t pair = uint32_t(s.pairs[i + j]);
      g[j] = s.grad_logits[pair];
      x[j] = __ldg(row_of<T>(s.hidden, pair / uint32_t(s.k), s.size) + v);
    }
#pragma unroll
    for (int j = 0; j < kPairsInFlight; ++j) {
      if (i + j >= end || row == s.barred) break;
      if (next[j] != row) {
        if (crosses_begin) put<N>(s.edges + int64_t(2 * chunk) * s.size, v, sum), head_row = row;
        else add_to_row(s.out, row, s.size, v, sum);
        crosses_begin = false;
        row = next[j];
#pragma unroll
        for (int n = 0; n < N; ++n) sum[n] = 0;
        if (row == s.barred) break;
      }
      float value[N];
      widen(x[j], value);
#pragma unroll
      for (int n = 0; n < N; ++n) sum[n] += g[j] * value[n];
    }
  }
  if (row != s.barred) {
    const bool crosses_end = end < s.count && s.rows[end] == row;
    if (crosses_begin) put<N>(s.edges + int64_t(2 * chunk) * s.size, v, sum), head_row = row;
    else if (crosses_end) put<N>(s.edges + int64_t(2 * chunk + 1) * s.size, v, sum), tail_row = row;
    else add_to_row(s.out, row, s.size, v, sum);
  }
  if (v == 0) s.edge_rows[2 * chunk] = head_row, s.edge_rows[2 * chunk + 1] = tail_row;
}

// The run that crosses a chunk's end, from there on in order. A row has one run, so equal rows in successive chunks are the same run.
template <typename T>
__global__ void join_edges(Segments s) {
  constexpr int N = kVector<T>;
  const int v = blockIdx.y * blockDim.x + threadIdx.x, first = blockIdx.x * blockDim.y + threadIdx.y;
  const int chunks = (s.count + s.chunk - 1) / s.chunk;
  if (v >= s.size / N || first >= chunks || s.edge_rows[2 * first + 1] < 0) return;
  const int row = s.edge_rows[2 * first + 1];
  float sum[N] = {};
  for (int chunk = first; chunk < chunks; ++chunk) {
    const int slot = chunk == first ? 2 * chunk + 1 : 2 * chunk;
    if (s.edge_rows[slot] != row) break;
    const float4* from = reinterpret_cast<const float4*>(s.edges + int64_t(slot) * s.size + v * N);
#pragma unroll
    for (int i = 0; i < N / 4; ++i) sum[4 * i] += from[i].x, sum[4 * i + 1] += from[i].y, sum[4 * i + 2] += from[i].z, sum[4 * i + 3] += from[i].w;
  }
  add_to_row(s.out, row, s.size, v, sum);
}

template <typename T>
int accumulate(const Segments& s, cudaStream_t stream) {
  const int vectors = s.size / kVector<T>, chunks = (s.count + s.chunk - 1) / s.chunk;
  const int columns = vectors < kThreads ? vectors : kThreads, deep = kThreads / columns;
  const dim3 grid((chunks + deep - 1) / deep, (vectors + columns - 1) / columns), block(columns, deep);
  auto sum = sum_chunks<T>;
  auto join = join_edges<T>;
  const int code = STEMMA_LAUNCH(sum, grid, block, stream, s);
  return code != 0 ? code : STEMMA_LAUNCH(join, grid, block, stream, s);
}

}  // namespace
