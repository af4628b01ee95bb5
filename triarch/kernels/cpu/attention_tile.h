// The products, layouts and scratch memory under attention. Included only by kernels/cpu/attention_*.cpp.
//
// A factor is kept in 32-bit words: a float, or two neighbouring bfloat16 of the summed dimension, which vdpbf16ps
// and AMX multiply at once. So one micro-kernel serves both, and k below counts words. What is multiplied lies in one
// of two forms: `rows` [row][words of k] for the left factor, `columns` [words of k][column] for the right one, whose
// columns are cut into panels of kPanel = two vectors.
//
// Scores are computed transposed, S' = K Q': queries are columns, so that a maximum, a sum, a logsumexp and the
// edges of intervals are plain vectors, and P' and dS' are at once the factors that dV, dK and dQ need.
#pragma once

#include <type_traits>

#include "triarch/kernels/cpu/amx.h"
#include "triarch/kernels/cpu/transpose.h"
#include "triarch/kernels/isa.h"
#include "triarch/kernels/scratch.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

constexpr int64_t kPanel = kCols;

constexpr int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }
constexpr int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

// How words are multiplied. A unit holds a State.
struct Floats {
  static constexpr int kPer = 1;  // elements in a word
  static constexpr int kRows = kStridedRows;
  struct State {};
  static Multiply of(int rows) { return multiply_for<kStridedRows, false>(rows); }
};
#if defined(TRIARCH_ISA_avx512)
struct Pairs {
  static constexpr int kPer = 2, kRows = kStridedRows;
  struct State {};
  static Multiply of(int rows) { return multiply_for<kStridedRows, false, false, true>(rows); }
  // The words of 2 kWidth neighbours.
  [[gnu::always_inline]] static inline Vec along(Vec a, Vec b) {
    return (Vec)(__m512i)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a);
  }
  // Words with a in the lower halves and b in the upper ones.
  [[gnu::always_inline]] static inline Vec across(Vec a, Vec b) {
    const IntVec low = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const __m512i order = (__m512i)(low | ((low + 16) << 16));
    return (Vec)_mm512_maskz_permutexvar_epi16(~0u, order, (__m512i)along(a, b));
  }
};
struct Tiles : Pairs {
  static constexpr int kRows = kAmxRows;
  using State = TileRegisters;
  static_assert(kPanel == kAmxCols);
  static auto of(int rows) { return multiply_amx_for(rows); }
};
#endif

// out[r][0 .. panels kPanel) (+)= sum over k words of a[r][k] b[k][..], rows of out `stride` apart.
template <class M>
void product(int64_t rows, int64_t k, PanelOfA a, PanelsOfB b, int64_t panels, float* out, int64_t stride, bool add,
             Fetching* fetching = nullptr) {
  for (int64_t left = rows; left > 0;) {
    // The last two are of equal size: few rows do not hide the latency of their sums.
    const bool last = left < 2 * M::kRows;
    const int64_t height = left <= M::kRows ? left : last ? (left + 1) / 2 : M::kRows;
    const bool down = panels == 1 && !last;
    const int64_t below = down ? left / M::kRows - (left % M::kRows != 0) : 1;
    M::of(int(height))(k, a, b, {out, stride, down ? below : panels, down, 1, add}, fetching);
    a.data += below * height * a.row, out += below * height * stride, left -= below * height;
  }
}

template <class T>
[[gnu::always_inline]] inline void prefetch(const T* p, int64_t n) {
  for (int64_t x = 0; x < n; x += 64 / int64_t(sizeof(T))) __builtin_prefetch(p + x);
}

// Words of `count` elements, rounded up to whole vectors, so that transpose fits.
template <class M>
constexpr int64_t words(int64_t count) {
  return round_up((count + M::kPer - 1) / M::kPer, kWidth);
}

// Rows form: to[i][words] of from[i][0 .. cols), with `add` (or null) added to each row. Missing columns and rows
// [rows, padded_rows) are zeros.
template <class M, class T>
void pack_rows(int64_t rows, int64_t padded_rows, int64_t cols, const T* from, int64_t stride, const float* add,
               float* to) {
  const int64_t to_stride = words<M>(cols);
  for (int64_t i = 0; i < rows; ++i, from += stride, to += to_stride) {
    using Element = std::conditional_t<M::kPer == 2, bf16, float>;
    Element* out = reinterpret_cast<Element*>(to);
    int64_t j = 0;
    if (std::is_same_v<T, Element> && !add) {
      for (; j + kWidth <= cols; j += kWidth) std::memcpy(out + j, from + j, size_t(kWidth) * sizeof(T));
    } else {
      for (; j + kWidth <= cols; j += kWidth) store(out + j, add ? load(from + j) + load(add + j) : load(from + j));
    }
    if (j < cols) {
      const Vec x = load_part(from + j, cols - j);
      store(out + j, add ? x + load_part(add + j, cols - j) : x);
      j += kWidth;
    }
    for (; j < to_stride * M::kPer; j += kWidth) store(out + j, Vec{});
  }
  std::memset(to, 0, size_t((padded_rows - rows) * to_stride) * sizeof(float));
}

