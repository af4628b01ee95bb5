// Walks over memory in vectors, and how they are cut into units. A body is written once, as a lambda on a
// vector that is whole or the last part of a row. Included only by kernels/cpu/*.cpp.
#pragma once

#include "triarch/base/threads.h"
#include "triarch/kernels/cpu/simd.h"

// A body is inlined at every place where a walk calls it, so that its accumulators stay in registers.
#define TRIARCH_BODY __attribute__((always_inline))

namespace triarch::kernels::TRIARCH_ISA {
namespace {

struct Whole {};  // a whole vector
struct Part {
  int64_t n;
};  // its first n elements, 0 < n < kWidth; the others read as zero

[[gnu::always_inline]] inline UintVec iota() {
  UintVec v;
  for (int i = 0; i < kWidth; ++i) v[i] = uint32_t(i);
  return v;
}

template <class T>
[[gnu::always_inline]] inline Vec get(const T* p, Whole) {
  return load(p);
}
template <class T>
[[gnu::always_inline]] inline Vec get(const T* p, Part part) {
  return load_part(p, part.n);
}
// v, with `missing` beyond a part's end.
[[gnu::always_inline]] inline Vec only(Vec v, Whole, float = 0) { return v; }
[[gnu::always_inline]] inline Vec only(Vec v, Part part, float missing = 0) {
  return select((IntVec)(iota() < uint32_t(part.n)), v, splat(missing));
}
template <class T>
[[gnu::always_inline]] inline void put(T* p, Vec v, Whole) {
  store(p, v);
}
template <class T>
[[gnu::always_inline]] inline void put(T* p, Vec v, Part part) {
  store_part(p, v, part.n);
}

// Rows of n elements as floats, `to_stride` apart, which is at least n in whole vectors; the last ends in zeros.
template <class T>
void widen_rows(int64_t rows, int64_t n, const T* from, int64_t from_stride, float* to, int64_t to_stride) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < n; j += kWidth) {
      const T* at = from + i * from_stride + j;
      store(to + i * to_stride + j, j + kWidth <= n ? load(at) : load_part(at, n - j));
    }
  }
}

// f(j, part, lane) for the vectors at j = 0, kWidth, ... of n elements. `lane` counts 0 .. kLanes - 1
// over and over and is a constant in every copy of the body: independent accumulators hide latency.
template <int kLanes, class F>
[[gnu::always_inline]] inline void walk(int64_t n, const F& f) {
  int64_t j = 0;
  if constexpr (kLanes == 4) {
    for (; j + 4 * kWidth <= n; j += 4 * kWidth) {
      f(j, Whole{}, 0);
      f(j + kWidth, Whole{}, 1);
      f(j + 2 * kWidth, Whole{}, 2);
      f(j + 3 * kWidth, Whole{}, 3);
    }
  }
  for (; j + kWidth <= n; j += kWidth) f(j, Whole{}, 0);
  if (j < n) f(j, Part{n - j}, 0);
}
template <class F>
[[gnu::always_inline]] inline void walk(int64_t n, const F& f) {
  walk<1>(n, f);
}

// Four accumulators of a walk<4>.
struct Lanes {
  Vec v[4] = {};
  [[gnu::always_inline]] float total() const { return sum((v[0] + v[1]) + (v[2] + v[3])); }
};

// Elements in a unit of a walk: enough that handing it out (a microsecond) does not count, few enough for
// balance and for the unit's memory to fit the second-level cache.
constexpr int64_t kUnitElements = 16384;

// f(begin, end) over ranges of rows fixed by the shape.
template <class F>
inline void parallel_rows(int64_t rows, int64_t cols, const F& f) {
  const int64_t step = cols < kUnitElements ? kUnitElements / (cols > 0 ? cols : 1) : 1;
  parallel((rows + step - 1) / step, [&](int64_t unit, int) {
    const int64_t begin = unit * step, end = begin + step < rows ? begin + step : rows;
    f(begin, end);
  });
}
// f(begin, end) over ranges of a flat array fixed by its length.
template <class F>
inline void parallel_elements(int64_t count, const F& f) {
  parallel_rows(count, 1, f);
}
// f(begin, end) over slices of whole cache lines of columns, for sums down the rows. At most 16 slices, none
// wider than 256 columns.
constexpr int64_t kWidestSlice = 256;
template <class F>
inline void parallel_columns(int64_t cols, const F& f) {
  int64_t step = (cols + 255) / 256 * 16;
  if (step > kWidestSlice) step = kWidestSlice;
  parallel(step > 0 ? (cols + step - 1) / step : 0, [&](int64_t unit, int) {
    const int64_t begin = unit * step, end = begin + step < cols ? begin + step : cols;
    f(begin, end);
  });
}

}  // namespace
}  // namespace triarch::kernels::TRIARCH_ISA
