// The matrix product: b is packed once, a strip of columns at a time, and read by all units; a unit is a block of rows
// of c. It packs its part of a, unless the micro-kernel reads that where it is, and runs over all pairs of panels. With
// few rows weights are not packed where the micro-kernel can read them in a's place, else each unit is a strip of its
// own. Up to eight rows times transposed weights (decoding) go through a kernel of their own.
#include "triarch/kernels/product.h"

#include <type_traits>

#include "triarch/base/threads.h"
#include "triarch/kernels/cpu/activation_math.h"
#include "triarch/kernels/cpu/product_panels.h"
#include "triarch/kernels/cpu/product_tile.h"
#include "triarch/kernels/cpu/walk.h"
#include "triarch/kernels/scratch.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

// Sizes, chosen by measurement (docs/decisions/0002-products.md). A panel of a (kLanes x kDepth slots) stays in a
// first-level cache of 32 KB, a block of b (kDepth slots x kBlock) in a second-level cache of 512 KB, a strip of b
// (kStripSlots, all of k) in a third-level cache. Units have kUnitRows at most; they shrink to kMinimumRows x
// kMinimumCols while there are fewer than kMinimumUnits.
constexpr int64_t kDepth = 256;
constexpr int64_t kBlock = 256;
constexpr int64_t kStripSlots = 1 << 20;
constexpr int64_t kNear = 1 << 17;       // floats of an operand that are near enough to be read across their rows
constexpr int64_t kOwnFloats = 1 << 16;  // of b that a unit packs for itself
constexpr int64_t kTurnedRows = 64;
constexpr int64_t kTurnedDepth = 768;  // of k: the packed rows of a stay near, and weights are read in long pieces
constexpr int64_t kTurnedGain = 4;     // times as many weights' rows as a's: with fewer, packing them costs little
constexpr int64_t kUnitRows = 128;
constexpr int64_t kLongUnitRows =
    64;                             // where a row of c takes more than kLong products: a thread that is done waits for
constexpr int64_t kLong = 1 << 17;  // half a unit of another's, and that is then too long
constexpr int64_t kMinimumRows = 32;
constexpr int64_t kMinimumCols = 64;
constexpr int64_t kMinimumUnits = 8;

constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }
constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t larger(int64_t a, int64_t b) { return a < b ? b : a; }

thread_local Scratch unit_scratch;    // of the unit that a thread runs
thread_local Scratch shared_scratch;  // of the thread that packs b, read by all units of a strip
thread_local Scratch turned_scratch;  // of a unit whose part of c is turned

// c[row.., col..] from the scaled sums, [rows][cols] with a stride and whole panels; `scales` are those of the columns,
// if they have some.
template <class A, class C, class B>
void finish(const Product<A, C, B>& x, int64_t row, int rows, int64_t col, int64_t cols, const float* sums,
            int64_t sums_stride, const float* scales) {
  const bool accumulate = x.accumulate;
  const float* bias = x.bias ? x.bias + col : nullptr;
  const int64_t stride = x.c_stride;
  C* c = x.c + row * stride + col;
  C* pre = x.pre_activation ? x.pre_activation + row * stride + col : nullptr;
  with_activation(x.activation, [&](auto kind) {
    for (int r = 0; r < rows; ++r, sums += sums_stride, c += stride, pre += pre ? stride : 0) {
      walk(cols, [&](int64_t at, auto part, int) TRIARCH_BODY {
        Vec v = load(sums + at);
        if (scales) v *= load(scales + at);
        if (accumulate) v += get(c + at, part);
        if (bias) v += get(bias + at, part);
        if (pre) put(pre + at, v, part);
        put(c + at, activate<kind()>(v), part);
      });
    }
  });
}

// The scales of `count` columns of int8 weights, in `room`; other weights have none: null.
template <class A, class C, class B>
const float* scales_of(const Product<A, C, B>& x, int64_t col, int64_t count, float* room) {
  if constexpr (std::is_same_v<B, int8_t>) {
    for (int64_t j = 0; j < count; ++j) room[j] = row_scale(x.b + (col + j) * x.b_stride);
    return room;
  }
  return nullptr;
}

