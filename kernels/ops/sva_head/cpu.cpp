// The salient-vocabulary head on a CPU: gathered dot products, rows of float or bfloat16, sums in float.
//
// Sums have one order whatever the number of threads: a position belongs to one thread, and so does an id of the head's
// gradient, whose pairs are added in ascending position. Called through ctypes: plain pointers, no exceptions.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "problem.h"

namespace {

constexpr int kLanes = 16;
typedef float Lanes __attribute__((vector_size(kLanes * 4), aligned(4)));
typedef uint32_t Bits __attribute__((vector_size(kLanes * 4), aligned(4)));
typedef uint16_t Halves __attribute__((vector_size(kLanes * 2), aligned(2)));

struct BFloat16 {
  uint16_t bits;
};

inline float widen(float value) { return value; }
inline float widen(BFloat16 value) {
  const uint32_t bits = uint32_t(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}
inline void narrow(float value, float* out) { *out = value; }
inline void narrow(float value, BFloat16* out) {  // to nearest, ties to even
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  out->bits = uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
inline Lanes load(const float* p) { return *reinterpret_cast<const Lanes*>(p); }
inline Lanes load(const BFloat16* p) {
  const Bits bits = __builtin_convertvector(*reinterpret_cast<const Halves*>(p), Bits) << 16;
  return reinterpret_cast<const Lanes&>(bits);
}

template <typename T>
float dot(const T* a, const T* b, int64_t size) {
  Lanes sums[2] = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= size; i += 2 * kLanes) {
    sums[0] += load(a + i) * load(b + i);
    sums[1] += load(a + i + kLanes) * load(b + i + kLanes);
  }
  const Lanes both = sums[0] + sums[1];
  float total = 0;
  for (int lane = 0; lane < kLanes; ++lane) total += both[lane];
  for (; i < size; ++i) total += widen(a[i]) * widen(b[i]);
  return total;
}

// out += scale · row
template <typename T>
void add_scaled(float* out, float scale, const T* row, int64_t size) {
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) *reinterpret_cast<Lanes*>(out + i) += scale * load(row + i);
  for (; i < size; ++i) out[i] += scale * widen(row[i]);
}

float log_sum_exp(const float* values, int k, float scale) {
  const float largest = *std::max_element(values, values + k);
  float sum = 0;
  for (int u = 0; u < k; ++u) sum += std::exp((values[u] - largest) * scale);
  return largest * scale + std::log(sum);
}

// body(begin, end) on contiguous shares of [0, count)
template <typename Body>
void in_parallel(int64_t count, int threads, const Body& body) {
  threads = int(std::max<int64_t>(1, std::min<int64_t>(threads, count)));
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back([=, &body] { body(count * i / threads, count * (i + 1) / threads); });
  body(0, count / threads);
  for (auto& other : others) other.join();
}

}  // namespace

// Mirrored by cpu.py.
struct Problem : Tensors {
  int64_t positions, size, vocabulary;
  int32_t k, threads;
};

