// Transposition of blocks of kWidth x kWidth in registers. Included only by kernels/cpu/*.cpp.
#pragma once

#include "triarch/kernels/cpu/simd.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

// Of every four lanes of a and b the lower (0) or upper (1) two: one of a, one of b by turns, or both of a before b's.
template <int upper, int... L>
[[gnu::always_inline]] inline Vec by_turns(Vec a, Vec b, std::integer_sequence<int, L...>) {
  return __builtin_shufflevector(a, b, (L / 4 * 4 + 2 * upper + L % 4 / 2 + L % 2 * kWidth)...);
}
template <int upper, int... L>
[[gnu::always_inline]] inline Vec in_pairs(Vec a, Vec b, std::integer_sequence<int, L...>) {
  return __builtin_shufflevector(a, b, (L / 4 * 4 + 2 * upper + L % 2 + L % 4 / 2 * kWidth)...);
}

// The elements of t hold the rows of a square matrix; afterwards its columns.
[[gnu::always_inline]] inline void transpose(Vec (&t)[kWidth]) {
#if defined(TRIARCH_ISA_baseline)
  _MM_TRANSPOSE4_PS(t[0], t[1], t[2], t[3]);
#else
#if defined(TRIARCH_ISA_avx512)
  const auto even4 = [](Vec a, Vec b) {
    return Vec(__builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27));
  };
  const auto odd4 = [](Vec a, Vec b) {
    return Vec(__builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31));
  };
#else
  const auto low4 = [](Vec a, Vec b) { return Vec(__builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)); };
  const auto high4 = [](Vec a, Vec b) { return Vec(__builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)); };
#endif
  // Squares of four in every four lanes, then the squares themselves.
  Vec u[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; i += 2) {
    u[i] = by_turns<0>(t[i], t[i + 1], AllLanes{});
    u[i + 1] = by_turns<1>(t[i], t[i + 1], AllLanes{});
  }
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; i += 4) {
    t[i] = in_pairs<0>(u[i], u[i + 2], AllLanes{});
    t[i + 1] = in_pairs<1>(u[i], u[i + 2], AllLanes{});
    t[i + 2] = in_pairs<0>(u[i + 1], u[i + 3], AllLanes{});
    t[i + 3] = in_pairs<1>(u[i + 1], u[i + 3], AllLanes{});
  }
#if defined(TRIARCH_ISA_avx512)
#pragma GCC unroll 16
  for (int c = 0; c < 4; ++c) {
    const Vec first_even = even4(t[c], t[c + 4]);
    const Vec first_odd = odd4(t[c], t[c + 4]);
    const Vec last_even = even4(t[c + 8], t[c + 12]);
    const Vec last_odd = odd4(t[c + 8], t[c + 12]);
    t[c] = even4(first_even, last_even);
    t[c + 8] = odd4(first_even, last_even);
    t[c + 4] = even4(first_odd, last_odd);
    t[c + 12] = odd4(first_odd, last_odd);
  }
#else
#pragma GCC unroll 8
  for (int c = 0; c < 4; ++c) {
    const Vec first = t[c], last = t[c + 4];
    t[c] = low4(first, last);
    t[c + 4] = high4(first, last);
  }
#endif
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
