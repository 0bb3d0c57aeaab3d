// A third design: the rows of a position stay in shared memory. The 2, 4 or 8 blocks of a cluster share a position; each holds its part of the columns of all
// rows, so that a row crosses L2 once. A row's partial logits are stored in every block of the cluster and added there in one order, so all compute the same softmax.
#pragma once
#include "position.cuh"

namespace {

constexpr int kMaxBlocks = 8;              // of a cluster: what every device of this architecture takes
constexpr int kSharedBytes = 227 * 1024;   // that a block may have
constexpr int kDoesNotFit = -1;

struct alignas(16) ClusterShared {
  Position at;
  float partial[kMaxBlocks][kMaxK + 1];
  float merged[kThreads * 8];  // sums of dX by groups of threads
};

// ClusterShared, then the block's columns of x and of k (+ 1) rows.
template <typename T>
int shared_bytes(const Problem& p) {
  return int(sizeof(ClusterShared)) + 16 * (p.size / kVector<T> / p.blocks) * (1 + p.k + (p.sampled != nullptr));
}

// Three blocks an SM is what their shared memory allows at most for long rows; left to itself the compiler aims at six and spills.
template <typename T>
__global__ void __launch_bounds__(kThreads, 3) split_columns(Problem p) {
  constexpr int N = kVector<T>;
  ClusterShared& shared = *reinterpret_cast<ClusterShared*>(dynamic_shared());
  Position& at = shared.at;
  const int t = blockIdx.x / p.blocks, rank = cluster_rank(), thread = threadIdx.x, warp = thread / kWarp, lane = thread % kWarp;
  const int own = p.size / N / p.blocks, rows = p.k + (p.sampled != nullptr);  // own: vectors of a row that this block holds
  uint4* x = dynamic_shared() + sizeof(ClusterShared) / 16;
  uint4* held = x + own;
  if (p.weight[t] == 0) return;
  const float inverse = p.temperature == nullptr ? 1.0f : 1.0f / p.temperature[t];
  const uint4* hidden = row_of<T>(p.hidden, t, p.size) + rank * own;
  for (int v = thread; v < own; v += kThreads) x[v] = hidden[v];
  if (!load_position(p, t, inverse, at)) return report(p, t);  // so does every block of the cluster

  for (int u = warp; u < rows; u += kWarps) {
    const uint4* row = row_of<T>(p.head, at.ids[u], p.size) + rank * own;
    for (int v = lane; v < own; v += kWarp) copy_async(held + u * own + v, row + v);
  }
  cluster_sync();  // every block is there, so that its shared memory may be written
  await_copies();
  for (int u = warp; u < rows; u += kWarps) {
    float sum = 0;
    for (int v = lane; v < own; v += kWarp) sum += dot<T>(held[u * own + v], x[v]);
    sum = warp_sum(sum);
    if (lane < p.blocks) store_in(&shared.partial[rank][u], lane, sum);
  }
  cluster_sync();  // and none ends before all have written
  for (int u = thread; u < rows; u += kThreads) {
    float sum = 0;
    for (int block = 0; block < p.blocks; ++block) sum += shared.partial[block][u];
    at.logits[u] = sum;
  }
  __syncthreads();
  Softmax s;
  if (!finish(p, t, inverse, at, s, rank == 0)) return report(p, t);

  // A thread a vector of columns; where that leaves threads over, groups of them take rows in turn and are added up in order.
  const int groups = own < kThreads ? kThreads / own : 1;
  for (int v = thread % own, group = thread / own; group < groups && v < own; v += kThreads) {
    float sum[N] = {};
    for (int u = group; u < p.k; u += groups) {
      float row[N];
      widen(held[u * own + v], row);
#pragma unroll
      for (int i = 0; i < N; ++i) sum[i] += at.gradient[u] * row[i];
    }
    if (groups == 1) static_cast<uint4*>(p.grad_hidden)[int64_t(t) * p.blocks * own + rank * own + v] = narrow(sum);
    else
      for (int i = 0; i < N; ++i) shared.merged[(i * groups + group) * own + v] = sum[i];
  }
  if (groups == 1) return;
  __syncthreads();
  for (int v = thread; v < own; v += kThreads) {
    float sum[N] = {};
    for (int group = 0; group < groups; ++group)
      for (int i = 0; i < N; ++i) sum[i] += shared.merged[(i * groups + group) * own + v];
    static_cast<uint4*>(p.grad_hidden)[int64_t(t) * p.blocks * own + rank * own + v] = narrow(sum);
  }
}

template <typename T>
int launch_cluster_of(const Problem& p, cudaStream_t stream) {
  const int bytes = shared_bytes<T>(p);
  if (bytes > kSharedBytes) return kDoesNotFit;
  return launch_cluster(split_columns<T>, dim3(p.positions * p.blocks), dim3(kThreads), p.blocks, bytes, stream, p);
}

}  // namespace
