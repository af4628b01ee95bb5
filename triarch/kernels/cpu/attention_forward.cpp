// Attention forward. A unit is one K/V head and up to kUnitColumns queries of one segment (of all query heads that
// share it); it walks blocks of keys, packs each once, and keeps a running maximum and sum per query.
// Segments of at most 256 keys need one block, which is plain softmax.
#include "triarch/kernels/cpu/attention_decode.h"
#include "triarch/kernels/cpu/attention_panel.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

constexpr int64_t kKeys = 256;  // of a block: S' of a panel is 32 KB on AVX-512
constexpr int64_t kUnitColumns = 256;

struct Unit {
  int64_t segment, row, rows;
};

struct ForwardPanel : Panel {
  alignas(64) float largest[kPanel], sum[kPanel];
  float *q, *q_relative, *out;  // columns forms: [words of head_dim][kPanel], the same of q + v, [head_dim][kPanel]
  bool started;
};

struct ForwardScratch {
  Scratch panels, columns, k_rows, v_rows, v_transposed, spare, joined, scores, r_rows, relative;
};
thread_local ForwardScratch forward_scratch;

// exp2(c s - maximum) in place as the columns form of P', sums kept. Returns nothing that depends on other panels.
template <class M, bool kDropout>
void softmax_block(ForwardPanel& p, const Dropout& dropout, float c, int64_t lo, int64_t hi, uint32_t column,
                   float* scores) {
  Vec top0 = splat(kFloor), top1 = top0;
  for (int64_t j = lo; j < hi; ++j) {
    top0 = max(load(scores + j * kPanel) * c, top0);
    top1 = max(load(scores + j * kPanel + kWidth) * c, top1);
  }
  Vec sum0{}, sum1{};
  if (p.started) {
    const Vec old0 = load(p.largest), old1 = load(p.largest + kWidth);
    top0 = max(top0, old0), top1 = max(top1, old1);
    const Vec shrink0 = exp2(old0 - top0), shrink1 = exp2(old1 - top1);
    sum0 = load(p.sum) * shrink0, sum1 = load(p.sum + kWidth) * shrink1;
    for (float* out = p.out; out < p.q; out += kPanel) {
      store(out, load(out) * shrink0);
      store(out + kWidth, load(out + kWidth) * shrink1);
    }
  }
  const DropoutRow drop = dropout_row(dropout);
  for (int64_t j = lo; j < hi; j += M::kPer) {
    Vec x[2][2];
#pragma GCC unroll 2
    for (int64_t i = 0; i < M::kPer; ++i) {
      x[i][0] = exp2(load(scores + (j + i) * kPanel) * c - top0);
      x[i][1] = exp2(load(scores + (j + i) * kPanel + kWidth) * c - top1);
      sum0 += x[i][0], sum1 += x[i][1];
      if constexpr (kDropout) {
        x[i][0] *= drop.factor(p, column + uint32_t(j + i), 0);
        x[i][1] *= drop.factor(p, column + uint32_t(j + i), kWidth);
      }
    }
    float* to = scores + j / M::kPer * kPanel;
    if constexpr (M::kPer == 1) {
      store(to, x[0][0]), store(to + kWidth, x[0][1]);
    } else {
      store(to, M::across(x[0][0], x[1][0])), store(to + kWidth, M::across(x[0][1], x[1][1]));
    }
  }
  store(p.largest, top0), store(p.largest + kWidth, top1);
  store(p.sum, sum0), store(p.sum + kWidth, sum1);
}

template <class M, class T>
void finish_panel(const AttentionForward<float, T>& a, ForwardPanel& p, float* spare) {
  T* out = a.out + p.row * a.out_stride + p.head * a.head_dim;
  Vec scale[2];
  alignas(64) float logsumexp[kPanel];
  if (!p.started) {
    std::memset(p.out, 0, size_t(a.head_dim * kPanel) * sizeof(float));
    std::memset(p.sum, 0, sizeof p.sum);
  }
#pragma GCC unroll 2
  for (int64_t half = 0; half < 2; ++half) {
    const Vec total = load(p.sum + half * kWidth);
    const IntVec none = (IntVec)(total == 0.0f), nan = (IntVec)(total != total);
    scale[half] = select(none, Vec{}, 1.0f / total);
    const Vec value = select(nan, total, load(p.largest + half * kWidth) * kLn2 + log(total));
    store(logsumexp + half * kWidth, select(none, splat(-__builtin_inff()), value));
  }
  store_columns(p.count, a.head_dim, p.out, scale[0], scale[1], spare, out, a.out_stride);
  if (a.logsumexp) std::memcpy(a.logsumexp + p.head * a.q_rows + p.row, logsumexp, size_t(p.count) * sizeof(float));
}

