// What both designs do at the start and at the end of a position: read and refuse, softmax, loss and g.
#pragma once
#include "problem.h"
#include "rows.cuh"

// Mirrored by gpu.py.
struct Problem : Tensors {
  const float* known;        // [T, k], optional: logits computed elsewhere, NaN for none. Their rows are not read, their part of dX is left out, and dX is float32
  int32_t* first_bad;        // [1], T before the launch
  int32_t positions, size, vocabulary, k, bfloat16, design, blocks;
};

namespace {

constexpr int kMaxK = 256;

// What a block knows of its position. Shared.
struct Position {
  int32_t ids[kMaxK + 1];     // the sampled token's after the k
  float teacher[kMaxK + 1];   // divided by the temperature
  float logits[kMaxK + 1];    // W·x, at temperature 1
  float gradient[kMaxK];      // g
};

struct Softmax {
  float largest, sum, student_lse, teacher_lse, loss;
};

__device__ __forceinline__ bool load_position(const Problem& p, int t, float inverse, Position& at) {
  const int thread = threadIdx.x;
  bool bad = !finite(p.weight[t]) || !(inverse > 0) || !finite(inverse);
  for (int u = thread; u < p.k; u += kThreads) {
    at.ids[u] = p.ids[int64_t(t) * p.k + u];
    const float teacher = p.teacher[int64_t(t) * p.k + u];
    at.teacher[u] = teacher * inverse;
    bad = bad || at.ids[u] < 0 || at.ids[u] >= p.vocabulary || !finite(teacher);
  }
  if (thread == 0 && p.sampled != nullptr) {
    at.ids[p.k] = p.sampled[t];
    bad = bad || at.ids[p.k] < 0 || at.ids[p.k] >= p.vocabulary;
  }
  __syncthreads();
  for (int u = thread; u < p.k; u += kThreads)
    for (int v = 0; v < u; ++v) bad = bad || at.ids[v] == at.ids[u];
  return __syncthreads_or(bad) == 0;
}

// Every warp computes the same numbers from the shared logits, in one order, so none has to be told.
__device__ __forceinline__ Softmax softmax(const Problem& p, float inverse, const Position& at) {
  const int lane = threadIdx.x % kWarp;
  float largest = -INFINITY, teacher_largest = -INFINITY;
  for (int u = lane; u < p.k; u += kWarp) {
    largest = fmaxf(largest, at.logits[u] * inverse);
    teacher_largest = fmaxf(teacher_largest, at.teacher[u]);
  }
  largest = warp_max(largest), teacher_largest = warp_max(teacher_largest);
  float sum = 0, teacher_sum = 0;
  for (int u = lane; u < p.k; u += kWarp) {
    sum += expf(at.logits[u] * inverse - largest);
    teacher_sum += expf(at.teacher[u] - teacher_largest);
  }
  Softmax s;
  s.largest = largest, s.sum = warp_sum(sum);
  s.student_lse = largest + logf(s.sum), s.teacher_lse = teacher_largest + logf(warp_sum(teacher_sum));
  float loss = 0;
  for (int u = lane; u < p.k; u += kWarp) {
    const float log_p = at.logits[u] * inverse - s.student_lse;
    loss += expf(log_p) * (log_p - (at.teacher[u] - s.teacher_lse));
  }
  s.loss = warp_sum(loss);
  return s;
}

__device__ __forceinline__ float lse_at_temperature_one(const Problem& p, const Position& at) {
  const int lane = threadIdx.x % kWarp;
  float largest = -INFINITY, sum = 0;
  for (int u = lane; u < p.k; u += kWarp) largest = fmaxf(largest, at.logits[u]);
  largest = warp_max(largest);
  for (int u = lane; u < p.k; u += kWarp) sum += expf(at.logits[u] - largest);
  return largest + logf(warp_sum(sum));
}

// Results a position, unless another block of the cluster writes them, and g into shared memory. false, for the whole block, where a number is not finite.
__device__ __forceinline__ bool finish(const Problem& p, int t, float inverse, Position& at, Softmax& s, bool writes = true) {
  const int thread = threadIdx.x;
  bool bad = false;
  for (int u = thread; u < p.k + (p.sampled != nullptr); u += kThreads) bad = bad || !finite(at.logits[u]);
  s = softmax(p, inverse, at);
  bad = bad || !finite(s.loss);
  if (__syncthreads_or(bad)) return false;
  const float lse = lse_at_temperature_one(p, at);
  if (thread == 0 && writes) {
    p.loss[t] = s.loss;
    p.support_lse[t] = lse;
    if (p.sampled != nullptr) p.sampled_logit[t] = at.logits[p.k];
  }
  for (int u = thread; u < p.k; u += kThreads) {
    const float log_p = at.logits[u] * inverse - s.student_lse;
    at.gradient[u] = p.weight[t] * inverse * expf(log_p) * (log_p - (at.teacher[u] - s.teacher_lse) - s.loss);
    if (writes) p.grad_logits[int64_t(t) * p.k + u] = at.gradient[u];
  }
  __syncthreads();
  return true;
}

__device__ void report(const Problem& p, int t) {
  if (threadIdx.x == 0) atomicMin(p.first_bad, t);
}

}  // namespace