// The most rows of a unit where each takes so many products.
int64_t unit_rows(int64_t products) { return products > kLong ? kLongUnitRows : kUnitRows; }

// Cuts a dimension into panels of nearly equal sizes: a last one of few rows would run far below the peak.
int64_t part(int64_t size, int64_t parts, int64_t i) { return size * i / parts; }

// How k is cut, and which operands are packed.
struct Layout {
  int64_t k_blocks, depth;      // k in a block, a multiple of a slot's
  int64_t slots;                // of a block at most
  int64_t a_size, b_size;       // floats from one packed panel to the next; a line more than it holds, because panels
                                // are written side by side and powers of two would share cache sets
  int64_t a_row;                // from one row of a packed panel of a to the next
  bool a_in_place, b_in_place;  // the micro-kernel reads it where it is
  bool a_ahead = false;         // and fetches a's next rows itself, since it multiplies these by few columns
};

template <class Slot, class A, class C, class B>
Layout layout_of(const Product<A, C, B>& x, int64_t depth = kDepth) {
  constexpr bool floats = sizeof(A) == sizeof(float);
  Layout out;
  out.k_blocks = larger(1, divide_up(x.k, depth * Slot::kStep));
  out.depth = round_up(divide_up(x.k, out.k_blocks), MicroKernel<Slot>::kChunk);
  out.slots = out.depth / Slot::kStep;
  out.b_size = out.slots * kCols + 16;
  if constexpr (MicroKernel<Slot>::kRowsOfSlots) {
    // Rows of whole slots, and no multiple of 2 KB apart, which would share the lines of a first-level cache.
    out.a_row = out.slots + 16;
    out.a_size = out.a_row * MicroKernel<Slot>::kMostRows;
    out.a_in_place = !x.a_transposed && x.k % 2 == 0 && x.a_stride % 2 == 0 && x.a_stride % 1024 != 0;
  } else {
    out.a_row = 1;
    out.a_size = out.slots * kLanes + 16;
    out.a_in_place = floats && kReadsRows && (!x.a_transposed || x.k * x.a_stride <= kNear);
  }
  out.b_in_place =
      floats && sizeof(B) == sizeof(float) && !x.b_transposed && x.n % kCols == 0 && x.k * x.b_stride <= kNear;
  return out;
}

// Panels of b over all of k; `block` is the floats to the next block of k.
struct StripOfB : PanelsOfB {
  int64_t block;
};

// Columns [col, col + cols) of b, at most kBlock, over block `block_k` of k, become panels.
template <class Slot, class A, class C, class B>
void pack_b(const Product<A, C, B>& x, const Layout& layout, int64_t block_k, int64_t col, int64_t cols,
            float* packed) {
  const int64_t k_begin = block_k * layout.depth, k = smaller(layout.depth, x.k - k_begin);
  const int count = int(divide_up(cols, kCols));
  int begin[kBlock / kCols + 1];
  for (int j = 0; j <= count; ++j) begin[j] = j * kCols;
  if (!x.b_transposed) {
    pack_columns<Slot>(x.b + k_begin * x.b_stride + col, x.b_stride, x.n - col, k, packed, layout.b_size, kCols, begin,
                       count);
  } else {
    for (int j = 0; j < count; ++j) {
      pack_rows<Slot>(x.b + (col + begin[j]) * x.b_stride + k_begin, x.b_stride, int(smaller(kCols, cols - begin[j])),
                      k, packed + j * layout.b_size, kCols);
    }
  }
}

// Columns [col, col + cols) of b over all of k, as `panels` says where.
template <class Slot, class A, class C, class B>
void pack_strip(const Product<A, C, B>& x, const Layout& layout, int64_t col, int64_t cols, const StripOfB& panels,
                float* packed) {
  parallel(layout.k_blocks * divide_up(cols, kBlock), [&](int64_t unit, int) {
    const int64_t block_k = unit % layout.k_blocks, first = unit / layout.k_blocks * kBlock;
    pack_b<Slot>(x, layout, block_k, col + first, smaller(kBlock, cols - first),
                 packed + block_k * panels.block + first / kCols * panels.panel);
  });
}

