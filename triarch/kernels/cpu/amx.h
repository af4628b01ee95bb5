// AMX: sums of products of bfloat16 in eight tile registers of 16 rows of 64 bytes (Intel's manual, volume 1, chapter
// 18). A word is a pair of neighbouring bfloat16 of the summed dimension, as for vdpbf16ps, so both read the same
// operands: a as rows of words, b as slots (one word of k) of neighbouring columns. Included only by kernels/cpu/*.cpp;
// runs only if has_amx_bf16().
#pragma once

#include "triarch/kernels/cpu/micro_kernel.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

#if defined(TRIARCH_ISA_avx512)

constexpr int kAmxRows = 32, kAmxCols = 32;  // of a product: 2 x 2 tiles
constexpr int64_t kTileWords = 16;           // of k in one instruction

// Assembly, because the intrinsics of g++ 12 do not tell it that they read and write memory.
template <int tile>
[[gnu::always_inline]] inline void load_tile(const float* p, int64_t stride) {
  asm volatile("tileloadd (%1,%2,1), %%tmm%c0" ::"i"(tile), "r"(p), "r"(stride * 4) : "memory");
}
// Past the first-level cache, which keeps what is loaded again: a for all columns, while b streams by.
template <int tile>
[[gnu::always_inline]] inline void stream_tile(const float* p, int64_t stride) {
  asm volatile("tileloaddt1 (%1,%2,1), %%tmm%c0" ::"i"(tile), "r"(p), "r"(stride * 4) : "memory");
}
template <int tile>
[[gnu::always_inline]] inline void store_tile(float* p, int64_t stride) {
  asm volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(tile), "r"(p), "r"(stride * 4) : "memory");
}
template <int tile>
[[gnu::always_inline]] inline void clear_tile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(tile) : "memory");
}
template <int sums, int a, int b>
[[gnu::always_inline]] inline void multiply_tile() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sums), "i"(a), "i"(b) : "memory");
}

// The tiles that a thread uses: sums 0 to 3 as [upper, lower][left, right], a 4 and 5, b 6 and 7. A unit holds one of
// these; at its end the registers are empty again, so that a sleeping thread has no tiles to keep.
class TileRegisters {
 public:
  TileRegisters() = default;
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
  ~TileRegisters() {
    if (rows_) asm volatile("tilerelease" ::: "memory");
    rows_ = words_ = 0;
  }

  // Tiles for `rows` <= kAmxRows rows of a and `words` <= kTileWords of k. Their contents are lost where this changes.
  static void shape(int rows, int words) {
    if (rows == rows_ && words == words_) return;
    rows_ = rows, words_ = words;
    alignas(64) struct {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t bytes[16] = {};  // of a row
      uint8_t rows[16] = {};
    } config;
    static_assert(sizeof config == 64);
    const int upper = rows < 16 ? rows : 16, lower = rows - upper;
    const auto set = [&](int tile, int tile_rows, int bytes) {
      config.rows[tile] = uint8_t(tile_rows), config.bytes[tile] = uint16_t(tile_rows ? bytes : 0);
    };
    set(0, upper, 64), set(1, upper, 64), set(2, lower, 64), set(3, lower, 64);
    set(4, upper, 4 * words), set(5, lower, 4 * words);
    set(6, words, 64), set(7, words, 64);
    asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
  }

 private:
  static inline thread_local int rows_ = 0, words_ = 0;
};

// The upper 16 rows alone, or both halves.
template <bool both>
void multiply_amx_part(int64_t steps, const float* a, int64_t a_row, const float* b, int64_t b_slot, float* out,
                       int64_t stride, bool add) {
  if (add) {
    load_tile<0>(out, stride), load_tile<1>(out + 16, stride);
    if constexpr (both) load_tile<2>(out + 16 * stride, stride), load_tile<3>(out + 16 * stride + 16, stride);
  } else {
    clear_tile<0>(), clear_tile<1>();
    if constexpr (both) clear_tile<2>(), clear_tile<3>();
  }
  for (int64_t i = 0; i < steps; ++i, a += kTileWords, b += kTileWords * b_slot) {
    stream_tile<6>(b, b_slot);
    load_tile<4>(a, a_row);
    multiply_tile<0, 4, 6>();
    stream_tile<7>(b + 16, b_slot);
    multiply_tile<1, 4, 7>();
    if constexpr (both) {
      load_tile<5>(a + 16 * a_row, a_row);
      multiply_tile<2, 5, 6>();
      multiply_tile<3, 5, 7>();
    }
  }
  store_tile<0>(out, stride), store_tile<1>(out + 16, stride);
  if constexpr (both) store_tile<2>(out + 16 * stride, stride), store_tile<3>(out + 16 * stride + 16, stride);
}

// out[r][0 .. 32) (+)= sum over words of a[r][words] b[words][0 .. 32), for 1 to 32 rows. Strides are in words.
inline void multiply_amx(int rows, int64_t words, const float* a, int64_t a_row, const float* b, int64_t b_slot,
                         float* out, int64_t stride, bool add) {
  const auto part = rows > 16 ? multiply_amx_part<true> : multiply_amx_part<false>;
  const int64_t steps = words / kTileWords, whole = steps * kTileWords;
  if (steps > 0 || words == 0) {
    TileRegisters::shape(rows, kTileWords);
    part(steps, a, a_row, b, b_slot, out, stride, add);
    add = true;
  }
  if (whole < words) {
    TileRegisters::shape(rows, int(words - whole));
    part(1, a + whole, a_row, b + whole * b_slot, b_slot, out, stride, add);
  }
}

// The micro-kernel for 1 to 32 rows.
inline auto multiply_amx_for(int rows) {
  return [rows](int64_t words, const PanelOfA& a, const PanelsOfB& b, const Sums& to, Fetching* fetching) {
    alignas(64) float sums[kAmxRows * kAmxCols];
    for (int64_t i = 0; i < to.count; ++i) {
      if (fetching) fetching->part();
      const float* from = a.data + (to.down ? i * rows * a.row : 0);
      const float* panel = b.data + (to.down ? 0 : i * b.panel);
      float* out = to.out + i * (to.down ? rows * to.stride : kAmxCols);
      if (to.scale == 1) {
        multiply_amx(rows, words, from, a.row, panel, b.slot, out, to.stride, to.add);
        continue;
      }
      multiply_amx(rows, words, from, a.row, panel, b.slot, sums, kAmxCols, false);
      for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < kAmxCols; c += kWidth) {
          float* at = out + r * to.stride + c;
          const Vec sum = load(sums + r * kAmxCols + c) * to.scale;
          store(at, to.add ? sum + load(at) : sum);
        }
      }
    }
  };
}

#endif

}  // namespace
}  // namespace triarch::kernels::TRIARCH_ISA
