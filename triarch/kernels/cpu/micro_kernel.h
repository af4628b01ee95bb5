// The micro-kernels of matrix products and of attention: tiles of rows x kCols sums, each held in registers over a
// range of slots: one k as a float, or two neighbouring k as a pair of bfloat16. Included only by kernels/cpu/*.cpp.
#pragma once

#include "triarch/kernels/cpu/simd.h"

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

// Rows of a tile whose panel of a is not packed: what is left of the general registers, one pointer each.
constexpr int kStridedRows = kRows < 12 ? kRows : 12;

constexpr int64_t kLineFloats = 16;  // of a cache line

// Where R rows of a are: from one row and one slot to the next.
struct PanelOfA {
  const float* data;
  int64_t row, slot;
};
// Where panels of b, of kCols columns each, are: from one slot and one panel to the next.
struct PanelsOfB {
  const float* data;
  int64_t slot, panel;
};
// Where the sums of `count` tiles go: rows of out `stride` apart, times scale, set or added. The tiles lie side by
// side, a panel of b for each, or with `down` below each other, R rows of a for each.
struct Sums {
  float* out;
  int64_t stride;
  int64_t count;
  bool down;
  float scale;
  bool add;
};

// Memory that is used soon, fetched into the second-level cache a few lines at a time while something else is computed.
class Fetching {
 public:
  // `rows` rows of `count` elements, `stride` apart, after what was added before.
  template <class T>
  void add(const T* from, int64_t stride, int64_t rows, int64_t count) {
    if (rows <= 0 || count <= 0) return;
    const int64_t offset = int64_t(reinterpret_cast<uintptr_t>(from) % 64);
    Region& region = regions_[count_++];
    region.row = reinterpret_cast<const char*>(from) - offset;
    region.stride = stride * int64_t(sizeof(T)), region.rows = rows;
    region.lines = (offset + count * int64_t(sizeof(T)) + 63) / 64;
    left_ += rows * region.lines;
  }
  // Nothing is added after this, until clear().
  void spread(int64_t parts) { each_ = parts > 0 ? (left_ + parts - 1) / parts : left_; }
  void clear() { count_ = at_ = 0, line_ = left_ = 0; }
  void part() {
    for (int64_t i = each_ < left_ ? each_ : left_; i > 0; --i, --left_) {
      Region& region = regions_[at_];
      __builtin_prefetch(region.row + line_ * 64, 0, 2);
      if (++line_ < region.lines) continue;
      line_ = 0, region.row += region.stride;
      if (--region.rows == 0) ++at_;
    }
  }

 private:
  struct Region {
    const char* row;
    int64_t stride, rows, lines;
  };
  Region regions_[8];
  int count_ = 0, at_ = 0;
  int64_t line_ = 0, left_ = 0, each_ = 0;
};

// sums += b0, b1 times the word that is `bytes` after a and a row's offset: a float, or with `pairs` two bfloat16.
template <int bytes, bool pairs>
[[gnu::always_inline]] inline void add_row(Vec (&sums)[2], const float* a, int64_t row, Vec b0, Vec b1) {
  [[maybe_unused]] const float& word = a[(row + bytes) / int64_t(sizeof(float))];
  if constexpr (pairs) {
#if defined(TRIARCH_ISA_avx512)
    // In assembly, because clang 16 never ends where it casts a broadcast float to bfloat16.
    Vec x;
    asm("vbroadcastss %[word], %[x]\n\t"
        "vdpbf16ps %[b0], %[x], %[s0]\n\t"
        "vdpbf16ps %[b1], %[x], %[s1]"
        : [s0] "+&v"(sums[0]), [s1] "+v"(sums[1]), [x] "=&v"(x)
        : [word] "m"(word), [b0] "v"(b0), [b1] "v"(b1));
#endif
  } else {
#if defined(TRIARCH_ISA_avx2)
    // In assembly, so that all rows share one pointer: g++ 12 gives each row its own and adds to every one, which costs
    // a tenth of the speed while another thread has half of the core's issue slots, and spills sums where it unrolls
    // more.
    Vec x;
    asm("vbroadcastss %c[bytes](%[a],%[row]), %[x]\n\t"
        "vfmadd231ps %[b0], %[x], %[s0]\n\t"
        "vfmadd231ps %[b1], %[x], %[s1]"
        : [s0] "+&x"(sums[0]), [s1] "+x"(sums[1]), [x] "=&x"(x)
        : [a] "r"(a), [row] "r"(row), [b0] "x"(b0), [b1] "x"(b1), [bytes] "i"(bytes),
          "m"(*(const float(*)[1 << 20]) a));
#else
    sums[0] += b0 * word;
    sums[1] += b1 * word;
#endif
  }
}

template <int bytes, bool pairs, int R>
[[gnu::always_inline]] inline void add_slot(Vec (&sums)[R][2], const float* a, const int64_t (&rows)[R],
                                            const float* b) {
  const Vec b0 = load(b), b1 = load(b + kWidth);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) add_row<bytes, pairs>(sums[r], a, rows[r], b0, b1);
}