// Rows of a become panels: of a transposed a `panels` at once, `begin` and `readable` as for pack_columns; else one, of
// the rows begin[0] to begin[1].
template <class Slot, class A>
void pack_a(const A* a, int64_t stride, bool transposed, int64_t readable, int64_t k, const Layout& layout,
            const int* begin, int panels, float* packed) {
  if constexpr (MicroKernel<Slot>::kRowsOfSlots) {
    if (transposed) {
      pack_columns_as_rows(a, stride, readable, k, packed, layout.a_size, layout.a_row, begin, panels);
    } else {
      copy_rows(a + begin[0] * stride, stride, begin[1] - begin[0], k, packed, layout.a_row);
    }
  } else if (transposed) {
    pack_columns<Slot>(a, stride, readable, k, packed, layout.a_size, kLanes, begin, panels);
  } else {
    pack_rows<Slot>(a + begin[0] * stride, stride, begin[1] - begin[0], k, packed, kLanes);
  }
}

// A unit: panels [a_begin, a_end) of the a_count that x's rows are cut into, times the columns [col, col + cols).
struct Unit {
  int64_t a_begin, a_end, a_count, col, cols;
  StripOfB b;
  const float* scales;  // of the columns, if they have some
};

template <class Slot, class A, class C, class B>
void multiply_unit(const Product<A, C, B>& x, const Layout& layout, const Unit& unit) {
  using Kernel = MicroKernel<Slot>;
  constexpr int kBlockPanels = kBlock / kCols;
  [[maybe_unused]] typename Kernel::State state;
  const int a_count = int(unit.a_end - unit.a_begin), b_count = int(divide_up(unit.cols, kCols));
  const int64_t first_row = part(x.m, unit.a_count, unit.a_begin);
  int begin[kUnitRows / Kernel::kMostRows + 3];  // the first row of each panel, from the unit's first on, and the end
  for (int i = 0; i <= a_count; ++i) begin[i] = int(part(x.m, unit.a_count, unit.a_begin + i) - first_row);
  // Nothing is done to the sums: whole tiles are c's own.
  const bool plain = !x.bias && !x.pre_activation && x.activation == Activation::none && !unit.scales;

  // Sums of one panel's rows times a block of columns, or of the whole unit where they go on over blocks of k.
  const bool goes_on = layout.k_blocks > 1;
  const int64_t width = goes_on ? b_count * kCols : kBlock;
  const int64_t packed_size = layout.a_in_place ? 0 : layout.a_size * a_count;
  float* packed_a = unit_scratch.get(packed_size + width * (goes_on ? begin[a_count] : Kernel::kMostRows));
  float* sums = packed_a + packed_size;

  for (int64_t block_k = 0; block_k < layout.k_blocks; ++block_k) {
    const int64_t k_begin = block_k * layout.depth, k = smaller(layout.depth, x.k - k_begin);
    const int64_t slots = divide_up(k, Slot::kStep);
    const A* a_block = x.a + (x.a_transposed ? k_begin * x.a_stride + first_row : first_row * x.a_stride + k_begin);
    if (x.a_transposed && !layout.a_in_place) {
      pack_a<Slot>(a_block, x.a_stride, true, x.m - first_row, k, layout, begin, a_count, packed_a);
    }
    // Operands that were written long ago are far away: a's next block, or the rows of its next panel, are fetched
    // while this one is multiplied.
    Fetching fetching;
    if (x.a_transposed && !layout.a_in_place && block_k + 1 < layout.k_blocks) {
      fetching.add(a_block + layout.depth * x.a_stride, x.a_stride, smaller(layout.depth, x.k - k_begin - layout.depth),
                   begin[a_count]);
      fetching.spread(int64_t(a_count) * b_count);
    }
    for (int first = 0; first < b_count; first += kBlockPanels) {
      const int last = int(smaller(b_count, first + kBlockPanels));
      for (int i = 0; i < a_count; ++i) {
        const int64_t row = first_row + begin[i];
        const int height = begin[i + 1] - begin[i];
        float* panel = packed_a + i * layout.a_size;
        // Rows are packed when they are needed: the panel is then still in the first-level cache.
        if (!x.a_transposed && !layout.a_in_place && first == 0) {
          pack_a<Slot>(a_block, x.a_stride, false, 0, k, layout, begin + i, 1, panel);
        }
        PanelOfA a{panel, layout.a_row, kLanes};
        if constexpr (sizeof(A) == sizeof(float)) {
          if (layout.a_in_place && x.a_transposed) a = {a_block + begin[i], 1, x.a_stride};
          if (layout.a_in_place && !x.a_transposed) a = {a_block + begin[i] * x.a_stride, x.a_stride, 1};
        } else if (layout.a_in_place) {
          a = {reinterpret_cast<const float*>(a_block + begin[i] * x.a_stride), x.a_stride / 2, 1};
        }
        if (!x.a_transposed && !layout.a_ahead && first == 0 && i + 1 < a_count) {
          fetching.clear();
          fetching.add(a_block + begin[i + 1] * x.a_stride, x.a_stride, begin[i + 2] - begin[i + 1], k);
          fetching.spread(last - first);
        }
        // Panels [from, to) of b, their sums to out.
        const auto run = [&](int64_t from, int64_t to, float* out, int64_t stride, bool add) {
          const PanelsOfB b{unit.b.data + block_k * unit.b.block + from * unit.b.panel, unit.b.slot, unit.b.panel};
          Kernel::of(height, layout.a_ahead)(slots, a, b, {out, stride, to - from, false, x.scale, add}, &fetching);
        };
        // Of a symmetric c only what reaches the diagonal or lies right of it.
        int64_t from = x.symmetric && row > unit.col ? larger(first, (row - unit.col) / kCols) : first;
        if constexpr (sizeof(C) == sizeof(float)) {
          const int64_t whole = smaller(last, unit.cols / kCols);
          if (plain && from < whole) {
            run(from, whole, x.c + row * x.c_stride + unit.col + from * kCols, x.c_stride, x.accumulate || block_k > 0);
            from = whole;
          }
        }
        if (from >= last) continue;
        float* out = sums + (goes_on ? begin[i] * width + from * kCols : 0);
        run(from, last, out, width, block_k > 0);
        if (block_k == layout.k_blocks - 1) {
          const int64_t col = from * kCols, cols = smaller(last * kCols, unit.cols) - col;
          finish(x, row, height, unit.col + col, cols, out, width, unit.scales ? unit.scales + col : nullptr);
        }
      }
    }
  }
}

