// What a panel of queries may see and what is added to its scores: intervals, dropout and position biases.
// Included only by kernels/cpu/attention_*.cpp.
#pragma once

#include "triarch/base/threads.h"
#include "triarch/kernels/attention.h"
#include "triarch/kernels/cpu/attention_tile.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

constexpr float kMasked = -1e30f;  // a score that no interval holds
constexpr float kFloor = -1e28f;   // the least maximum, so that masked scores vanish in rows that see nothing

// Up to kPanel neighbouring query rows of one head, one per column. Columns past `count` repeat the last row.
struct Panel {
  alignas(64) int32_t begin[kPanel], end[kPanel], position[kPanel];
  alignas(64) uint32_t key_low[kPanel], key_high[kPanel];  // of dropout
  int64_t head, row, count;
  int64_t lo, hi;            // the union of the intervals
  int64_t full_lo, full_hi;  // keys that all columns see
  int64_t first_position, last_position;
};

template <class T>
void load_panel(const AttentionInputs<float, T>& a, int64_t head, int64_t row, int64_t count, Panel& p) {
  const int64_t c = head * a.classes / a.heads;
  p.head = head, p.row = row, p.count = count;
  const auto copy = [&](int32_t* to, const int32_t* from) {
    for (int64_t i = 0; i < count; ++i) to[i] = from[row + i];
    for (int64_t i = count; i < kPanel; ++i) to[i] = to[count - 1];
  };
  copy(p.begin, a.begin[c]);
  copy(p.end, a.end[c]);
  int32_t lo = INT32_MAX, hi = INT32_MIN, full_lo = INT32_MIN, full_hi = INT32_MAX;
  for (int64_t i = 0; i < kPanel; ++i) {
    const int32_t begin = p.begin[i], end = p.end[i];
    const bool empty = begin >= end;
    const int32_t from = empty ? INT32_MAX : begin, to = empty ? INT32_MIN : end;
    lo = from < lo ? from : lo, hi = to > hi ? to : hi;
    full_lo = begin > full_lo ? begin : full_lo, full_hi = to < full_hi ? to : full_hi;
    p.end[i] = empty ? begin : end;
  }
  p.lo = lo, p.hi = hi, p.full_lo = full_lo, p.full_hi = full_hi;
  if (a.bias || a.r) {
    copy(p.position, a.q_positions);
    p.first_position = INT32_MAX, p.last_position = INT32_MIN;
    for (int64_t i = 0; i < kPanel; ++i) {
      p.first_position = lesser(p.first_position, p.position[i]);
      p.last_position = greater(p.last_position, p.position[i]);
    }
  }
  if (a.dropout.rate != 0) {
    for (int64_t i = 0; i < kPanel; ++i) {
      const uint64_t key = a.dropout.row_keys[row + lesser(i, count - 1)] ^ a.dropout.site;
      p.key_low[i] = uint32_t(key), p.key_high[i] = uint32_t(key >> 32);
    }
  }
}

