// What each kind of slots multiplies by. Included only by kernels/cpu/product.cpp.
#pragma once

#include "triarch/kernels/cpu/amx.h"
#include "triarch/kernels/cpu/product_panels.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

// Whether rows of a are read where they are: a broadcast has no need of neighbours. AVX-512 takes its fourteen rows
// from a packed panel.
constexpr bool kReadsRows = kRows == kStridedRows;

// What a kind of slots takes: the most rows of a tile, what k is cut into multiples of, whether panels of a are rows of
// slots, the state of a unit, and the micro-kernel for 1 to kMostRows rows, `ahead` where it reads rows that others of
// as many follow (nothing else does it here).
template <class Slot>
struct MicroKernel {
  static constexpr int kMostRows = kRows, kChunk = Slot::kStep;
  static constexpr bool kRowsOfSlots = false;
  struct State {};
  static Multiply of(int rows, bool ahead) {
    if constexpr (kReadsRows) {
      if (ahead) return multiply_for<kRows, false, true>(rows);
    }
    return multiply_for<kRows, !kReadsRows>(rows);
  }
};

#if defined(TRIARCH_ISA_avx512)
template <>
struct MicroKernel<Pairs> : MicroKernel<Floats> {
  static constexpr int kChunk = Pairs::kStep;
  static Multiply of(int rows, bool) { return multiply_for<kRows, true, false, true>(rows); }
};

template <>
struct MicroKernel<Tiles> {
  static constexpr int kMostRows = kAmxRows, kChunk = int(kTileWords) * Tiles::kStep;
  static constexpr bool kRowsOfSlots = true;
  static_assert(kAmxCols == kCols);
  using State = TileRegisters;
  static auto of(int rows, bool) { return multiply_amx_for(rows); }
};
#endif

// tile[M][kCols], columns [0, count) = a[M, k] b[count, k] transposed: each row of b is read once, in order, and
// fetched kAhead bytes ahead, which is what a product with few rows needs: it waits for memory only.
template <int M, class B>
void multiply_rows(int64_t k, const float* a, int64_t a_stride, const B* b, int64_t b_stride, int count, float* tile) {
  constexpr int64_t kAhead = 4096 / int64_t(sizeof(B));
  constexpr int kParts = M == 1 ? 8 : M == 2 ? 4 : M <= 4 ? 2 : 1;  // enough sums to hide the latency of one
  constexpr int64_t kChunk = int64_t(kParts) * kWidth;
  for (int j = 0; j < count; ++j) {
    const B* row = b + j * b_stride;
    Vec sums[M][kParts] = {};
    int64_t p = 0;
    for (; p + kChunk <= k; p += kChunk) {
#pragma GCC unroll 8
      for (int part = 0; part < kParts; ++part) {
        const int64_t at = p + part * kWidth;
        if (part * kWidth * sizeof(B) % 64 == 0) __builtin_prefetch(row + at + kAhead);
        const Vec x = load(row + at);
#pragma GCC unroll 8
        for (int i = 0; i < M; ++i) sums[i][part] += x * load(a + i * a_stride + at);
      }
    }
    for (; p < k; p += kWidth) {
      const int64_t left = k - p;
      const Vec x = left >= kWidth ? load(row + p) : load_part(row + p, left);
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) {
        sums[i][0] += x * (left >= kWidth ? load(a + i * a_stride + p) : load_part(a + i * a_stride + p, left));
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) {
#pragma GCC unroll 8
      for (int part = 1; part < kParts; ++part) sums[i][0] += sums[i][part];
      tile[i * kCols + j] = sum(sums[i][0]);
    }
  }
}

constexpr int kFewRows = 8;

template <class B>
using MultiplyRows = void (*)(int64_t k, const float* a, int64_t a_stride, const B* b, int64_t b_stride, int count,
                              float* tile);
template <class B, int M = kFewRows>
MultiplyRows<B> multiply_rows_for(int rows) {
  if constexpr (M > 1) {
    if (rows < M) return multiply_rows_for<B, M - 1>(rows);
  }
  return multiply_rows<M, B>;
}

}  // namespace
}  // namespace triarch::kernels::TRIARCH_ISA