// The strip of columns [col, col + cols) of c.
template <class Slot, class A, class C, class B>
void multiply_strip(const Product<A, C, B>& x, const Layout& layout, int64_t col, int64_t cols) {
  const int64_t b_count = divide_up(cols, kCols);
  StripOfB b{{nullptr, kCols, layout.b_size}, b_count * layout.b_size};
  if constexpr (sizeof(B) == sizeof(float)) {
    if (layout.b_in_place) b = {{x.b + col, x.b_stride, kCols}, layout.depth * x.b_stride};
  }
  const float* scales = nullptr;
  if (!layout.b_in_place) {
    const int64_t size = layout.k_blocks * b.block;
    float* packed = shared_scratch.get(size + (std::is_same_v<B, int8_t> ? b_count * kCols : 0));
    scales = scales_of(x, col, cols, packed + size);
    b.data = packed;
    pack_strip<Slot>(x, layout, col, cols, b, packed);
  }
  const int64_t a_count = divide_up(x.m, MicroKernel<Slot>::kMostRows);
  const int64_t row_parts = smaller(
      a_count, larger(divide_up(x.m, unit_rows(cols * x.k)), smaller(kMinimumUnits, divide_up(x.m, kMinimumRows))));
  const int64_t col_parts = larger(1, smaller(divide_up(kMinimumUnits, row_parts), divide_up(cols, kMinimumCols)));
  parallel(row_parts * col_parts, [&](int64_t unit, int) {
    const int64_t i = unit / col_parts, j = unit % col_parts;
    const int64_t begin = part(b_count, col_parts, j), end = part(b_count, col_parts, j + 1);
    Unit u{part(a_count, row_parts, i),
           part(a_count, row_parts, i + 1),
           a_count,
           col + begin * kCols,
           0,
           b,
           scales ? scales + begin * kCols : nullptr};
    u.cols = smaller(cols, end * kCols) - begin * kCols;
    u.b.data += begin * b.panel;
    multiply_unit<Slot>(x, layout, u);
  });
}