// Each tile (+)= scale sum over p of a[r a.row + p a.slot] b[p b.slot + column]; kSlot is a.slot, or 0 if it is none of
// those that have a kernel of their own. Before each, a part of `fetching` (or null). Loops over rows are unrolled so
// that every accumulator is a register: g++ 12 spills arrays that it indexes, and those that begin with a choice of
// values. With `ahead` the next R rows of a are fetched meanwhile, into the second-level cache, a share by each tile:
// what reads a from memory neither waits for it nor leaves memory idle while it multiplies.
template <int R, int kSlot, bool ahead, bool pairs>
[[gnu::always_inline]] inline void multiply_tiles(int64_t slots, const PanelOfA& panel, const PanelsOfB& panels,
                                                  const Sums& to, Fetching* fetching) {
  constexpr int kBytes = kSlot * int(sizeof(float));
  const int64_t a_slot = kSlot ? kSlot : panel.slot, b_slot = panels.slot, stride = to.stride;
  const int64_t a_next = to.down ? R * panel.row : 0, b_next = to.down ? 0 : panels.panel;
  const int64_t out_next = to.down ? R * stride : kCols;
  int64_t rows[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) rows[r] = r * panel.row * int64_t(sizeof(float));
  const float *a_of_tile = panel.data, *b_of_tile = panels.data;
  float* out = to.out;
  for (int64_t i = 0; i < to.count; ++i, a_of_tile += a_next, b_of_tile += b_next, out += out_next) {
    if (fetching) fetching->part();
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) __builtin_prefetch(out + r * stride, 1);
    const float *a = a_of_tile, *b = b_of_tile;
    Vec sums[R][2] = {};
    [[maybe_unused]] const int64_t fetch_begin = R * i / to.count, fetch_end = R * (i + 1) / to.count;
    int64_t p = 0;
    do {
      int64_t end = slots;
      if constexpr (ahead) {
        for (int64_t r = fetch_begin; r < fetch_end; ++r) __builtin_prefetch(a + (R + r) * panel.row, 0, 2);
        if (p + kLineFloats < slots) end = p + kLineFloats;
      }
      if constexpr (kSlot > 0) {
        for (; p + 4 <= end; p += 4) {
          add_slot<0, pairs>(sums, a, rows, b);
          b += b_slot;
          add_slot<kBytes, pairs>(sums, a, rows, b);
          b += b_slot;
          add_slot<2 * kBytes, pairs>(sums, a, rows, b);
          b += b_slot;
          add_slot<3 * kBytes, pairs>(sums, a, rows, b);
          b += b_slot;
          a += 4 * a_slot;
        }
      }
#pragma GCC unroll 2
      for (; p < end; ++p) {
        add_slot<0, pairs>(sums, a, rows, b);
        a += a_slot;
        b += b_slot;
      }
    } while (ahead && p < slots);
    const float scale = to.scale;
    if (to.add) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        sums[r][0] = sums[r][0] * scale + load(out + r * stride);
        sums[r][1] = sums[r][1] * scale + load(out + r * stride + kWidth);
      }
    } else {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) sums[r][0] *= scale, sums[r][1] *= scale;
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      store(out + r * stride, sums[r][0]);
      store(out + r * stride + kWidth, sums[r][1]);
    }
  }
}

// A packed panel has rows 1 and slots kLanes apart, rows read where they are have slots 1 apart. Pairs only in AVX-512,
// where has_avx512_bf16().
template <int R, bool packed, bool ahead = false, bool pairs = false>
[[gnu::noinline]] void multiply(int64_t slots, const PanelOfA& a, const PanelsOfB& b, const Sums& to,
                                Fetching* fetching) {
#if defined(TRIARCH_ISA_avx2)
  if (a.slot == 1) return multiply_tiles<R, 1, ahead, false>(slots, a, b, to, fetching);
  if (!ahead && a.slot == kLanes) return multiply_tiles<R, kLanes, false, false>(slots, a, b, to, fetching);
  return multiply_tiles<R, 0, ahead, false>(slots, a, b, to, fetching);
#else
  const PanelOfA with_strides = packed ? PanelOfA{a.data, 1, kLanes} : a;
  multiply_tiles<R, 0, ahead, pairs>(slots, with_strides, b, to, fetching);
#endif
}

using Multiply = void (*)(int64_t slots, const PanelOfA& a, const PanelsOfB& b, const Sums& to, Fetching* fetching);

// The kernel for 1 to R rows.
template <int R, bool packed, bool ahead = false, bool pairs = false>
Multiply multiply_for(int rows) {
  if constexpr (R > 1) {
    if (rows < R) return multiply_for<R - 1, packed, ahead, pairs>(rows);
  }
  return multiply<R, packed, ahead, pairs>;
}

}  // namespace
}  // namespace triarch::kernels::TRIARCH_ISA