namespace {

bool valid_ids(const Problem& p, int64_t t) {
  const int32_t* ids = p.ids + t * p.k;
  for (int u = 0; u < p.k; ++u) {
    if (ids[u] < 0 || ids[u] >= p.vocabulary) return false;
    int repeated = 0;
    for (int v = 0; v < u; ++v) repeated += ids[v] == ids[u];
    if (repeated) return false;
  }
  return p.sampled == nullptr || (p.sampled[t] >= 0 && p.sampled[t] < p.vocabulary);
}

// false: something at this position is not a number one can compute with
template <typename T>
bool one_position(const Problem& p, int64_t t, float* row) {
  if (!valid_ids(p, t)) return false;
  const int32_t* ids = p.ids + t * p.k;
  const float* teacher = p.teacher + t * p.k;
  const T* x = static_cast<const T*>(p.hidden) + t * p.size;
  const T* head = static_cast<const T*>(p.head);
  float* g = p.grad_logits + t * p.k;
  const float inverse = p.temperature == nullptr ? 1.0f : 1.0f / p.temperature[t];
  if (!(inverse > 0) || !std::isfinite(inverse) || !std::isfinite(p.weight[t])) return false;

  for (int u = 0; u < p.k; ++u) g[u] = dot(x, head + int64_t(ids[u]) * p.size, p.size);
  for (int u = 0; u < p.k; ++u)
    if (!std::isfinite(g[u]) || !std::isfinite(teacher[u])) return false;
  p.support_lse[t] = log_sum_exp(g, p.k, 1.0f);
  if (p.sampled != nullptr) {
    p.sampled_logit[t] = dot(x, head + int64_t(p.sampled[t]) * p.size, p.size);
    if (!std::isfinite(p.sampled_logit[t])) return false;
  }
  const float student_lse = log_sum_exp(g, p.k, inverse), teacher_lse = log_sum_exp(teacher, p.k, inverse);
  float loss = 0;
  for (int u = 0; u < p.k; ++u) {
    const float log_p = g[u] * inverse - student_lse;
    loss += std::exp(log_p) * (log_p - (teacher[u] * inverse - teacher_lse));
  }
  if (!std::isfinite(loss)) return false;
  std::fill(row, row + p.size, 0.0f);
  for (int u = 0; u < p.k; ++u) {
    const float log_p = g[u] * inverse - student_lse;
    g[u] = p.weight[t] * inverse * std::exp(log_p) * (log_p - (teacher[u] * inverse - teacher_lse) - loss);
    add_scaled(row, g[u], head + int64_t(ids[u]) * p.size, p.size);
  }
  T* dx = static_cast<T*>(p.grad_hidden) + t * p.size;
  for (int64_t i = 0; i < p.size; ++i) narrow(row[i], dx + i);
  p.loss[t] = loss;
  return true;
}

// The first bad position, or −1.
template <typename T>
int64_t all_positions(const Problem& p) {
  std::atomic<int64_t> first_bad{p.positions};
  in_parallel(p.positions, p.threads, [&](int64_t begin, int64_t end) {
    std::vector<float> row(p.size);
    for (int64_t t = begin; t < end; ++t) {
      if (p.weight[t] == 0 || one_position<T>(p, t, row.data())) continue;
      int64_t known = first_bad.load();
      while (t < known && !first_bad.compare_exchange_weak(known, t)) {
      }
      return;
    }
  });
  return first_bad < p.positions ? first_bad.load() : -1;
}

// Stable, least significant digit first: pairs [M] (position·k + slot) ordered by id.
void sort_pairs(const int32_t* ids, std::vector<int32_t>& pairs, int64_t vocabulary) {
  constexpr int kDigit = 11, kBuckets = 1 << kDigit;
  std::vector<int32_t> other(pairs.size());
  for (int shift = 0; (vocabulary - 1) >> shift > 0; shift += kDigit) {
    int64_t starts[kBuckets + 1] = {};
    for (const int32_t pair : pairs) ++starts[((ids[pair] >> shift) & (kBuckets - 1)) + 1];
    for (int b = 0; b < kBuckets; ++b) starts[b + 1] += starts[b];
    for (const int32_t pair : pairs) other[starts[(ids[pair] >> shift) & (kBuckets - 1)]++] = pair;
    pairs.swap(other);
  }
}

template <typename T>
void add_segments(const T* hidden, const float* g, const int32_t* pairs, const int64_t* segments, const int64_t* target,
                  int64_t first, int64_t last, int32_t k, int64_t size, float* out) {
  std::vector<float> sum(size);
  for (int64_t s = first; s < last; ++s) {
    std::fill(sum.begin(), sum.end(), 0.0f);
    for (int64_t i = segments[s]; i < segments[s + 1]; ++i) add_scaled(sum.data(), g[pairs[i]], hidden + int64_t(pairs[i] / k) * size, size);
    add_scaled(out + target[s] * size, 1.0f, sum.data(), size);
  }
}

}  // namespace

extern "C" {

int64_t sva_head_forward(const Problem* p, int32_t bfloat16) {
  return bfloat16 ? all_positions<BFloat16>(*p) : all_positions<float>(*p);
}

// pairs [M] and segments [M + 1] and unique [M] are written; returns how many distinct ids there are.
int64_t sva_head_plan(const Problem* p, int32_t* pairs, int64_t* segments, int64_t* unique) {
  std::vector<int32_t> order;
  for (int64_t t = 0; t < p->positions; ++t)
    if (p->weight[t] != 0)
      for (int u = 0; u < p->k; ++u) order.push_back(int32_t(t * p->k + u));
  sort_pairs(p->ids, order, p->vocabulary);
  std::copy(order.begin(), order.end(), pairs);
  int64_t count = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && p->ids[order[i]] == unique[count - 1]) continue;
    segments[count] = int64_t(i);
    unique[count++] = p->ids[order[i]];
  }
  segments[count] = int64_t(order.size());
  return count;
}

// out[target[s]] += Σ over the pairs of segment s of g · X
void sva_head_accumulate(const Problem* p, int32_t bfloat16, const int32_t* pairs, const int64_t* segments, const int64_t* target,
                         int64_t count, float* out) {
  const int threads = int(std::max<int64_t>(1, std::min<int64_t>(p->threads, count)));
  const int64_t total = segments[count];
  // Shares of about as many pairs, cut between ids.
  in_parallel(threads, threads, [&](int64_t begin, int64_t end) {
    const auto cut = [&](int64_t i) { return i == threads ? count : std::lower_bound(segments, segments + count, total * i / threads) - segments; };
    const int64_t first = cut(begin), last = cut(end);
    if (bfloat16) add_segments(static_cast<const BFloat16*>(p->hidden), p->grad_logits, pairs, segments, target, first, last, p->k, p->size, out);
    else add_segments(static_cast<const float*>(p->hidden), p->grad_logits, pairs, segments, target, first, last, p->k, p->size, out);
  });
}
}