// c's part below the diagonal from the one above.
template <class A, class C, class B>
void mirror(const Product<A, C, B>& x) {
  const int64_t stride = x.c_stride;
  parallel(divide_up(x.n, kWidth), [&](int64_t unit, int) {
    const int64_t first = unit * kWidth, last = smaller(x.n, first + kWidth);
    for (int64_t col = 0; col <= first; col += kWidth) {
      const C* from = x.c + col * stride + first;
      if (col < first && last - first == kWidth) {
        turn(from, stride, x.c + first * stride + col, stride);
      } else {
        for (int64_t i = first; i < last; ++i) {
          for (int64_t j = col; j < col + kWidth && j < i; ++j) x.c[i * stride + j] = x.c[j * stride + i];
        }
      }
    }
  });
}

// c turned is b turned times a turned: where a is the smaller, it is packed once and b once or not at all; what a unit
// reads of narrower weights becomes floats, in their order. The parts of c that a unit computes are turned back while
// they are near.
template <class A, class C, class B>
void multiply_turned(const Product<A, C, B>& x, int64_t depth) {
  constexpr bool in_place = sizeof(B) == sizeof(float);
  Product<float, float, A> turned;
  turned.m = x.n;
  turned.n = round_up(x.m, kCols);
  turned.k = x.k;
  turned.a_stride = in_place ? x.b_stride : round_up(x.k, kCols) + kCols;
  turned.a_transposed = !x.b_transposed;
  turned.b = x.a;
  turned.b_stride = x.a_stride;
  turned.b_transposed = !x.a_transposed;
  turned.c_stride = turned.n;
  turned.scale = x.scale;
  Layout layout = layout_of<Floats>(turned, depth);
  layout.b_in_place = false;
  // Rows a multiple of 4 KB apart share lines of a first-level cache.
  layout.a_ahead = !turned.a_transposed && turned.a_stride % 1024 != 0;
  StripOfB b{{nullptr, kCols, layout.b_size}, turned.n / kCols * layout.b_size};
  float* packed = shared_scratch.get(layout.k_blocks * b.block);
  pack_strip<Floats>(turned, layout, 0, x.m, b, packed);
  b.data = packed;
  const int64_t units = larger(divide_up(x.n, unit_rows(x.m * x.k)), smaller(kMinimumUnits, divide_up(x.n, kCols)));
  int64_t rows = round_up(divide_up(x.n, units), kCols);
  if (!in_place) rows = smaller(rows, larger(1, kOwnFloats / turned.a_stride / kCols) * kCols);
  parallel(divide_up(x.n, rows), [&](int64_t unit, int) {
    const int64_t begin = unit * rows, end = smaller(x.n, begin + rows);
    Product<float, float, A> part = turned;
    part.m = end - begin;
    part.c = turned_scratch.get(rows * (turned.n + (in_place ? 0 : turned.a_stride)));
    if constexpr (in_place) {
      part.a = x.b + (turned.a_transposed ? begin : begin * turned.a_stride);
    } else {
      float* wide = part.c + rows * turned.n;
      widen_rows(part.m, x.k, x.b + begin * x.b_stride, x.b_stride, wide, turned.a_stride);
      part.a = wide;
    }
    const int64_t count = divide_up(part.m, MicroKernel<Floats>::kMostRows);
    multiply_unit<Floats>(part, layout, Unit{0, count, count, 0, turned.n, b, nullptr});
    for (int64_t col = begin; col < end; col += kCols) {
      alignas(64) float room[kCols] = {};
      const float* scales = scales_of(x, col, smaller(kCols, end - col), room);
      for (int64_t row = 0; row < x.m; row += kWidth) {
        const int64_t row_end = smaller(x.m, row + kWidth), next = col + kCols;
        for (int64_t i = row; i < row_end && next < end; ++i) __builtin_prefetch(x.c + i * x.c_stride + next, 1);
        alignas(64) float tile[kWidth * kCols];
        for (int half = 0; half < kCols; half += kWidth) {
          turn(part.c + (col - begin + half) * turned.n + row, turned.n, tile + half, kCols);
        }
        finish(x, row, int(row_end - row), col, smaller(kCols, end - col), tile, kCols, scales);
      }
    }
  });
}