// Words of bfloat16 with a's in the lower halves and b's in the upper ones.
[[gnu::always_inline]] inline Vec join_across(const bf16* a, const bf16* b) {
  return (Vec)(((UintVec)load(a) >> 16) | (UintVec)load(b));
}

// The columns form, with rows as k, of a rows form [padded_rows][words of cols]. Floats are there already: a panel that
// is wider than the columns left reads on into the next row, or kPanel floats past the last, and its sums there are
// not used. Words of pairs go to `to`.
template <class M>
PanelsOfB columns_of_rows(int64_t padded_rows, int64_t cols, const float* from, [[maybe_unused]] Scratch& to) {
  const int64_t stride = words<M>(cols);
  if constexpr (M::kPer == 1) {
    return {from, stride, kPanel};
  } else {
    const int64_t k = padded_rows / M::kPer, panels = (cols + kPanel - 1) / kPanel;
    float* const data = to.get(panels * k * kPanel);
    for (int64_t i = 0; i < k; ++i) {
      const bf16* even = reinterpret_cast<const bf16*>(from + i * M::kPer * stride);
      const bf16* odd = reinterpret_cast<const bf16*>(from + (i * M::kPer + 1) * stride);
      for (int64_t p = 0; p < panels; ++p) {
        for (int64_t half = 0; half < kPanel; half += kWidth) {
          const int64_t j = p * kPanel + half;
          store(data + (p * k + i) * kPanel + half, j < cols ? join_across(even + j, odd + j) : Vec{});
        }
      }
    }
    return {data, kPanel, k * kPanel};
  }
}

// The transpose of a rows form [padded_rows][words of cols] as a left factor: row j is column j. Floats are read across
// their rows; words of pairs go to `to`.
template <class M>
PanelOfA transposed_rows(int64_t padded_rows, int64_t cols, const float* from, [[maybe_unused]] Scratch& to,
                         [[maybe_unused]] Scratch& spare) {
  const int64_t stride = words<M>(cols);
  if constexpr (M::kPer == 1) {
    return {from, 1, stride};
  } else {
    const int64_t padded_cols = round_up(cols, kWidth), k = padded_rows / 2;
    float* const joined = spare.get(k * padded_cols);
    float* const data = to.get(padded_cols * k);
    for (int64_t i = 0; i < k; ++i) {
      const bf16* even = reinterpret_cast<const bf16*>(from + 2 * i * stride);
      const bf16* odd = reinterpret_cast<const bf16*>(from + (2 * i + 1) * stride);
      for (int64_t j = 0; j < padded_cols; j += kWidth)
        store(joined + i * padded_cols + j, join_across(even + j, odd + j));
    }
    turn_all(k, padded_cols, joined, padded_cols, data, k);
    return {data, k, 1};
  }
}

// 2^x for x <= 127, to about 2 ulp (Cephes' polynomial on [-1/2, 1/2]); below -126 zero.
[[gnu::always_inline]] inline Vec exp2(Vec x) {
  x = max(splat(-127.0f), x);
  const Vec shifted = x + 12582912.0f;  // 1.5 2^23: adding it rounds to an integer, in the low bits
  const Vec r = x - (shifted - 12582912.0f);
  Vec p = splat(1.535336188319500e-4f);
  p = p * r + 1.339887440266574e-3f;
  p = p * r + 9.618437357674640e-3f;
  p = p * r + 5.550332471162809e-2f;
  p = p * r + 2.402264791363012e-1f;
  p = p * r + 6.931472028550421e-1f;
  p = p * r + 1.0f;
  return p * (Vec)(((IntVec)shifted + 127) << 23);
}
// ln x of normal x > 0 (Cephes' polynomial on [sqrt(1/2), sqrt(2)]).
[[gnu::always_inline]] inline Vec log(Vec x) {
  const IntVec bits = (IntVec)x, exponent = (bits - 0x3f3504f3) >> 23;
  const Vec m = (Vec)(bits - (exponent << 23)) - 1.0f, e = __builtin_convertvector(exponent, Vec), square = m * m;
  Vec p = splat(7.0376836292e-2f);
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  return (p * m * square - 2.12194440e-4f * e) - 0.5f * square + m + 0.693359375f * e;
}
constexpr float kLog2E = 1.44269504088896341f, kLn2 = 0.693147180559945309f;

}  // namespace
}  // namespace triarch::kernels::TRIARCH_ISA
