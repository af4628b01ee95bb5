// What this machine can do at most, measured: every benchmark is printed as a share of one of these.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "triarch/kernels/isa.h"

namespace triarch::bench {

// Each is measured once per process and argument (best of several short runs, about 0.1 s) and kept.

// float32 operations per second (a fused multiply-add is two) of independent FMAs in registers; of separate
// multiplications and additions for Isa::baseline.
double float_peak(kernels::Isa isa, int threads);
// bfloat16 operations per second of independent tdpbf16ps or vdpbf16ps, what active_isa() has; 0 where it has none.
double bf16_peak(int threads);

// Memory that threads read in order, each its own part: what a program that reads its weights once can be timed beside.
class Memory {
 public:
  Memory(int threads, int64_t bytes);
  int64_t bytes() const { return lines_ * 64 * threads_; }
  double read_seconds(int passes) const;

 private:
  void read(int thread) const;
  struct Free {
    void operator()(uint64_t* p) const { std::free(p); }
  };
  int threads_;
  int64_t lines_;  // of 64 bytes, of a thread
  std::unique_ptr<uint64_t[], Free> data_;
};

// Bytes per second of reading `bytes` of memory in order, each thread its own part, again and again.
double read_bandwidth(int threads, int64_t bytes = int64_t(1) << 28);

}  // namespace triarch::bench