template <class Slot, class A, class C, class B>
void multiply_blocks(const Product<A, C, B>& x) {
  const Layout layout = layout_of<Slot>(x);
  const int64_t slots = layout.slots * layout.k_blocks + 1;
  // With few rows packing b is much of the work: each unit packs what it multiplies, and finds it in its second-level
  // cache. Not where a, which each unit packs too, is larger.
  const int64_t own = smaller(kOwnFloats / slots, divide_up(x.n, kMinimumUnits)) / kCols * kCols;
  if (x.m <= kUnitRows && x.b_transposed && !x.symmetric && own >= (layout.a_in_place ? kCols : larger(x.m, kCols))) {
    parallel(divide_up(x.n, own),
             [&](int64_t unit, int) { multiply_strip<Slot>(x, layout, unit * own, smaller(own, x.n - unit * own)); });
    return;
  }
  const int64_t most_cols = larger(kBlock, kStripSlots / slots / kBlock * kBlock);
  for (int64_t col = 0; col < x.n; col += most_cols) {
    multiply_strip<Slot>(x, layout, col, smaller(most_cols, x.n - col));
  }
  if (x.symmetric) mirror(x);
}

// At most kFewRows rows of a as floats [m, k], in the caller's scratch unless they are that already.
template <class A, class C, class B>
const float* few_rows(const Product<A, C, B>& x, int64_t& stride) {
  if constexpr (sizeof(A) == sizeof(float)) {
    if (!x.a_transposed) {
      stride = x.a_stride;
      return x.a;
    }
  }
  stride = round_up(x.k, 16);
  float* copy = shared_scratch.get(x.m * stride);
  if (!x.a_transposed) {
    widen_rows(x.m, x.k, x.a, x.a_stride, copy, stride);
    return copy;
  }
  for (int64_t i = 0; i < x.m; ++i) {
    for (int64_t p = 0; p < x.k; ++p) {
      copy[i * stride + p] = float(x.a[p * x.a_stride + i]);
    }
  }
  return copy;
}

template <class A, class C, class B>
void multiply_few_rows(const Product<A, C, B>& x) {
  int64_t stride = 0;
  const float* a = few_rows(x, stride);
  constexpr int64_t kUnitBytes = 65536;  // of weights
  const int64_t width = round_up(divide_up(kUnitBytes, (x.k + 1) * int64_t(sizeof(B))), kCols);
  const MultiplyRows<B> run = multiply_rows_for<B>(int(x.m));
  parallel(divide_up(x.n, width), [&](int64_t unit, int) {
    const int64_t end = smaller(x.n, (unit + 1) * width);
    for (int64_t col = unit * width; col < end; col += kCols) {
      alignas(64) float tile[kFewRows * kCols];
      if (x.bias) __builtin_prefetch(x.bias + col);  // needed after many lines of weights
      run(x.k, a, stride, x.b + col * x.b_stride, x.b_stride, int(smaller(kCols, end - col)), tile);
      for (int at = 0; at < int(x.m) * kCols; at += kWidth) store(tile + at, load(tile + at) * x.scale);
      alignas(64) float room[kCols] = {};
      const int64_t count = smaller(kCols, end - col);
      finish(x, 0, int(x.m), col, count, tile, kCols, scales_of(x, col, count, room));
    }
  });
}

