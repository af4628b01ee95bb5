// Few queries against a long cache: bound by reading keys and values once, in the order of memory. A unit is a range of
// keys of one segment, for all heads; what the ranges give is merged in order. Included only by attention_forward.cpp.
#pragma once

#include "triarch/kernels/cpu/attention_panel.h"
#include "triarch/kernels/cpu/walk.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

constexpr int64_t kDecodeRows = 4;  // segments of at most so many queries take this way

template <class T>
bool decodes(const AttentionInputs<float, T>& a, const AttentionSegment& s) {
  return s.q_length <= kDecodeRows && a.dropout.rate == 0 && !a.r;
}

struct DecodeUnit {
  int64_t segment, first, keys;
  int64_t range, ranges;  // of the segment
  int64_t partial;        // where its results are: one per query head and row
};
constexpr int64_t kRanges = 16;  // of a segment, at most
// The results of one head and row over one range: the weighted sum of values, largest score (log2), sum of weights.
constexpr int64_t partial_floats(int64_t head_dim) { return round_up(head_dim, kWidth) + kWidth; }

struct DecodeScratch {
  Scratch q, weights, near;
};
thread_local DecodeScratch decode_scratch;
thread_local Scratch decode_units, decode_partials;

// q.k for kWidth keys, key[0 .. kWidth) pointing to their rows.
template <class T>
[[gnu::always_inline]] inline Vec dots(const float* q, const T* const* key, int64_t column, int64_t d) {
  Vec v[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) v[i] = Vec{};
  int64_t x = 0;
  for (; x + kWidth <= d; x += kWidth) {
    const Vec at = load(q + x);
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) v[i] += at * load(key[i] + column + x);
  }
  if (x < d) {
    const Vec at = load(q + x);
    for (int i = 0; i < kWidth; ++i) v[i] += at * load_part(key[i] + column + x, d - x);
  }
  return sums_of(v);
}

// out[0 .. d) += sum over n <= kWidth keys of weight[i] v[i].
template <class T>
[[gnu::always_inline]] inline void add_values(const float* weight, const T* v, int64_t stride, int64_t n, int64_t d,
                                              float* out) {
  for (int64_t x = 0; x < d; x += kWidth) {
    Vec sum_of = load(out + x);
    if (x + kWidth <= d) {
      for (int64_t i = 0; i < n; ++i) sum_of += weight[i] * load(v + i * stride + x);
    } else {
      for (int64_t i = 0; i < n; ++i) sum_of += weight[i] * load_part(v + i * stride + x, d - x);
    }
    store(out + x, sum_of);
  }
}

template <class T>
void decode_unit(const AttentionForward<float, T>& a, const DecodeUnit& unit, float* partials) {
  const AttentionSegment& segment = a.segments[unit.segment];
  const int64_t d = a.head_dim, padded = round_up(d, kWidth), group = a.heads / a.kv_heads;
  const int64_t rows = segment.q_length, queries = a.heads * rows, keys = round_up(unit.keys, kWidth);
  const int64_t end = unit.first + unit.keys;
  float* q = decode_scratch.q.get(queries * padded);
  float* weights = decode_scratch.weights.get(queries * keys);
  const int64_t near_rows = greater(kWidth, 8);
  float* near = decode_scratch.near.get(near_rows * padded);
  const bool shared = group * rows > 1;
  std::memset(near, 0, size_t(near_rows * padded) * sizeof(float));
  const float* near_key[kWidth];
  for (int64_t i = 0; i < kWidth; ++i) near_key[i] = near + i * padded;
  const float c = a.scale * kLog2E;
  for (int64_t n = 0; n < queries; ++n) {
    const T* from = a.q + (segment.q_begin + n % rows) * a.q_stride + n / rows * d;
    for (int64_t x = 0; x < padded; ++x) q[n * padded + x] = x < d ? c * float(from[x]) : 0;
  }
  IntVec lane;
  for (int i = 0; i < kWidth; ++i) lane[i] = i;
  for (int64_t first = unit.first; first < end; first += kWidth) {
    const T* key[kWidth];
    alignas(64) int32_t position[kWidth];
    for (int64_t i = 0; i < kWidth; ++i) {
      const int64_t at = lesser(first + i, end - 1);
      key[i] = a.k + at * a.k_stride;
      if (a.bias) position[i] = a.k_positions[at];
    }
    for (int64_t kv = 0; kv < a.kv_heads; ++kv) {
      // The same columns of the next keys; the last prefetches of a cache fall behind it, which is harmless.
      for (int64_t i = 0; i < kWidth; ++i) prefetch(key[i] + kWidth * a.k_stride + kv * d, d);
      // What several queries share is converted once, and rows whose distance is a power of two do not push each other
      // out of the first cache.
      if (shared) widen_rows(lesser(kWidth, end - first), d, key[0] + kv * d, a.k_stride, near, padded);
      for (int64_t n = kv * group * rows; n < (kv + 1) * group * rows; ++n) {
        const int64_t head = n / rows, row = segment.q_begin + n % rows, class_of = head * a.classes / a.heads;
        Vec x = shared ? dots(q + n * padded, near_key, 0, padded) : dots(q + n * padded, key, kv * d, d);
        const IntVec at = lane + int32_t(first);
        if (a.bias) {
          const int32_t span = int32_t(a.span);
          IntVec distance = load_as<IntVec>(position) - a.q_positions[row];
          distance = distance < -span ? IntVec{} - span : distance;
          distance = distance > span ? IntVec{} + span : distance;
          x += gather(a.bias + head * (2 * a.span + 1), distance + span) * splat(kLog2E);
        }
        const int32_t stop = int32_t(lesser(a.end[class_of][row], end));
        x = select((at >= a.begin[class_of][row]) & (at < stop), x, splat(kMasked));
        store(weights + n * keys + first - unit.first, x);
      }
    }
  }
  for (int64_t n = 0; n < queries; ++n) {
    float* w = weights + n * keys;
    Vec top = splat(kFloor), sum_of{};
    for (int64_t j = 0; j < keys; j += kWidth) top = max(load(w + j), top);
    const float most = largest(top);
    for (int64_t j = 0; j < keys; j += kWidth) {
      const Vec e = exp2(load(w + j) - splat(most));
      sum_of += e;
      store(w + j, e);
    }
    float* partial = partials + n * partial_floats(d);
    partial[padded] = most, partial[padded + 1] = sum(sum_of);
    std::memset(partial, 0, size_t(padded) * sizeof(float));
  }
  for (int64_t first = unit.first; first < end; first += 8) {
    const int64_t count = lesser(8, end - first);
    for (int64_t kv = 0; kv < a.kv_heads; ++kv) {
      const T* v = a.v + first * a.v_stride + kv * d;
      for (int64_t i = 0; i < count; ++i) prefetch(v + (i + 8) * a.v_stride, d);
      if (shared) widen_rows(count, d, v, a.v_stride, near, padded);
      for (int64_t n = kv * group * rows; n < (kv + 1) * group * rows; ++n) {
        float* out = partials + n * partial_floats(d);
        const float* w = weights + n * keys + first - unit.first;
        if (shared) {
          add_values(w, near, padded, count, padded, out);
        } else if (count == 8) {
          add_values(w, v, a.v_stride, 8, d, out);
        } else {
          add_values(w, v, a.v_stride, count, d, out);
        }
      }
    }
  }
}