template <class M, class T>
void forward_unit(const AttentionForward<float, T>& a, int64_t kv, const Unit& unit, Fetching& fetching) {
  [[maybe_unused]] typename M::State state;
  const AttentionSegment& segment = a.segments[unit.segment];
  const int64_t d = a.head_dim, stride = words<M>(d), d_words = (d + M::kPer - 1) / M::kPer;
  const int64_t group = a.heads / a.kv_heads, strips = (unit.rows + kPanel - 1) / kPanel, panels = group * strips;
  const int64_t d_padded = round_up(d, kWidth);
  ForwardScratch& scratch = forward_scratch;
  auto* panel = scratch.panels.get<ForwardPanel>(panels);
  float* k_rows = scratch.k_rows.get(kKeys * stride);
  float* v_rows = scratch.v_rows.get(kKeys * stride);
  float* spare = scratch.spare.get(kPanel * greater(d_padded, stride));
  float* scores = scratch.scores.get(kKeys * kPanel);
  const int64_t each = (d_padded + (a.r ? 2 : 1) * stride) * kPanel;
  float* columns = scratch.columns.get(panels * each);

  // Rows of a head are short and far apart: the loads of all start before the first is used.
  for (int64_t i = unit.row; i < unit.row + unit.rows; ++i) prefetch(a.q + i * a.q_stride + kv * group * d, group * d);

  int64_t lo = INT32_MAX, hi = INT32_MIN;
  for (int64_t n = 0; n < panels; ++n) {
    ForwardPanel& p = panel[n];
    const int64_t head = kv * group + n / strips, row = n % strips * kPanel;
    load_panel(a, head, unit.row + row, lesser(kPanel, unit.rows - row), p);
    lo = lesser(lo, p.lo), hi = greater(hi, p.hi);
    p.started = false;
    p.out = columns + n * each, p.q = p.out + d_padded * kPanel, p.q_relative = p.q + stride * kPanel;
    const T* q = a.q + p.row * a.q_stride + head * d;
    pack_rows<M>(p.count, kPanel, d, q, a.q_stride, a.r ? a.u + head * d : nullptr, spare);
    turn_all(kPanel, stride, spare, stride, p.q, kPanel);
    if (a.r) {
      pack_rows<M>(p.count, kPanel, d, q, a.q_stride, a.v_bias + head * d, spare);
      turn_all(kPanel, stride, spare, stride, p.q_relative, kPanel);
    }
  }
  for (int64_t first = lo; first < hi; first += kKeys) {
    const int64_t keys = lesser(kKeys, hi - first), padded = round_up(keys, 2 * kWidth);
    for (int64_t j = first; j < first + keys; ++j) {
      prefetch(a.k + j * a.k_stride + kv * d, d);
      prefetch(a.v + j * a.v_stride + kv * d, d);
    }
    pack_rows<M>(keys, padded, d, a.k + first * a.k_stride + kv * d, a.k_stride, nullptr, k_rows);
    pack_rows<M>(keys, padded, d, a.v + first * a.v_stride + kv * d, a.v_stride, nullptr, v_rows);
    const PanelOfA v = transposed_rows<M>(padded, d, v_rows, scratch.v_transposed, scratch.joined);
    for (int64_t n = 0; n < panels; ++n) {
      ForwardPanel& p = panel[n];
      const int64_t from = greater(p.lo - first, 0) / M::kPer * M::kPer;
      const int64_t end = lesser(p.hi - first, keys), to = round_up(greater(end, 0), M::kPer);
      if (from >= end) continue;
      product<M>(to - from, d_words, {k_rows + from * stride, stride, 1}, {p.q, kPanel, 0}, 1, scores + from * kPanel,
                 kPanel, false, &fetching);
      float c = a.scale * kLog2E;
      if (a.bias || a.r) {
        Distances distances;
        float* relative = nullptr;
        if (a.r) {
          distances = distances_of(a, p, first + from, first + end, -1);
          relative = scratch.relative.get(distances.count * kPanel);
          relative_scores<M>(a, p.head, distances, p.q_relative, scratch.r_rows.get(distances.count * stride),
                             relative);
        }
        add_biases(a, p, first, from, end, relative, distances, scores, kPanel);
        c = 1;
      }
      mask(p, first, from, to, scores, kPanel);
      const uint32_t column = dropout_column(p.head, first - segment.k_begin);
      if (a.dropout.rate != 0) {
        softmax_block<M, true>(p, a.dropout, c, from, to, column, scores);
      } else {
        softmax_block<M, false>(p, a.dropout, c, from, to, column, scores);
      }
      product<M>(d, (to - from) / M::kPer, {v.data + from / M::kPer * v.slot, v.row, v.slot},
                 {scores + from / M::kPer * kPanel, kPanel, 0}, 1, p.out, kPanel, p.started, &fetching);
      p.started = true;
    }
  }
  for (int64_t n = 0; n < panels; ++n) finish_panel<M>(a, panel[n], spare);
}

