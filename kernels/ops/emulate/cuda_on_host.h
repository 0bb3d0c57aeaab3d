// Enough of CUDA's device language to run a kernel on a CPU, for tests of tiny shapes: included before a .cu file that a C++ compiler reads.
//
// A block's threads are coroutines of one system thread. Each runs until it waits at a barrier (__syncthreads) or a warp operation; a barrier opens
// when all that must arrive have. The order in which threads run between barriers is forward or, with STEMMA_EMULATE_REVERSED, backward: code that
// relies on an order that CUDA does not promise gives other results. A barrier that not all threads reach ends the process with a message.
// The blocks of a cluster run together, each with dynamic shared memory of its own. Static shared memory is one copy for all: a cluster's kernel must not use it.
#pragma once
#define STEMMA_EMULATED 1
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct uint4 {
  uint32_t x, y, z, w;
};
typedef void* cudaStream_t;

namespace emulate {

constexpr int kWarp = 32;
constexpr size_t kStack = 64 * 1024;
enum class State { ready, at_block, at_warp, at_cluster, done };

struct Thread {
  ucontext_t context;
  std::vector<char> stack;
  State state;
  dim3 index;
  int linear;
  int phase;  // of warp operations: their slots alternate, so that a fast lane cannot overwrite what a slow one has not read
};

struct Block {
  std::vector<Thread> threads;
  ucontext_t scheduler;
  Thread* current = nullptr;
  dim3 index, size, grid;
  std::vector<uint64_t> slots[2];
  std::vector<uint4> dynamic;
  const std::function<void()>* body = nullptr;
  int rank = 0, voted = 0;
};

// The blocks of the cluster that runs, and which of them does.
inline std::vector<Block>& cluster() {
  static std::vector<Block> instance(1);
  return instance;
}
inline int& turn() {
  static int instance = 0;
  return instance;
}
inline Block& block() { return cluster()[turn()]; }

inline void wait(State state) {
  Thread& self = *block().current;
  self.state = state;
  swapcontext(&self.context, &block().scheduler);
}

inline void entry() {
  (*block().body)();
  block().current->state = State::done;
  swapcontext(&block().current->context, &block().scheduler);
}

// Opens barriers whose threads have all arrived; threads that have ended do not count.
inline bool open_barriers(Block& b) {
  bool opened = false;
  const int count = int(b.threads.size());
  for (int start = 0; start < count; start += kWarp) {
    const int end = std::min(start + kWarp, count);
    bool all = true, any = false;
    for (int i = start; i < end; ++i) {
      all = all && (b.threads[i].state == State::at_warp || b.threads[i].state == State::done);
      any = any || b.threads[i].state == State::at_warp;
    }
    if (all && any) {
      for (int i = start; i < end; ++i)
        if (b.threads[i].state == State::at_warp) b.threads[i].state = State::ready;
      opened = true;
    }
  }
  bool all = true, any = false;
  for (const Thread& t : b.threads) all = all && (t.state == State::at_block || t.state == State::done), any = any || t.state == State::at_block;
  if (all && any) {
    for (Thread& t : b.threads)
      if (t.state == State::at_block) t.state = State::ready;
    opened = true;
  }
  return opened;
}

inline void start(Block& b) {
  for (Thread& t : b.threads) {
    getcontext(&t.context);
    t.stack.resize(kStack);
    t.context.uc_stack.ss_sp = t.stack.data();
    t.context.uc_stack.ss_size = kStack;
    t.context.uc_link = nullptr;
    makecontext(&t.context, entry, 0);
    t.state = State::ready;
    t.phase = 0;
  }
}

// Each thread that can run, until it waits. false if there was none.
inline bool run_ready(Block& b, bool reversed) {
  bool ran = false;
  const int count = int(b.threads.size());
  for (int i = 0; i < count; ++i) {
    Thread& t = b.threads[reversed ? count - 1 - i : i];
    if (t.state != State::ready) continue;
    b.current = &t;
    swapcontext(&b.scheduler, &t.context);
    ran = true;
  }
  return ran;
}

inline bool open_cluster_barrier(std::vector<Block>& blocks) {
  bool all = true, any = false;
  for (const Block& b : blocks)
    for (const Thread& t : b.threads) all = all && (t.state == State::at_cluster || t.state == State::done), any = any || t.state == State::at_cluster;
  if (!all || !any) return false;
  for (Block& b : blocks)
    for (Thread& t : b.threads)
      if (t.state == State::at_cluster) t.state = State::ready;
  return true;
}

inline void run_cluster(std::vector<Block>& blocks) {
  const bool reversed = std::getenv("STEMMA_EMULATE_REVERSED") != nullptr;
  const int count = int(blocks.size());
  for (Block& b : blocks) start(b);
  for (;;) {
    bool moved = false, over = true;
    for (int i = 0; i < count; ++i) {
      turn() = reversed ? count - 1 - i : i;
      Block& b = block();
      moved = run_ready(b, reversed) || moved;
      moved = open_barriers(b) || moved;
      over = over && std::all_of(b.threads.begin(), b.threads.end(), [](const Thread& t) { return t.state == State::done; });
    }
    if (over) return;
    if (!open_cluster_barrier(blocks) && !moved) {
      std::fprintf(stderr, "emulation: some threads of block %u wait at a barrier that others do not reach\n", blocks[0].index.x);
      std::abort();
    }
  }
}

inline int launch(dim3 grid, dim3 size, int in_cluster, int shared_bytes, const std::function<void()>& body) {
  std::vector<Block>& blocks = cluster();
  blocks.resize(in_cluster);
  const unsigned count = size.x * size.y * size.z;
  for (int rank = 0; rank < in_cluster; ++rank) {
    Block& b = blocks[rank];
    b.threads.resize(count);
    for (auto& slots : b.slots) slots.assign(count, 0);
    b.dynamic.resize((shared_bytes + 15) / 16);
    b.grid = grid, b.size = size, b.body = &body, b.rank = rank;
    for (unsigned i = 0; i < count; ++i) b.threads[i].linear = int(i), b.threads[i].index = dim3(i % size.x, i / size.x % size.y, i / (size.x * size.y));
  }
  for (unsigned y = 0; y < grid.y; ++y)
    for (unsigned x = 0; x < grid.x; x += in_cluster) {
      for (Block& b : blocks) b.index = dim3(x + b.rank, y, 0);
      run_cluster(blocks);
    }
  return 0;
}

// Every lane of the warp gives a value and reads lane `from`'s.
template <typename T>
T exchange(T value, int from) {
  static_assert(sizeof(T) <= 8, "warp operations move up to 8 bytes");
  Thread& self = *block().current;
  auto& slots = block().slots[self.phase ^= 1];
  std::memcpy(&slots[self.linear], &value, sizeof(T));
  wait(State::at_warp);
  std::memcpy(&value, &slots[self.linear / kWarp * kWarp + from], sizeof(T));
  return value;
}

}  // namespace emulate

#define threadIdx (emulate::block().current->index)
#define blockIdx (emulate::block().index)
#define blockDim (emulate::block().size)
#define gridDim (emulate::block().grid)

inline void __syncthreads() { emulate::wait(emulate::State::at_block); }
inline void __syncwarp(unsigned = ~0u) { emulate::wait(emulate::State::at_warp); }
template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return emulate::exchange(value, (emulate::block().current->linear % emulate::kWarp) ^ mask);
}
// Arrive with a vote, read it once all have, and clear it once all have read.
inline int __syncthreads_or(int value) {
  emulate::Block& b = emulate::block();
  b.voted |= value;
  __syncthreads();
  const int result = b.voted;
  __syncthreads();
  b.voted = 0;
  __syncthreads();
  return result;
}
inline int atomicMin(int* address, int value) {
  const int before = *address;
  *address = std::min(before, value);
  return before;
}
inline int atomicAdd(int* address, int value) {
  const int before = *address;
  *address += value;
  return before;
}
template <typename T>
T __ldg(const T* p) {
  return *p;
}
inline float __uint_as_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
inline uint32_t __float_as_uint(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}
