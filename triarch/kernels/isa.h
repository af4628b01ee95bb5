// Which instruction set the kernels run on, and how a kernel with one body per set is declared.
//
// A kernel is a contract in kernels/<op>.h: an argument struct and one TRIARCH_KERNEL line per pair of
// types. Its bodies are in kernels/cpu/<op>.cpp, which is compiled once per instruction set with
// TRIARCH_ISA set to baseline, avx2 or avx512, inside namespace triarch::kernels::TRIARCH_ISA. To keep
// code for one set out of the others, those files include only kernels/, tensor/dtype.h,
// base/random.h, base/threads.h, <cmath>, <cstdint>, <cstdlib>, <cstring>, <new>,
// <type_traits>, <utility> and <immintrin.h>, and give everything that is not a kernel internal linkage (static or an
// unnamed namespace). The float64 body of every kernel is its reference: a template in kernels/reference/<op>.h,
// instantiated in kernels/reference/<op>.cpp.
#pragma once

#include <cstdint>

namespace triarch::kernels {

// SSE2; AVX2+FMA+F16C; AVX-512 F/BW/DQ/VL; the same with products of bfloat16 by AMX.
enum class Isa : uint8_t { baseline, avx2, avx512, amx };
constexpr Isa kIsas[] = {Isa::baseline, Isa::avx2, Isa::avx512, Isa::amx};

// The best set of this processor, or what $TRIARCH_ISA asks for, if that is lower. Constant after the
// first call, except through force_isa.
Isa active_isa();
// For tests and benchmarks. Returns false, and changes nothing, if the processor lacks it.
bool force_isa(Isa isa);
bool has_isa(Isa isa);
const char* name_of(Isa isa);
// Native bfloat16 products: by vdpbf16ps, with Isa::avx512 or Isa::amx active; by tiles, with Isa::amx.
bool has_avx512_bf16();
inline bool has_amx_bf16() { return active_isa() == Isa::amx; }

}  // namespace triarch::kernels

// TRIARCH_KERNEL(norm_forward, NormForward<float, bf16>) declares the bodies and the dispatcher
// void norm_forward(const NormForward<float, bf16>&).
#define TRIARCH_KERNEL(name, ...)             \
  namespace baseline {                        \
  void name(const __VA_ARGS__& args);         \
  }                                           \
  namespace avx2 {                            \
  void name(const __VA_ARGS__& args);         \
  }                                           \
  namespace avx512 {                          \
  void name(const __VA_ARGS__& args);         \
  }                                           \
  inline void name(const __VA_ARGS__& args) { \
    switch (active_isa()) {                   \
      case Isa::amx:                          \
      case Isa::avx512:                       \
        return avx512::name(args);            \
      case Isa::avx2:                         \
        return avx2::name(args);              \
      case Isa::baseline:                     \
        return baseline::name(args);          \
    }                                         \
  }