// What a unit reads first and writes, fetched while the one before is computed.
template <class T>
void fetch(const AttentionForward<float, T>& a, int64_t kv, const Unit& unit, Fetching& fetching) {
  const AttentionSegment& segment = a.segments[unit.segment];
  const int64_t width = a.heads / a.kv_heads * a.head_dim;
  fetching.add(a.q + unit.row * a.q_stride + kv * width, a.q_stride, unit.rows, width);
  fetching.add(a.out + unit.row * a.out_stride + kv * width, a.out_stride, unit.rows, width);
  if (unit.row != segment.q_begin) return;  // its keys have been read
  fetch_keys(a, kv, segment.k_begin, lesser(kKeys, segment.k_length), fetching);
}

template <class M, class T>
void forward(const AttentionForward<float, T>& a) {
  const int64_t group = a.heads / a.kv_heads;
  const int64_t unit_rows = greater(kPanel, kUnitColumns / group / kPanel * kPanel);
  decode(a);
  int64_t count = 0;
  for (int64_t s = 0; s < a.segment_count; ++s) {
    if (!decodes(a, a.segments[s])) count += (a.segments[s].q_length + unit_rows - 1) / unit_rows;
  }
  static thread_local Scratch table;
  auto* units = table.get<Unit>(count);
  int64_t at = 0;
  for (int64_t s = 0; s < a.segment_count; ++s) {
    if (decodes(a, a.segments[s])) continue;
    for (int64_t row = 0; row < a.segments[s].q_length; row += unit_rows) {
      units[at++] = {s, a.segments[s].q_begin + row, lesser(unit_rows, a.segments[s].q_length - row)};
    }
  }
  // Heads outermost: each has the same work, so contiguous shares of units are even.
  parallel(a.kv_heads * count, [&](int64_t i, int) {
    const Unit& unit = units[i % count];
    Fetching fetching;
    if (i + 1 < a.kv_heads * count) fetch(a, (i + 1) / count, units[(i + 1) % count], fetching);
    // As if a unit were causal, which has half of the products' tiles.
    fetching.spread((unit.rows + kPanel - 1) / kPanel * group * (a.segments[unit.segment].k_length + a.head_dim) /
                    (2 * M::kRows));
    forward_unit<M>(a, i / count, unit, fetching);
  });
}

}  // namespace

void attention_forward(const AttentionForward<float, float>& args) { forward<Floats>(args); }
void attention_forward(const AttentionForward<float, bf16>& args) {
#if defined(TRIARCH_ISA_avx512)
  if (has_amx_bf16()) return forward<Tiles>(args);
  if (has_avx512_bf16()) return forward<Pairs>(args);
#endif
  forward<Floats>(args);
}

}  // namespace triarch::kernels::TRIARCH_ISA