template <class A, class C, class B>
void multiply_any(const Product<A, C, B>& x) {
  if (x.m <= 0 || x.n <= 0) return;
  if (x.m <= kFewRows && x.b_transposed && x.k > 0) return multiply_few_rows(x);
#if defined(TRIARCH_ISA_avx512)
  if constexpr (sizeof(A) == sizeof(bf16)) {
    if (has_amx_bf16()) return multiply_blocks<Tiles>(x);
    if (has_avx512_bf16()) return multiply_blocks<Pairs>(x);
  }
#endif
  if constexpr (kReadsRows) {
    // Few rows times weights; and gradients of weights with more inputs than outputs, summed over so many rows that
    // turning c back is little.
    const bool few = x.m <= kTurnedRows && kTurnedGain * x.m <= x.n;
    if (few && x.b_transposed && !x.a_transposed) return multiply_turned(x, kTurnedDepth);
    if constexpr (std::is_same_v<A, float> && std::is_same_v<B, float>) {
      const bool wide = x.m < x.n && x.m % kCols == 0 && x.n <= x.k && x.m * x.k <= kStripSlots && x.k * x.n > kNear;
      if (wide && x.a_transposed && !x.b_transposed && !x.symmetric) return multiply_turned(x, kDepth);
    }
  }
  multiply_blocks<Floats>(x);
}

template <class T>
void sum_columns(const ColumnSum<T, float>& x) {
  // Blocks of rows times slices of columns; the blocks' sums are then added in order.
  constexpr int64_t kRowsPerBlock = 128, kSlice = 1024;
  const int64_t blocks = x.rows > 0 ? divide_up(x.rows, kRowsPerBlock) : 1, slices = divide_up(x.cols, kSlice);
  const int64_t stride = round_up(x.cols, 16);
  float* partial = shared_scratch.get(blocks * stride);
  parallel(blocks * slices, [&](int64_t unit, int) {
    const int64_t block = unit / slices, slice = unit % slices;
    const int64_t row_end = smaller(x.rows, (block + 1) * kRowsPerBlock),
                  col_end = smaller(x.cols, (slice + 1) * kSlice);
    for (int64_t col = slice * kSlice; col < col_end; col += 4 * kWidth) {
      Vec sums[4] = {};
      const int64_t left = col_end - col;
      for (int64_t row = block * kRowsPerBlock; row < row_end; ++row) {
        const T* from = x.x + row * x.stride + col;
        if (left >= 4 * kWidth) {
#pragma GCC unroll 4
          for (int v = 0; v < 4; ++v) sums[v] += load(from + v * kWidth);
        } else {
#pragma GCC unroll 4
          for (int v = 0; v < 4; ++v) {
            const int64_t rest = left - v * kWidth;
            if (rest > 0) sums[v] += rest >= kWidth ? load(from + v * kWidth) : load_part(from + v * kWidth, rest);
          }
        }
      }
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        if (v * kWidth < left) {
          const int64_t rest = left - v * kWidth;
          float* to = partial + block * stride + col + v * kWidth;
          rest >= kWidth ? store(to, sums[v]) : store_part(to, sums[v], rest);
        }
      }
    }
  });
  for (int64_t j = 0; j < x.cols; ++j) {
    float sum = partial[j];
    for (int64_t block = 1; block < blocks; ++block) sum += partial[block * stride + j];
    x.out[j] = x.accumulate ? x.out[j] + sum : sum;
  }
}

}  // namespace

void product(const Product<float, float>& args) { multiply_any(args); }
void product(const Product<bf16, bf16>& args) { multiply_any(args); }
void product(const Product<bf16, float>& args) { multiply_any(args); }
void product(const Product<float, float, int8_t>& args) { multiply_any(args); }
void column_sum(const ColumnSum<float, float>& args) { sum_columns(args); }
void column_sum(const ColumnSum<bf16, float>& args) { sum_columns(args); }

}  // namespace triarch::kernels::TRIARCH_ISA
