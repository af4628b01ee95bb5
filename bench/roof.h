// What this machine can do at most, measured: every benchmark is printed as a share of one of these.
#pragma once

#include <cstdint>

#include "triarch/kernels/isa.h"

namespace triarch::bench {

// Each is measured once per process and argument (best of several short runs, about 0.1 s) and kept.

// float32 operations per second (a fused multiply-add is two) of independent FMAs in registers; of separate
// multiplications and additions for Isa::baseline.
double float_peak(kernels::Isa isa, int threads);
// bfloat16 operations per second of independent tdpbf16ps or vdpbf16ps, what active_isa() has; 0 where it has none.
double bf16_peak(int threads);
// Bytes per second of reading `bytes` of memory in order, each thread its own part, again and again.
double read_bandwidth(int threads, int64_t bytes = int64_t(1) << 28);

}  // namespace triarch::bench
