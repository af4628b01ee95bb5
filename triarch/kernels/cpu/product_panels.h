// Packing for the matrix product. A panel is a strip of a (kMostRows rows at most) or of b (kCols columns) over a range
// of k, laid out as [slots of k][lanes] of 4 bytes, so that the micro-kernel reads it in order; lanes are whole
// vectors, because stores that cross cache lines cost more than the padding. A slot is one k as a float (bfloat16
// converted here), or two neighbouring k as a pair of bfloat16, which is what AVX512_BF16 and AMX multiply. AMX reads
// panels of a the other way round: [rows][slots of k]. Included only by kernels/cpu/product.cpp.
#pragma once

#include "triarch/kernels/cpu/transpose.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

// One k per slot, as a float.
struct Floats {
  static constexpr int kStep = 1;  // k per slot
  template <class T>
  [[gnu::always_inline]] static Vec along_k(const T* p) {
    return load(p);
  }
  // Lanes are neighbours in memory; the next k is a stride further.
  template <class T>
  [[gnu::always_inline]] static Vec across(const T* p, int64_t, bool) {
    return load(p);
  }
};

// Two neighbouring k per slot, as bfloat16.
struct Pairs {
  static constexpr int kStep = 2;
  [[gnu::always_inline]] static Vec along_k(const bf16* p) {
    Vec v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  [[gnu::always_inline]] static Vec across(const bf16* p, int64_t stride, bool both) {
    HalfVec low, high = {};
    std::memcpy(&low, p, sizeof low);
    if (both) std::memcpy(&high, p + stride, sizeof high);
    return (Vec)(__builtin_convertvector(low, UintVec) | (__builtin_convertvector(high, UintVec) << 16));
  }
};

// The same for AMX, whose panels of a are rows of slots.
struct Tiles : Pairs {};

// Lane r is row r of the source, [rows, k] with a stride, rows > 0; lanes from there on repeat the last row. `width`, a
// multiple of kWidth, is the panel's number of lanes.
template <class Slot, class T>
void pack_rows(const T* source, int64_t stride, int rows, int64_t k, float* panel, int width) {
  constexpr int64_t chunk = int64_t(kWidth) * Slot::kStep;
  for (int lane = 0; lane < width; lane += kWidth) {
    const T* row[kWidth];
    for (int r = 0; r < kWidth; ++r) row[r] = source + (lane + r < rows ? lane + r : rows - 1) * stride;
    float* out = panel + lane;
    int64_t p = 0;
    for (; p + chunk <= k; p += chunk, out += kWidth * width) {
      Vec t[kWidth];
#pragma GCC unroll 16
      for (int r = 0; r < kWidth; ++r) t[r] = Slot::along_k(row[r] + p);
      transpose(t);
#pragma GCC unroll 16
      for (int s = 0; s < kWidth; ++s) store(out + s * width, t[s]);
    }
    if (p < k) {
      Vec t[kWidth];
      for (int r = 0; r < kWidth; ++r) {
        T buffer[chunk] = {};
        std::memcpy(buffer, row[r] + p, size_t(k - p) * sizeof(T));
        t[r] = Slot::along_k(buffer);
      }
      transpose(t);
      const int64_t slots = (k - p + Slot::kStep - 1) / Slot::kStep;
      for (int s = 0; s < slots; ++s) store(out + s * width, t[s]);
    }
  }
}

constexpr int64_t kRowsAhead = 8;

// Columns begin[i] to begin[i + 1] of the source, [k, columns] with a stride, become panel i of `width` lanes; panels
// are `size` floats apart. Of each row the elements before `readable` may be read; lanes not readable are undefined.
// Several panels are filled in one walk over the rows, whose pages and cache lines are far apart.
template <class Slot, class T>
void pack_columns(const T* source, int64_t stride, int64_t readable, int64_t k, float* packed, int64_t size, int width,
                  const int* begin, int panels) {
  for (int64_t p = 0; p < k; p += Slot::kStep) {
    const T* row = source + p * stride;
    const bool both = p + 1 < k;
    float* out = packed + p / Slot::kStep * width;
    for (int64_t at = begin[0]; at < begin[panels]; at += 64 / int64_t(sizeof(T))) {
      __builtin_prefetch(row + kRowsAhead * stride + at);
    }
    for (int i = 0; i < panels; ++i, out += size) {
      for (int lane = 0; lane < width; lane += kWidth) {
        const T* from = row + begin[i] + lane;
        const int64_t present = readable - begin[i] - lane;
        if (present >= kWidth) {
          store(out + lane, Slot::across(from, stride, both));
        } else if (present > 0) {
          T buffer[2 * kWidth] = {};
          std::memcpy(buffer, from, size_t(present) * sizeof(T));
          if (Slot::kStep == 2 && both) std::memcpy(buffer + kWidth, from + stride, size_t(present) * sizeof(T));
          store(out + lane, Slot::across(buffer, kWidth, both));
        }
      }
    }
  }
}

#if defined(TRIARCH_ISA_avx512)
// Row r of the panel, `width` slots apart, is row r of the source, [rows, k] with a stride; k is rounded up to a slot.
inline void copy_rows(const bf16* source, int64_t stride, int rows, int64_t k, float* panel, int64_t width) {
  for (int r = 0; r < rows; ++r, source += stride, panel += width) {
    if (k % 2) panel[k / 2] = 0;
    std::memcpy(panel, source, size_t(k) * sizeof(bf16));
  }
}

// pack_columns with panels of a for AMX: rows begin[i] to begin[i + 1] of what the columns of the source, [k, columns],
// become as rows. 16 x 16 slots are transposed in registers; rows past a panel's last are written, up to a multiple
// of 16.
inline void pack_columns_as_rows(const bf16* source, int64_t stride, int64_t readable, int64_t k, float* packed,
                                 int64_t size, int64_t width, const int* begin, int panels) {
  constexpr int64_t chunk = 2 * kWidth;
  for (int64_t p = 0; p < k; p += chunk) {
    for (int64_t q = p; q < p + chunk && q < k; ++q) {
      const bf16* ahead = source + (q + chunk) * stride;
      for (int64_t at = begin[0]; at < begin[panels]; at += 32) __builtin_prefetch(ahead + at);
    }
    for (int i = 0; i < panels; ++i) {
      for (int row = 0; row < begin[i + 1] - begin[i]; row += kWidth) {
        const int64_t present = readable - begin[i] - row;
        const bf16* from = source + p * stride + begin[i] + row;
        Vec t[kWidth];
        if (present >= kWidth && p + chunk <= k) {
#pragma GCC unroll 16
          for (int s = 0; s < kWidth; ++s) t[s] = Pairs::across(from + 2 * s * stride, stride, true);
        } else {
          const size_t bytes = size_t(present < kWidth ? present : kWidth) * sizeof(bf16);
          for (int s = 0; s < kWidth; ++s) {
            bf16 buffer[2 * kWidth] = {};
            if (p + 2 * s < k) std::memcpy(buffer, from + 2 * s * stride, bytes);
            if (p + 2 * s + 1 < k) std::memcpy(buffer + kWidth, from + (2 * s + 1) * stride, bytes);
            t[s] = Pairs::across(buffer, kWidth, true);
          }
        }
        transpose(t);
        float* out = packed + i * size + row * width + p / 2;
#pragma GCC unroll 16
        for (int r = 0; r < kWidth; ++r) store(out + r * width, t[r]);
      }
    }
  }
}
#endif

}  // namespace
}  // namespace triarch::kernels::TRIARCH_ISA
