// Transposition of blocks of kWidth x kWidth in registers. Included only by kernels/cpu/*.cpp.
#pragma once

#include "triarch/kernels/cpu/simd.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

// The elements of t hold the rows of a square matrix; afterwards its columns.
[[gnu::always_inline]] inline void transpose(Vec (&t)[kWidth]) {
#if defined(TRIARCH_ISA_avx512)
  constexpr IntVec low1 = {0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29};
  constexpr IntVec high1 = {2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31};
  constexpr IntVec low2 = {0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29};
  constexpr IntVec high2 = {2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31};
  constexpr IntVec even4 = {0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27};
  constexpr IntVec odd4 = {4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31};
  Vec u[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) {
    u[i] = __builtin_shuffle(t[i], t[i + 1], low1);
    u[i + 1] = __builtin_shuffle(t[i], t[i + 1], high1);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 4) {
    t[i] = __builtin_shuffle(u[i], u[i + 2], low2);
    t[i + 1] = __builtin_shuffle(u[i], u[i + 2], high2);
    t[i + 2] = __builtin_shuffle(u[i + 1], u[i + 3], low2);
    t[i + 3] = __builtin_shuffle(u[i + 1], u[i + 3], high2);
  }
#pragma GCC unroll 16
  for (int c = 0; c < 4; ++c) {
    const Vec first_even = __builtin_shuffle(t[c], t[c + 4], even4);
    const Vec first_odd = __builtin_shuffle(t[c], t[c + 4], odd4);
    const Vec last_even = __builtin_shuffle(t[c + 8], t[c + 12], even4);
    const Vec last_odd = __builtin_shuffle(t[c + 8], t[c + 12], odd4);
    t[c] = __builtin_shuffle(first_even, last_even, even4);
    t[c + 8] = __builtin_shuffle(first_even, last_even, odd4);
    t[c + 4] = __builtin_shuffle(first_odd, last_odd, even4);
    t[c + 12] = __builtin_shuffle(first_odd, last_odd, odd4);
  }
#elif defined(TRIARCH_ISA_avx2)
  constexpr IntVec low1 = {0, 8, 1, 9, 4, 12, 5, 13};
  constexpr IntVec high1 = {2, 10, 3, 11, 6, 14, 7, 15};
  constexpr IntVec low2 = {0, 1, 8, 9, 4, 5, 12, 13};
  constexpr IntVec high2 = {2, 3, 10, 11, 6, 7, 14, 15};
  constexpr IntVec low4 = {0, 1, 2, 3, 8, 9, 10, 11};
  constexpr IntVec high4 = {4, 5, 6, 7, 12, 13, 14, 15};
  Vec u[kWidth];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 2) {
    u[i] = __builtin_shuffle(t[i], t[i + 1], low1);
    u[i + 1] = __builtin_shuffle(t[i], t[i + 1], high1);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 4) {
    t[i] = __builtin_shuffle(u[i], u[i + 2], low2);
    t[i + 1] = __builtin_shuffle(u[i], u[i + 2], high2);
    t[i + 2] = __builtin_shuffle(u[i + 1], u[i + 3], low2);
    t[i + 3] = __builtin_shuffle(u[i + 1], u[i + 3], high2);
  }
#pragma GCC unroll 8
  for (int c = 0; c < 4; ++c) {
    const Vec first = t[c], last = t[c + 4];
    t[c] = __builtin_shuffle(first, last, low4);
    t[c + 4] = __builtin_shuffle(first, last, high4);
  }
#else
  _MM_TRANSPOSE4_PS(t[0], t[1], t[2], t[3]);
#endif
}

// to[j, i] = from[i, j], kWidth x kWidth.
template <class T>
void turn(const T* from, int64_t from_stride, T* to, int64_t to_stride) {
  Vec t[kWidth];
#pragma GCC unroll 16
  for (int r = 0; r < kWidth; ++r) t[r] = load(from + r * from_stride);
  transpose(t);
#pragma GCC unroll 16
  for (int r = 0; r < kWidth; ++r) store(to + r * to_stride, t[r]);
}

// The same on [rows, cols], both multiples of kWidth.
inline void turn_all(int64_t rows, int64_t cols, const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  for (int64_t i = 0; i < rows; i += kWidth) {
    for (int64_t j = 0; j < cols; j += kWidth) {
      turn(from + i * from_stride + j, from_stride, to + j * to_stride + i, to_stride);
    }
  }
}

}  // namespace
}  // namespace triarch::kernels::TRIARCH_ISA
