// Loss and dX. A block of 8 warps computes a position, in one of two designs (a third, in which several blocks do: cluster.cuh):
//   two_pass  a warp a row for the k logits, then the block's threads over columns for dX: the rows are read twice, the second time from L2.
//   online    rows are read once. With e_u = exp(z_u − m) for a running maximum m and d_u = z_u − ζ_u,
//                 A = Σ e_u W_u,   B = Σ e_u (d_u − c) W_u,   dX = w/τ · (B − (d̄ − c) A) / Σ e_u,   d̄ = Σ p̄_u d_u,
//             so two running sums a column are enough; c is the first d that a group of warps meets and keeps B small.
// two_pass also takes logits that are known already (hot.py).
#pragma once
#include "cluster.cuh"

namespace {

constexpr int kRowsInFlight = 2;  // of a group of warps, online

__device__ __forceinline__ bool is_known(const Problem& p, int t, int u) {
  return p.known != nullptr && u < p.k && finite(__ldg(p.known + int64_t(t) * p.k + u));
}

template <typename T>
__global__ void __launch_bounds__(kThreads) two_pass(Problem p) {
  __shared__ uint4 x[8192 / kVector<T>];
  __shared__ Position at;
  const int t = blockIdx.x, thread = threadIdx.x, warp = thread / kWarp, lane = thread % kWarp, vectors = p.size / kVector<T>;
  if (p.weight[t] == 0) return;
  const float inverse = p.temperature == nullptr ? 1.0f : 1.0f / p.temperature[t];
  const uint4* hidden = row_of<T>(p.hidden, t, p.size);
  for (int v = thread; v < vectors; v += kThreads) x[v] = hidden[v];
  if (!load_position(p, t, inverse, at)) return report(p, t);  // its barriers cover x

  for (int u = warp; u < p.k + (p.sampled != nullptr); u += kWarps) {
    if (is_known(p, t, u)) {
      if (lane == 0) at.logits[u] = p.known[int64_t(t) * p.k + u];
      continue;
    }
    const uint4* row = row_of<T>(p.head, at.ids[u], p.size);
    float sum = 0;
#pragma unroll 8
    for (int v = lane; v < vectors; v += kWarp) sum += dot<T>(__ldg(row + v), x[v]);
    sum = warp_sum(sum);
    if (lane == 0) at.logits[u] = sum;
  }
  __syncthreads();
  Softmax s;
  if (!finish(p, t, inverse, at, s)) return report(p, t);

  for (int v = thread; v < vectors; v += kThreads) {
    float sum[kVector<T>] = {};
#pragma unroll 8
    for (int u = 0; u < p.k; ++u) {
      if (is_known(p, t, u)) continue;
      float row[kVector<T>];
      widen(__ldg(row_of<T>(p.head, at.ids[u], p.size) + v), row);
#pragma unroll
      for (int i = 0; i < kVector<T>; ++i) sum[i] += at.gradient[u] * row[i];
    }
    if (p.known != nullptr) put<kVector<T>>(static_cast<float*>(p.grad_hidden) + int64_t(t) * p.size, v, sum);
    else static_cast<uint4*>(p.grad_hidden)[int64_t(t) * vectors + v] = narrow(sum);
  }
}

// R warps share a row, each lane holding E of its columns; kWarps / R groups take rows in turn.
template <typename T, int E, int R>
__global__ void __launch_bounds__(kThreads) online(Problem p) {
  constexpr int N = kVector<T>, NV = E / N, kGroups = kWarps / R, kLanes = kWarp * R;
  __shared__ uint4 x[kLanes * NV];
  __shared__ Position at;
  __shared__ float partial[2][kRowsInFlight][kWarps];
  __shared__ float merged[kGroups > 1 ? kLanes * E : 1];
  const int t = blockIdx.x, thread = threadIdx.x, warp = thread / kWarp, group = warp / R, vectors = p.size / N;
  const int lane = thread % kLanes;  // in the group
  if (p.weight[t] == 0) return;
  const float inverse = p.temperature == nullptr ? 1.0f : 1.0f / p.temperature[t];
  const uint4 zero = {0, 0, 0, 0};
  const uint4* hidden = row_of<T>(p.hidden, t, p.size);
  for (int v = thread; v < kLanes * NV; v += kThreads) x[v] = v < vectors ? hidden[v] : zero;
  if (!load_position(p, t, inverse, at)) return report(p, t);

  float a[E] = {}, b[E] = {}, largest = -INFINITY, offset = 0;
  const int rows = p.k + (p.sampled != nullptr);
  for (int round = 0; round * kGroups * kRowsInFlight < rows; ++round) {
    uint4 held[kRowsInFlight][NV];
    float z[kRowsInFlight];
#pragma unroll
    for (int j = 0; j < kRowsInFlight; ++j) {
      const int u = (round * kRowsInFlight + j) * kGroups + group;
#pragma unroll
      for (int i = 0; i < NV; ++i) {
        const int v = i * kLanes + lane;
        held[j][i] = u < rows && v < vectors ? __ldg(row_of<T>(p.head, at.ids[u], p.size) + v) : zero;
      }
    }
#pragma unroll
    for (int j = 0; j < kRowsInFlight; ++j) {
      float sum = 0;
#pragma unroll
      for (int i = 0; i < NV; ++i) sum += dot<T>(held[j][i], x[i * kLanes + lane]);
      z[j] = warp_sum(sum);
      if (R > 1 && thread % kWarp == 0) partial[round & 1][j][warp] = z[j];
    }
    if (R > 1) {
      __syncthreads();  // the next round writes the other half, so this is the only barrier a round needs
#pragma unroll
      for (int j = 0; j < kRowsInFlight; ++j) {
        z[j] = 0;
        for (int i = 0; i < R; ++i) z[j] += partial[round & 1][j][group * R + i];
      }
    }
#pragma unroll
    for (int j = 0; j < kRowsInFlight; ++j) {
      const int u = (round * kRowsInFlight + j) * kGroups + group;
      if (u < rows && lane == 0) at.logits[u] = z[j];
      if (u >= p.k) continue;
      const float logit = z[j] * inverse, d = logit - at.teacher[u];
      if (round == 0 && j == 0) offset = d;
      if (logit > largest) {
        const float shrink = expf(largest - logit);
        largest = logit;
#pragma unroll
        for (int i = 0; i < E; ++i) a[i] *= shrink, b[i] *= shrink;
      }
      const float e = expf(logit - largest), ed = e * (d - offset);
#pragma unroll
      for (int i = 0; i < NV; ++i) {
        float row[N];
        widen(held[j][i], row);
#pragma unroll
        for (int n = 0; n < N; ++n) a[i * N + n] += e * row[n], b[i * N + n] += ed * row[n];
      }
    }
  }
  __syncthreads();
  Softmax s;
  if (!finish(p, t, inverse, at, s)) return report(p, t);

  const float scale = p.weight[t] * inverse * expf(largest - s.largest) / s.sum;  // 0 for a group without rows
  const float shift = s.loss + s.student_lse - s.teacher_lse - offset;            // d̄ − c
  for (int turn = 0; turn < kGroups; ++turn) {
    if (turn == group) {
#pragma unroll
      for (int i = 0; i < NV; ++i) {
        const int v = i * kLanes + lane;
        float sum[N];
#pragma unroll
        for (int n = 0; n < N; ++n) {
          sum[n] = scale * (b[i * N + n] - shift * a[i * N + n]);
          if (kGroups > 1 && turn > 0) sum[n] += merged[v * N + n];
          if (kGroups > 1 && turn < kGroups - 1) merged[v * N + n] = sum[n];
        }
        if (turn == kGroups - 1 && v < vectors) static_cast<uint4*>(p.grad_hidden)[int64_t(t) * vectors + v] = narrow(sum);
      }
    }
    if (kGroups > 1) __syncthreads();
  }
}

template <typename T, int E, int R>
int launch_online(const Problem& p, cudaStream_t stream) {
  auto kernel = online<T, E, R>;
  return STEMMA_LAUNCH(kernel, dim3(p.positions), dim3(kThreads), stream, p);
}

template <typename T>
int forward(const Problem& p, cudaStream_t stream) {
  if (p.design == 0) {
    auto kernel = two_pass<T>;
    return STEMMA_LAUNCH(kernel, dim3(p.positions), dim3(kThreads), stream, p);
  }
  if (p.design == 2) return launch_cluster_of<T>(p, stream);
  if (p.size <= 256) return launch_online<T, 8, 1>(p, stream);
  if (p.size <= 512) return launch_online<T, 16, 1>(p, stream);
  if (p.size <= 1024) return launch_online<T, 32, 1>(p, stream);
  if (p.size <= 2048) return launch_online<T, 32, 2>(p, stream);
  if (p.size <= 4096) return launch_online<T, 32, 4>(p, stream);
  return launch_online<T, 32, 8>(p, stream);
}

}  // namespace
