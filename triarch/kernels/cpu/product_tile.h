// The micro-kernels of the matrix product: a tile of at most kMostRows x kCols sums, held in registers over a range of
// k. Included only by kernels/cpu/product.cpp.
#pragma once

#include "triarch/kernels/cpu/amx.h"
#include "triarch/kernels/cpu/product_panels.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

// As many accumulators as the registers hold beside one row of b and one element of a.
#if defined(TRIARCH_ISA_avx512)
constexpr int kRows = 14;
#elif defined(TRIARCH_ISA_avx2)
constexpr int kRows = 6;
#else
constexpr int kRows = 4;
#endif
constexpr int kCols = 2 * kWidth;
constexpr int kLanes = kWidth;  // from one slot of a's panel to the next
static_assert(kRows <= kLanes);

// Whether rows of a are read where they are. A broadcast has no need of neighbours, and six rows are few enough for one
// pointer each; AVX-512 takes its fourteen from a packed panel.
constexpr bool kReadsRows = kRows <= 6;

// Where R rows of a are: from one row and one slot to the next.
struct PanelOfA {
  const float* data;
  int64_t row, slot;
};
// Where a tile's R x kCols sums go: rows out_stride apart, times scale, set or added.
struct Tile {
  float* out;
  int64_t stride;
  float scale;
  bool add;
};

// tile (+)= scale sum over p of a[r a.row + p a.slot] b[p b_slot + column]. Loops over rows are unrolled so that every
// accumulator is a register: g++ 12 spills arrays that it indexes, and those that begin with a choice of values.
template <int R>
[[gnu::noinline]] void multiply(int64_t slots, const PanelOfA& panel, const float* b, int64_t b_slot,
                                const Tile& tile) {
  const float* a = panel.data;
  const int64_t a_row = kReadsRows ? panel.row : 1, a_slot = kReadsRows ? panel.slot : kLanes;
  float* const out = tile.out;
  const int64_t stride = tile.stride;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) __builtin_prefetch(out + r * stride, 1);
  Vec sums[R][2] = {};
#pragma GCC unroll 2
  for (int64_t p = 0; p < slots; ++p) {
    const Vec b0 = load(b), b1 = load(b + kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      sums[r][0] += b0 * a[r * a_row];
      sums[r][1] += b1 * a[r * a_row];
    }
    a += a_slot;
    b += b_slot;
  }
  const float scale = tile.scale;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) sums[r][0] *= scale, sums[r][1] *= scale;
  if (tile.add) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      sums[r][0] += load(out + r * stride);
      sums[r][1] += load(out + r * stride + kWidth);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    store(out + r * stride, sums[r][0]);
    store(out + r * stride + kWidth, sums[r][1]);
  }
}

#if defined(TRIARCH_ISA_avx512)
// The same over pairs of bfloat16, two k at a time.
template <int R>
[[gnu::noinline, gnu::target("avx512bf16")]] void multiply_pairs(int64_t slots, const PanelOfA& panel, const float* b,
                                                                 int64_t b_slot, const Tile& tile) {
  const float* a = panel.data;
  float* const out = tile.out;
  const int64_t stride = tile.stride;
  __m512 sums[R][2] = {};
#pragma GCC unroll 2
  for (int64_t p = 0; p < slots; ++p) {
    const __m512bh b0 = (__m512bh)_mm512_loadu_ps(b), b1 = (__m512bh)_mm512_loadu_ps(b + kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m512bh x = (__m512bh)_mm512_set1_ps(a[r]);
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], x, b0);
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], x, b1);
    }
    a += kLanes;
    b += b_slot;
  }
  const float scale = tile.scale;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) sums[r][0] *= scale, sums[r][1] *= scale;
  if (tile.add) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      sums[r][0] += _mm512_loadu_ps(out + r * stride);
      sums[r][1] += _mm512_loadu_ps(out + r * stride + kWidth);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    _mm512_storeu_ps(out + r * stride, sums[r][0]);
    _mm512_storeu_ps(out + r * stride + kWidth, sums[r][1]);
  }
}
#endif

using Multiply = void (*)(int64_t slots, const PanelOfA& a, const float* b, int64_t b_slot, const Tile& tile);

template <int R = kRows>
Multiply multiply_for(int rows) {
  if constexpr (R > 1) {
    if (rows < R) return multiply_for<R - 1>(rows);
  }
  return multiply<R>;
}

// What a kind of slots takes: the most rows of a tile, what k is cut into multiples of, whether panels of a are rows of
// slots, the state of a unit, and the micro-kernel for 1 to kMostRows rows.
template <class Slot>
struct MicroKernel {
  static constexpr int kMostRows = kRows, kChunk = Slot::kStep;
  static constexpr bool kRowsOfSlots = false;
  struct State {};
  static Multiply of(int rows) { return multiply_for(rows); }
};

#if defined(TRIARCH_ISA_avx512)
template <int R = kRows>
Multiply multiply_pairs_for(int rows) {
  if constexpr (R > 1) {
    if (rows < R) return multiply_pairs_for<R - 1>(rows);
  }
  return multiply_pairs<R>;
}
template <>
struct MicroKernel<Pairs> : MicroKernel<Floats> {
  static constexpr int kChunk = Pairs::kStep;
  static Multiply of(int rows) { return multiply_pairs_for(rows); }
};

template <>
struct MicroKernel<Tiles> {
  static constexpr int kMostRows = kAmxRows, kChunk = int(kTileWords) * Tiles::kStep;
  static constexpr bool kRowsOfSlots = true;
  static_assert(kAmxCols == kCols);
  using State = TileRegisters;
  static auto of(int rows) {
    return [rows](int64_t slots, const PanelOfA& a, const float* b, int64_t b_slot, const Tile& tile) {
      if (tile.scale == 1) return multiply_amx(rows, slots, a.data, a.row, b, b_slot, tile.out, tile.stride, tile.add);
      alignas(64) float sums[kAmxRows * kCols];
      multiply_amx(rows, slots, a.data, a.row, b, b_slot, sums, kCols, false);
      for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < kCols; c += kWidth) {
          float* out = tile.out + r * tile.stride + c;
          const Vec sum = load(sums + r * kCols + c) * tile.scale;
          store(out, tile.add ? sum + load(out) : sum);
        }
      }
    };
  }
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