template <class V>
[[gnu::always_inline]] inline V load_as(const void* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
[[gnu::always_inline]] inline Vec gather(const float* from, IntVec index) {
#if defined(TRIARCH_ISA_avx512)
  return (Vec)_mm512_mask_i32gather_ps(__m512{}, 0xffff, (__m512i)index, from, 4);
#elif defined(TRIARCH_ISA_avx2)
  return (Vec)_mm256_i32gather_ps(from, (__m256i)index, 4);
#else
  Vec v;
  for (int i = 0; i < kWidth; ++i) v[i] = from[index[i]];
  return v;
#endif
}

// Scores of keys outside of a column's interval become kMasked: rows [lo, hi) of `scores`, whose row 0 is key `first`.
inline void mask(const Panel& p, int64_t first, int64_t lo, int64_t hi, float* scores, int64_t stride) {
  for (int64_t j = lo; j < hi; ++j) {
    const int64_t key = first + j;
    if (key >= p.full_lo && key < p.full_hi) {
      j = lesser(hi, p.full_hi - first) - 1;
      continue;
    }
    for (int64_t half = 0; half < kPanel; half += kWidth) {
      const IntVec at = IntVec{} + int32_t(key);
      const IntVec seen = (at >= load_as<IntVec>(p.begin + half)) & (at < load_as<IntVec>(p.end + half));
      float* s = scores + j * stride + half;
      store(s, select(seen, load(s), splat(kMasked)));
    }
  }
}

// Dropout of one key in a panel: 1 / (1 - rate) or 0 per column, as dropout_factor.
struct DropoutRow {
  uint32_t threshold;
  float kept;
  [[gnu::always_inline]] Vec factor(const Panel& p, uint32_t column, int64_t half) const {
    const UintVec low = load_as<UintVec>(p.key_low + half), high = load_as<UintVec>(p.key_high + half);
    UintVec h = low ^ column;  // hash32, one lane per query
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    h = (h ^ (h >> 16)) + high;
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    h = h ^ (h >> 16);
    return select((IntVec)(h >= threshold), splat(kept), Vec{});
  }
};
inline DropoutRow dropout_row(const Dropout& d) { return {uint32_t(double(d.rate) * 4294967296.0), 1 / (1 - d.rate)}; }
inline uint32_t dropout_column(int64_t head, int64_t key_in_segment) {
  return (uint32_t(head) << 20) + uint32_t(key_in_segment);
}

// The rows of the distance table that a panel and a range of keys can meet: [first, first + count).
struct Distances {
  int64_t first = 0, count = 0;
};
// sign +1: key - query (T5's bias); -1: query - key (XLNet's r).
template <class T>
Distances distances_of(const AttentionInputs<float, T>& a, const Panel& p, int64_t key_lo, int64_t key_hi, int sign) {
  int64_t least = INT32_MAX, most = INT32_MIN;
  for (int64_t j = key_lo; j < key_hi; ++j) {
    least = lesser(least, a.k_positions[j]), most = greater(most, a.k_positions[j]);
  }
  const auto row = [&](int64_t distance) { return greater(-a.span, lesser(a.span, distance)) + a.span; };
  const int64_t first = row(sign > 0 ? least - p.last_position : p.first_position - most);
  const int64_t last = row(sign > 0 ? most - p.first_position : p.last_position - least);
  return {first, last - first + 1};
}
// Rows of the distance table for one key, one per column.
template <class T>
[[gnu::always_inline]] inline IntVec distance_rows(const AttentionInputs<float, T>& a, const Panel& p, int64_t key,
                                                   int64_t half, int sign) {
  const int32_t span = int32_t(a.span), at = a.k_positions[key];
  const IntVec q = load_as<IntVec>(p.position + half);
  IntVec distance = sign > 0 ? at - q : q - at;
  distance = distance < -span ? IntVec{} - span : distance;
  distance = distance > span ? IntVec{} + span : distance;
  return distance + span;
}

// XLNet's term: to[distance - d.first][column] = (q + v).r. `q` is the panel's (q + v) in columns form.
template <class M, class T>
void relative_scores(const AttentionInputs<float, T>& a, int64_t head, Distances d, const float* q, float* r_rows,
                     float* to) {
  const int64_t stride = words<M>(a.head_dim), width = a.heads * a.head_dim;
  pack_rows<M>(d.count, d.count, a.head_dim, a.r + d.first * width + head * a.head_dim, width, nullptr, r_rows);
  product<M>(d.count, (a.head_dim + M::kPer - 1) / M::kPer, {r_rows, stride, 1}, {q, kPanel, 0}, 1, to, kPanel, false);
}

// Adds the biases to the products in rows [lo, hi) of `scores`; the result is in units of log2. `relative` as
// relative_scores gave it, or null.
template <class T>
void add_biases(const AttentionInputs<float, T>& a, const Panel& p, int64_t first, int64_t lo, int64_t hi,
                const float* relative, Distances d, float* scores, int64_t stride) {
  const float* bias = a.bias ? a.bias + p.head * (2 * a.span + 1) : nullptr;
  IntVec lane;
  for (int i = 0; i < kWidth; ++i) lane[i] = i;
  for (int64_t j = lo; j < hi; ++j) {
    for (int64_t half = 0; half < kPanel; half += kWidth) {
      float* s = scores + j * stride + half;
      Vec x = load(s);
      if (relative) {
        const IntVec row = distance_rows(a, p, first + j, half, -1) - int32_t(d.first);
        x += gather(relative + half, row * int32_t(kPanel) + lane);
      }
      x *= splat(a.scale * kLog2E);
      if (bias) x += gather(bias, distance_rows(a, p, first + j, half, 1)) * splat(kLog2E);
      store(s, x);
    }
  }
}

// Rows [rows][cols] of `from`, which is [cols][kPanel] columns, times `scale` per column.
template <class T>
void store_columns(int64_t rows, int64_t cols, float* from, Vec scale0, Vec scale1, float* spare, T* to,
                   int64_t stride) {
  const int64_t padded = round_up(cols, kWidth);
  for (int64_t x = 0; x < cols; ++x) {
    store(from + x * kPanel, load(from + x * kPanel) * scale0);
    store(from + x * kPanel + kWidth, load(from + x * kPanel + kWidth) * scale1);
  }
  turn_all(padded, kPanel, from, kPanel, spare, padded);
  for (int64_t i = 0; i < rows; ++i) {
    int64_t x = 0;
    for (; x + kWidth <= cols; x += kWidth) store(to + i * stride + x, load(spare + i * padded + x));
    if (x < cols) store_part(to + i * stride + x, load(spare + i * padded + x), cols - x);
  }
}

// Keys and values, fetched while something else is computed: rows of a head are short and far apart, which is no stream
// that a processor foresees.
template <class T>
void fetch_keys(const AttentionInputs<float, T>& a, int64_t kv, int64_t first, int64_t keys, Fetching& fetching) {
  fetching.add(a.k + first * a.k_stride + kv * a.head_dim, a.k_stride, keys, a.head_dim);
  fetching.add(a.v + first * a.v_stride + kv * a.head_dim, a.v_stride, keys, a.head_dim);
}

}  // namespace
}  // namespace triarch::kernels::TRIARCH_ISA