// Merges the ranges of one head and row, in order.
template <class T>
void decode_merge(const AttentionForward<float, T>& a, int64_t head, int64_t row, int64_t ranges, int64_t step,
                  const float* partial) {
  const int64_t d = a.head_dim, padded = round_up(d, kWidth);
  float most = kFloor, total = 0;
  for (int64_t r = 0; r < ranges; ++r) {
    most = most > partial[r * step + padded] ? most : partial[r * step + padded];
  }
  Vec weight[kRanges];
  for (int64_t r = 0; r < ranges; ++r) {
    weight[r] = exp2(splat(partial[r * step + padded] - most));
    total += weight[r][0] * partial[r * step + padded + 1];
  }
  const bool none = total == 0;
  const Vec scale = splat(none ? 0 : 1 / total);
  T* out = a.out + row * a.out_stride + head * d;
  for (int64_t x = 0; x < d; x += kWidth) {
    Vec value{};
    for (int64_t r = 0; r < ranges; ++r) value += load(partial + r * step + x) * weight[r];
    value *= scale;
    if (x + kWidth <= d) {
      store(out + x, value);
    } else {
      store_part(out + x, value, d - x);
    }
  }
  if (a.logsumexp) {
    a.logsumexp[head * a.q_rows + row] = none ? -__builtin_inff() : most * kLn2 + __builtin_logf(total);
  }
}

// All segments of few queries.
template <class T>
void decode(const AttentionForward<float, T>& a) {
  // Ranges depend on the intervals alone: at most kRanges of them, of at least 32 keys.
  int64_t units = 0, floats = 0, segments = 0;
  DecodeUnit* unit = nullptr;
  const auto walk = [&](bool write) {
    units = floats = segments = 0;
    for (int64_t s = 0; s < a.segment_count; ++s) {
      const AttentionSegment& segment = a.segments[s];
      if (!decodes(a, segment)) continue;
      ++segments;
      int64_t lo = INT32_MAX, hi = INT32_MIN;
      for (int64_t i = segment.q_begin; i < segment.q_begin + segment.q_length; ++i) {
        for (int c = 0; c < a.classes; ++c) {
          if (a.begin[c][i] < a.end[c][i]) lo = lesser(lo, a.begin[c][i]), hi = greater(hi, a.end[c][i]);
        }
      }
      const int64_t keys = greater(hi - lo, 0), range = greater(32, round_up((keys + kRanges - 1) / kRanges, kWidth));
      for (int64_t first = 0; first < greater(keys, 1); first += range) {
        if (write) {
          unit[units] = {s, lo + first, lesser(range, keys - first), first / range, (keys + range - 1) / range, floats};
        }
        ++units;
        floats += a.heads * segment.q_length * partial_floats(a.head_dim);
      }
    }
  };
  walk(false);
  if (segments == 0) return;
  unit = decode_units.get<DecodeUnit>(units);
  float* partials = decode_partials.get(floats + kWidth);
  walk(true);
  parallel(units, [&](int64_t n, int) {
    if (unit[n].keys > 0) decode_unit(a, unit[n], partials + unit[n].partial);
  });
  // Each range also merges its share of the segment's queries.
  parallel(units, [&](int64_t n, int) {
    const DecodeUnit& u = unit[n];
    const AttentionSegment& segment = a.segments[u.segment];
    const int64_t queries = a.heads * segment.q_length, each = partial_floats(a.head_dim),
                  shares = greater(u.ranges, 1);
    const float* results = partials + u.partial - u.range * queries * each;
    for (int64_t i = queries * u.range / shares; i < queries * (u.range + 1) / shares; ++i) {
      decode_merge(a, i / segment.q_length, segment.q_begin + i % segment.q_length, u.ranges, queries * each,
                   results + i * each);
    }
  });
}

}  // namespace
}  // namespace triarch::kernels::TRIARCH_ISA
