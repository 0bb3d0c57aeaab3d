// The salient-vocabulary head for sm_90a. Formulas: ref.py. Layout, designs and what bounds them: README.md.
//
// A block of 8 warps computes a position. Two designs share its start and its end:
//   two_pass  a warp a row for the k logits, then the block's threads over columns for dX: the rows are read twice, the second time from L2.
//   online    rows are read once. With e_u = exp(z_u − m) for a running maximum m and d_u = z_u − ζ_u,
//                 A = Σ e_u W_u,   B = Σ e_u (d_u − c) W_u,   dX = w/τ · (B − (d̄ − c) A) / Σ e_u,   d̄ = Σ p̄_u d_u,
//             so two running sums a column are enough; c is the first d that a group of warps meets and keeps B small.
// The head's gradient is a segmented sum over pairs sorted by row: a fixed order, no atomics.
#include "../device.cuh"

using namespace stemma;

extern "C" {

// Mirrored by gpu.py.
struct Problem {
  const void* hidden;        // [T, H]
  const void* head;          // [V, H]
  const int32_t* ids;        // [T, k]
  const float* teacher;      // [T, k]
  const float* weight;       // [T]
  const float* temperature;  // [T], optional
  const int32_t* sampled;    // [T], optional
  float* loss;               // [T], zeroed by the caller, as all results
  void* grad_hidden;         // [T, H]
  float* grad_logits;        // [T, k]
  float* support_lse;        // [T]
  float* sampled_logit;      // [T]
  int32_t* first_bad;        // [1], T before the launch
  int32_t positions, size, vocabulary, k, bfloat16, design;
};

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
}

namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp, kMaxK = 256;
constexpr int kRowsInFlight = 2;   // of a group of warps, online
constexpr int kPairsInFlight = 4;  // of a thread, segmented sum

// What the block knows of its position. Shared.
struct Position {
  int32_t ids[kMaxK + 1];     // the sampled token's after the k
  float teacher[kMaxK + 1];   // divided by the temperature
  float logits[kMaxK + 1];    // W·x, at temperature 1
  float gradient[kMaxK];      // g
};

struct Softmax {
  float largest, sum, student_lse, teacher_lse, loss;
};

__device__ bool load_position(const Problem& p, int t, float inverse, Position& at) {
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
__device__ Softmax softmax(const Problem& p, float inverse, const Position& at) {
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

__device__ float lse_at_temperature_one(const Problem& p, const Position& at) {
  const int lane = threadIdx.x % kWarp;
  float largest = -INFINITY, sum = 0;
  for (int u = lane; u < p.k; u += kWarp) largest = fmaxf(largest, at.logits[u]);
  largest = warp_max(largest);
  for (int u = lane; u < p.k; u += kWarp) sum += expf(at.logits[u] - largest);
  return largest + logf(warp_sum(sum));
}

// Results a position, and g into shared memory. false, for the whole block, where a number is not finite.
__device__ bool finish(const Problem& p, int t, float inverse, Position& at, Softmax& s) {
  const int thread = threadIdx.x;
  bool bad = false;
  for (int u = thread; u < p.k + (p.sampled != nullptr); u += kThreads) bad = bad || !finite(at.logits[u]);
  s = softmax(p, inverse, at);
  bad = bad || !finite(s.loss);
  if (__syncthreads_or(bad)) return false;
  const float lse = lse_at_temperature_one(p, at);
  if (thread == 0) {
    p.loss[t] = s.loss;
    p.support_lse[t] = lse;
    if (p.sampled != nullptr) p.sampled_logit[t] = at.logits[p.k];
  }
  for (int u = thread; u < p.k; u += kThreads) {
    const float log_p = at.logits[u] * inverse - s.student_lse;
    at.gradient[u] = p.weight[t] * inverse * expf(log_p) * (log_p - (at.teacher[u] - s.teacher_lse) - s.loss);
    p.grad_logits[int64_t(t) * p.k + u] = at.gradient[u];
  }
  __syncthreads();
  return true;
}

__device__ void report(const Problem& p, int t) {
  if (threadIdx.x == 0) atomicMin(p.first_bad, t);
}

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
      float row[kVector<T>];
      widen(__ldg(row_of<T>(p.head, at.ids[u], p.size) + v), row);
#pragma unroll
      for (int i = 0; i < kVector<T>; ++i) sum[i] += at.gradient[u] * row[i];
    }
    static_cast<uint4*>(p.grad_hidden)[int64_t(t) * vectors + v] = narrow(sum);
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

template <int N>
__device__ __forceinline__ void put_edge(const Segments& s, int slot, int v, const float (&sum)[N]) {
  float4* to = reinterpret_cast<float4*>(s.edges + int64_t(slot) * s.size + v * N);
#pragma unroll
  for (int i = 0; i < N / 4; ++i) to[i] = float4{sum[4 * i], sum[4 * i + 1], sum[4 * i + 2], sum[4 * i + 3]};
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
        if (crosses_begin) put_edge(s, 2 * chunk, v, sum), head_row = row;
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
    if (crosses_begin) put_edge(s, 2 * chunk, v, sum), head_row = row;
    else if (crosses_end) put_edge(s, 2 * chunk + 1, v, sum), tail_row = row;
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
  if (p.size <= 256) return launch_online<T, 8, 1>(p, stream);
  if (p.size <= 512) return launch_online<T, 16, 1>(p, stream);
  if (p.size <= 1024) return launch_online<T, 32, 1>(p, stream);
  if (p.size <= 2048) return launch_online<T, 32, 2>(p, stream);
  if (p.size <= 4096) return launch_online<T, 32, 4>(p, stream);
  return launch_online<T, 32, 8>(p, stream);
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

extern "C" {

// Both return a CUDA error code of the launch, 0 for none.
int sva_head_forward(const Problem* p, void* stream) {
  if (p->positions == 0) return 0;
  return p->bfloat16 ? forward<BFloat16>(*p, static_cast<cudaStream_t>(stream)) : forward<float>(*p, static_cast<cudaStream_t>(stream));
}

int sva_head_accumulate(const Segments* s, void* stream) {
  if (s->count == 0) return 0;
  return s->bfloat16 ? accumulate<BFloat16>(*s, static_cast<cudaStream_t>(stream)) : accumulate<float>(*s, static_cast<cudaStream_t>(stream));
}
}
