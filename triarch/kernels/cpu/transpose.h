// Transposition of blocks of kWidth x kWidth in registers. Included only by kernels/cpu/*.cpp.
#pragma once

#include "triarch/kernels/cpu/simd.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

// The elements of t hold the rows of a square matrix; afterwards its columns.
[[gnu::always_inline]] inline void transpose(Vec (&t)[kWidth]) {
#if defined(TRIARCH_ISA_baseline)
  _MM_TRANSPOSE4_PS(t[0], t[1], t[2], t[3]);
#else
#if defined(TRIARCH_ISA_avx512)
  const auto low1 = [](Vec a, Vec b) {
    return Vec(__builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29));
  };
  const auto high1 = [](Vec a, Vec b) {
    return Vec(__builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31));
  };
  const auto low2 = [](Vec a, Vec b) {
    return Vec(__builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29));
  };
  const auto high2 = [](Vec a, Vec b) {
    return Vec(__builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31));
  };
  const auto even4 = [](Vec a, Vec b) {
    return Vec(__builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27));
  };
  const auto odd4 = [](Vec a, Vec b) {
    return Vec(__builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31));
  };
#else
  const auto low1 = [](Vec a, Vec b) { return Vec(__builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)); };
  const auto high1 = [](Vec a, Vec b) { return Vec(__builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)); };
  const auto low2 = [](Vec a, Vec b) { return Vec(__builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)); };
  const auto high2 = [](Vec a, Vec b) { return Vec(__builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)); };
  const auto low4 = [](Vec a, Vec b) { return Vec(__builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)); };
  const auto high4 = [](Vec a, Vec b) { return Vec(__builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)); };
#endif
  // Squares of four in every four lanes, then the squares themselves.
  Vec u[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; i += 2) {
    u[i] = low1(t[i], t[i + 1]);
    u[i + 1] = high1(t[i], t[i + 1]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; i += 4) {
    t[i] = low2(u[i], u[i + 2]);
    t[i + 1] = high2(u[i], u[i + 2]);
    t[i + 2] = low2(u[i + 1], u[i + 3]);
    t[i + 3] = high2(u[i + 1], u[i + 3]);
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
