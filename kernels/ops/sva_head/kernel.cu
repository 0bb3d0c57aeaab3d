// The salient-vocabulary head for sm_90a. Formulas: ref.py. Layout, designs and what bounds them: README.md.
#include "forward.cuh"
#include "segments.cuh"

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
