// What every compiled implementation is given and gives back. Mirrored by problem.py. Optional pointers may be null.
#pragma once
#include <cstdint>

struct Tensors {
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
};
