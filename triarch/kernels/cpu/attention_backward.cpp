// Attention backward, recomputing the scores from logsumexp. A unit is one K/V head and one segment (some segments,
// where bias gradients are summed over them): so dk, dv and dq have one writer each. Per block of keys and strip of
// queries:
//   S' = K Q', dP' = V dO';  P' = exp(S' - logsumexp), dS' = P' (dP' - rowsum(dO O));
//   dV += P' dO, dK += dS' Q, dQ' += K' dS'
// and with XLNet's term, whose rows r act like keys, dR += dG' (Q + v) and dQ' += R' dG', G' being dS' summed by
// distance.
#include "triarch/kernels/cpu/attention_panel.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

constexpr int64_t kKeys = kWidth == 16 ? 256 : 128;  // of a block
constexpr int64_t kStrip = 64;                       // queries of a strip
constexpr int64_t kPanels = kStrip / kPanel;
constexpr int64_t kParts = 8;  // sums of bias gradients that are added in order

struct BackwardPanel : Panel {
  alignas(64) float logsumexp[kPanel], mean[kPanel];  // in log2; rowsum(dO O)
  int64_t from, to;                                   // rows of the key block, even where words are pairs
};

struct BackwardScratch {
  struct Forms {
    Scratch rows, turned, columns;
  };
  Forms q, dout, q_relative;
  Scratch k_rows, k_transposed, v_rows, dk, dv, dq, dq_relative, spare, joined;
  Scratch scores, dscores, p_words, ds_words, ds_columns, gather, dgather, r_rows, r_transposed, g_columns;
};
thread_local BackwardScratch backward_scratch;
thread_local Scratch bias_sums;

// Sums of bias gradients over a part of the segments, for one head: [distances] of dbias, [distances][d_padded] of dr,
// then [d_padded] each of du and dv_bias; all but dbias still without the scale.
struct BiasSums {
  float *bias, *r, *u, *v;
  BiasSums(float* at, int64_t distances, int64_t d_padded, bool relative) {
    bias = at, r = bias + distances, u = r + (relative ? distances * d_padded : 0), v = u + d_padded;
  }
  static int64_t size(int64_t distances, int64_t d_padded, bool relative) {
    return distances + (relative ? distances * d_padded : 0) + 2 * d_padded;
  }
};

// The shape of a call in words and padded lengths.
template <class M, class T>
struct Shape {
  explicit Shape(const AttentionBackward<float, T>& a)
      : d(a.head_dim),
        stride(words<M>(d)),
        d_words((d + M::kPer - 1) / M::kPer),
        d_padded(round_up(d, kPanel)),
        group(a.heads / a.kv_heads),
        distances(2 * a.span + 1),
        biased((a.bias && a.dbias) || a.r),
        sums(BiasSums::size(distances, d_padded, a.r)) {}
  int64_t d, stride, d_words, d_padded, group, distances;
  bool biased;
  int64_t sums;  // floats of BiasSums
};

// One panel of S' and dP' becomes P' and dS'. Floats: in place. Pairs: P' and dS' as rows of words along queries,
// dS' also as words along keys.
template <class M, bool kDropout>
void softmax_gradient(const BackwardPanel& p, const Dropout& dropout, float c, uint32_t column, float* scores,
                      float* dscores, float* p_words, float* ds_words, float* ds_columns, bool keep) {
  const DropoutRow drop = dropout_row(dropout);
  const Vec sub[2] = {load(p.logsumexp), load(p.logsumexp + kWidth)}, mean[2] = {load(p.mean), load(p.mean + kWidth)};
  for (int64_t j = p.from; j < p.to; j += M::kPer) {
    Vec x[2][2], dx[2][2];
#pragma GCC unroll 2
    for (int64_t i = 0; i < M::kPer; ++i) {
#pragma GCC unroll 2
      for (int64_t half = 0; half < 2; ++half) {
        float* s = scores + (j + i) * kStrip + half * kWidth;
        float* ds = dscores + (j + i) * kStrip + half * kWidth;
        const Vec e = exp2(load(s) * c - sub[half]);
        Vec de = load(ds), kept = e;
        if constexpr (kDropout) {
          const Vec factor = drop.factor(p, column + uint32_t(j + i), half * kWidth);
          de *= factor, kept *= factor;
        }
        x[i][half] = kept, dx[i][half] = e * (de - mean[half]);
        if constexpr (M::kPer == 1) {
          store(s, kept), store(ds, dx[i][half]);
        } else {
          if (keep) store(ds, dx[i][half]);  // distances are summed in floats
        }
      }
      if constexpr (M::kPer == 2) {
        store(p_words + (j + i) * (kStrip / 2), M::along(x[i][0], x[i][1]));
        store(ds_words + (j + i) * (kStrip / 2), M::along(dx[i][0], dx[i][1]));
      }
    }
    if constexpr (M::kPer == 2) {
      store(ds_columns + j / 2 * kStrip, M::across(dx[0][0], dx[1][0]));
      store(ds_columns + j / 2 * kStrip + kWidth, M::across(dx[0][1], dx[1][1]));
    }
  }
}

// A strip of queries: what they see, and in the forms that products take the queries (with u added), the output's
// gradient, and the queries with XLNet's v.
struct Strip {
  struct Forms {
    const float* turned;  // columns form with head_dim as k, a panel after the other
    PanelsOfB columns;    // with queries as k
  };
  BackwardPanel panel[kPanels];
  Forms q, dout, q_relative;
};

template <class M, class T>
void pack_strip(const AttentionBackward<float, T>& a, const Shape<M, T>& shape, int64_t head, int64_t row,
                int64_t count, Strip& strip) {
  BackwardScratch& s = backward_scratch;
  const int64_t d = shape.d, stride = shape.stride, column = head * d;
  // The outputs are needed last: their loads run beside the packing.
  for (int64_t i = row; i < row + count; ++i) prefetch(a.out + i * a.out_stride + column, d);
  const auto forms = [&](const T* from, int64_t from_stride, const float* add, BackwardScratch::Forms& to) {
    float* rows = to.rows.get(kStrip * stride + kPanel);
    float* turned = to.turned.get(kStrip * stride);
    pack_rows<M>(count, kStrip, d, from + row * from_stride + column, from_stride, add, rows);
    for (int64_t n = 0; n < kPanels; ++n) {
      turn_all(kPanel, stride, rows + n * kPanel * stride, stride, turned + n * kPanel * stride, kPanel);
    }
    return Strip::Forms{turned, columns_of_rows<M>(kStrip, d, rows, to.columns)};
  };
  strip.q = forms(a.q, a.q_stride, a.r ? a.u + column : nullptr, s.q);
  strip.dout = forms(a.dout, a.dout_stride, nullptr, s.dout);
  if (a.r) strip.q_relative = forms(a.q, a.q_stride, a.v_bias + column, s.q_relative);
  for (int64_t first = 0; first < kStrip; first += kWidth) {
    Vec products[kWidth];
    alignas(64) float logsumexp[kWidth];
    for (int64_t i = 0; i < kWidth; ++i) {
      // Columns past the last row and rows that see nothing get weights of zero.
      logsumexp[i] = 1e30f, products[i] = Vec{};
      if (first + i >= count) continue;
      const int64_t at = row + first + i;
      const float kept = a.logsumexp[head * a.q_rows + at];
      if (kept != -__builtin_inff()) logsumexp[i] = kept * kLog2E;
      const T* out = a.out + at * a.out_stride + column;
      const T* dout = a.dout + at * a.dout_stride + column;
      Vec sum_of{};
      int64_t x = 0;
      for (; x + kWidth <= d; x += kWidth) sum_of += load(out + x) * load(dout + x);
      if (x < d) sum_of += load_part(out + x, d - x) * load_part(dout + x, d - x);
      products[i] = sum_of;
    }
    BackwardPanel& p = strip.panel[first / kPanel];
    std::memcpy(p.logsumexp + first % kPanel, logsumexp, sizeof logsumexp);
    store(p.mean + first % kPanel, sums_of(products));
  }
}

// dS' summed by distance, per column, then into the sums of bias gradients and dq_relative.
template <class M, class T>
void bias_gradients(const AttentionBackward<float, T>& a, const Shape<M, T>& shape, const Strip& strip,
                    int64_t panel_of_strip, int64_t first, int64_t keys, const float* dscores, const BiasSums& sums,
                    float* dq_relative) {
  BackwardScratch& s = backward_scratch;
  const BackwardPanel& p = strip.panel[panel_of_strip];
  const auto by_distance = [&](int sign) {
    const Distances at = distances_of(a, p, first + p.from, first + lesser(p.to, keys), sign);
    const int64_t padded = round_up(at.count, 2 * kWidth);
    float* sum_of = s.dgather.get(padded * kPanel);
    std::memset(sum_of, 0, size_t(padded * kPanel) * sizeof(float));
    alignas(64) int32_t rows[kPanel];
    for (int64_t j = p.from; j < lesser(p.to, keys); ++j) {
      for (int64_t half = 0; half < kPanel; half += kWidth) {
        const IntVec row = distance_rows(a, p, first + j, half, sign) - int32_t(at.first);
        std::memcpy(rows + half, &row, sizeof row);
      }
      const float* ds = dscores + j * kStrip;
      for (int64_t i = 0; i < kPanel; ++i) sum_of[rows[i] * kPanel + i] += ds[i];
    }
    return at;
  };
  if (a.bias && a.dbias) {
    const Distances at = by_distance(1);
    const float* sum_of = s.dgather.get(0);
    for (int64_t i = 0; i < at.count; ++i) {
      sums.bias[at.first + i] += sum(load(sum_of + i * kPanel) + load(sum_of + i * kPanel + kWidth));
    }
  }
  if (!a.r) return;
  const Distances at = by_distance(-1);
  const int64_t padded = round_up(at.count, 2 * kWidth), width = a.heads * shape.d, panel_words = words<M>(kPanel);
  const float* sum_of = s.dgather.get(0);
  // dG' as rows of words along queries.
  float* rows = s.gather.get(padded * panel_words);
  pack_rows<M>(padded, padded, kPanel, sum_of, kPanel, nullptr, rows);
  const PanelsOfB q = strip.q_relative.columns;
  product<M>(at.count, kPanel / M::kPer, {rows, panel_words, 1},
             {q.data + panel_of_strip * (kPanel / M::kPer) * q.slot, q.slot, q.panel}, shape.d_padded / kPanel,
             sums.r + at.first * shape.d_padded, shape.d_padded, true);
  // dQ' += R' dG', dG' as words along distances.
  float* r_rows = s.r_rows.get(padded * shape.stride);
  pack_rows<M>(at.count, padded, shape.d, a.r + at.first * width + p.head * shape.d, width, nullptr, r_rows);
  const PanelOfA r = transposed_rows<M>(padded, shape.d, r_rows, s.r_transposed, s.joined);
  const PanelsOfB g = columns_of_rows<M>(padded, kPanel, rows, s.g_columns);
  product<M>(shape.d, padded / M::kPer, r, g, 1, dq_relative, kPanel, true);
}

// One block of keys and one strip of queries of one head.
template <class M, class T>
void backward_tile(const AttentionBackward<float, T>& a, const Shape<M, T>& shape, const AttentionSegment& segment,
                   Strip& strip, const PanelOfA& k_transposed, int64_t first, int64_t keys, float* dq,
                   float* dq_relative, const BiasSums& sums, Fetching& fetching) {
  BackwardScratch& s = backward_scratch;
  BackwardPanel* const panel = strip.panel;
  constexpr int64_t kStripWords = kStrip / M::kPer, kKeyWords = kKeys / M::kPer;
  const int64_t stride = shape.stride, head = panel[0].head;
  const float* k_rows = s.k_rows.get(0);
  const float* v_rows = s.v_rows.get(0);
  float* scores = s.scores.get(kKeys * kStrip);
  float* dscores = s.dscores.get(kKeys * kStrip);
  float* p_words = M::kPer == 1 ? scores : s.p_words.get(kKeys * kStripWords);
  float* ds_words = M::kPer == 1 ? dscores : s.ds_words.get(kKeys * kStripWords);
  float* ds_columns = M::kPer == 1 ? dscores : s.ds_columns.get(kKeyWords * kStrip);
  int64_t from = kKeys, to = 0;
  for (int64_t n = 0; n < kPanels; ++n) {
    BackwardPanel& p = panel[n];
    from = lesser(from, p.from), to = greater(to, p.to);
    if (p.from == p.to) continue;
    float* s_panel = scores + n * kPanel;
    float* ds_panel = dscores + n * kPanel;
    product<M>(p.to - p.from, shape.d_words, {k_rows + p.from * stride, stride, 1},
               {strip.q.turned + n * kPanel * stride, kPanel, 0}, 1, s_panel + p.from * kStrip, kStrip, false,
               &fetching);
    product<M>(p.to - p.from, shape.d_words, {v_rows + p.from * stride, stride, 1},
               {strip.dout.turned + n * kPanel * stride, kPanel, 0}, 1, ds_panel + p.from * kStrip, kStrip, false,
               &fetching);
    float c = a.scale * kLog2E;
    if (a.bias || a.r) {
      const int64_t end = lesser(p.to, keys);
      Distances distances;
      float* relative = nullptr;
      if (a.r) {
        distances = distances_of(a, p, first + p.from, first + end, -1);
        relative = s.gather.get(distances.count * kPanel);
        relative_scores<M>(a, head, distances, strip.q_relative.turned + n * kPanel * stride,
                           s.r_rows.get(distances.count * stride), relative);
      }
      add_biases(a, p, first, p.from, end, relative, distances, s_panel, kStrip);
      c = 1;
    }
    mask(p, first, p.from, p.to, s_panel, kStrip);
    const uint32_t column = dropout_column(head, first - segment.k_begin);
    const int64_t at = n * kPanel / M::kPer;
    const auto gradient = a.dropout.rate != 0 ? softmax_gradient<M, true> : softmax_gradient<M, false>;
    gradient(p, a.dropout, c, column, s_panel, ds_panel, p_words + at, ds_words + at, ds_columns + n * kPanel,
             shape.biased);
    if (shape.biased) {
      bias_gradients<M>(a, shape, strip, n, first, keys, ds_panel, sums,
                        a.r ? dq_relative + n * kPanel * shape.d_padded : nullptr);
    }
    product<M>(shape.d, (p.to - p.from) / M::kPer,
               {k_transposed.data + p.from / M::kPer * k_transposed.slot, k_transposed.row, k_transposed.slot},
               {ds_columns + p.from / M::kPer * kStrip + n * kPanel, kStrip, 0}, 1, dq + n * kPanel * shape.d_padded,
               kPanel, true, &fetching);
  }
  // What a panel does not touch but its neighbours do is zero in the products over the whole strip.
  for (int64_t n = 0; n < kPanels; ++n) {
    const auto clear = [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; ++j) {
        std::memset(p_words + j * kStripWords + n * kPanel / M::kPer, 0, size_t(kPanel / M::kPer) * sizeof(float));
        std::memset(ds_words + j * kStripWords + n * kPanel / M::kPer, 0, size_t(kPanel / M::kPer) * sizeof(float));
      }
    };
    const bool none = panel[n].from == panel[n].to;
    clear(from, none ? to : panel[n].from);
    if (!none) clear(panel[n].to, to);
  }
  for (int64_t j = from; j < to; j += M::kRows) {
    const int64_t rows = lesser(M::kRows, to - j);
    int64_t lo = kPanels, hi = 0;  // panels that see any of these keys
    for (int64_t n = 0; n < kPanels; ++n) {
      if (panel[n].from < j + rows && j < panel[n].to) lo = lesser(lo, n), hi = n + 1;
    }
    if (lo >= hi) continue;
    const int64_t at = lo * kPanel / M::kPer, k = (hi - lo) * kPanel / M::kPer;
    const auto add = [&](const float* words, const PanelsOfB& factor, float* sums_at) {
      product<M>(rows, k, {words + j * kStripWords + at, kStripWords, 1},
                 {factor.data + at * factor.slot, factor.slot, factor.panel}, shape.d_padded / kPanel,
                 sums_at + j * shape.d_padded, shape.d_padded, true, &fetching);
    };
    add(p_words, strip.dout.columns, s.dv.get(0));
    add(ds_words, strip.q.columns, s.dk.get(0));
  }
}

template <class T>
void store_rows(int64_t rows, int64_t cols, const float* from, int64_t from_stride, float scale, T* to,
                int64_t stride) {
  for (int64_t i = 0; i < rows; ++i) {
    int64_t x = 0;
    for (; x + kWidth <= cols; x += kWidth) store(to + i * stride + x, load(from + i * from_stride + x) * scale);
    if (x < cols) store_part(to + i * stride + x, load(from + i * from_stride + x) * scale, cols - x);
  }
}

// to[x] += the sum over columns of from[x][kPanel].
inline void add_column_sums(int64_t rows, const float* from, float* to) {
  for (int64_t x = 0; x < rows; ++x) to[x] += sum(load(from + x * kPanel) + load(from + x * kPanel + kWidth));
}

// What a strip of queries is read from, fetched while the one before is computed.
template <class M, class T>
void fetch_strip(const AttentionBackward<float, T>& a, const Shape<M, T>& shape, const AttentionSegment& segment,
                 int64_t kv, int64_t n, Fetching& fetching) {
  const int64_t strips = (segment.q_length + kStrip - 1) / kStrip, row = segment.q_begin + n % strips * kStrip;
  const int64_t count = lesser(kStrip, segment.q_begin + segment.q_length - row);
  const int64_t column = (kv * shape.group + n / strips) * shape.d;
  fetching.add(a.q + row * a.q_stride + column, a.q_stride, count, shape.d);
  fetching.add(a.dout + row * a.dout_stride + column, a.dout_stride, count, shape.d);
  fetching.add(a.out + row * a.out_stride + column, a.out_stride, count, shape.d);
}

// What the thread probably computes next.
struct Next {
  const AttentionSegment* segment;  // or null
  int64_t kv;
};

template <class M, class T>
void backward_segment(const AttentionBackward<float, T>& a, const Shape<M, T>& shape, const AttentionSegment& segment,
                      int64_t kv, float* sums, const Next& next) {
  [[maybe_unused]] typename M::State state;
  BackwardScratch& s = backward_scratch;
  const int64_t d = shape.d, stride = shape.stride;
  const int64_t strips = (segment.q_length + kStrip - 1) / kStrip, strip_floats = kStrip * shape.d_padded;
  float* dq = s.dq.get(shape.group * strips * strip_floats);
  std::memset(dq, 0, size_t(shape.group * strips * strip_floats) * sizeof(float));
  float* dq_relative = nullptr;
  if (a.r) {
    dq_relative = s.dq_relative.get(shape.group * strips * strip_floats);
    std::memset(dq_relative, 0, size_t(shape.group * strips * strip_floats) * sizeof(float));
  }
  const auto sums_of = [&](int64_t n) {
    return BiasSums(sums ? sums + n * shape.sums : nullptr, shape.distances, shape.d_padded, a.r);
  };
  for (int64_t block = 0; block < segment.k_length; block += kKeys) {
    const int64_t first = segment.k_begin + block, keys = lesser(kKeys, segment.k_length - block);
    const int64_t padded = round_up(keys, 2 * kWidth);
    float* k_rows = s.k_rows.get(kKeys * stride);
    float* v_rows = s.v_rows.get(kKeys * stride);
    float* dk = s.dk.get(kKeys * shape.d_padded);
    float* dv = s.dv.get(kKeys * shape.d_padded);
    pack_rows<M>(keys, padded, d, a.k + first * a.k_stride + kv * d, a.k_stride, nullptr, k_rows);
    pack_rows<M>(keys, padded, d, a.v + first * a.v_stride + kv * d, a.v_stride, nullptr, v_rows);
    const PanelOfA k_transposed = transposed_rows<M>(padded, d, k_rows, s.k_transposed, s.joined);
    std::memset(dk, 0, size_t(padded * shape.d_padded) * sizeof(float));
    std::memset(dv, 0, size_t(padded * shape.d_padded) * sizeof(float));
    for (int64_t n = 0; n < shape.group * strips; ++n) {
      const int64_t head = kv * shape.group + n / strips, row = n % strips * kStrip;
      const int64_t count = lesser(kStrip, segment.q_length - row);
      Strip strip;
      bool touched = false;
      for (int64_t i = 0; i < kPanels; ++i) {
        BackwardPanel& p = strip.panel[i];
        p.head = head, p.from = p.to = 0;
        if (i * kPanel >= count) continue;
        load_panel(a, head, segment.q_begin + row + i * kPanel, lesser(kPanel, count - i * kPanel), p);
        const int64_t lo = greater(p.lo - first, 0), hi = lesser(p.hi - first, keys);
        if (lo >= hi) continue;
        p.from = lo / M::kPer * M::kPer, p.to = round_up(hi, M::kPer);
        touched = true;
      }
      if (!touched) continue;
      pack_strip<M>(a, shape, head, segment.q_begin + row, count, strip);
      Fetching fetching;
      if (n + 1 < shape.group * strips) {
        fetch_strip(a, shape, segment, kv, n + 1, fetching);
      } else if (block + kKeys < segment.k_length) {
        fetch_keys(a, kv, first + kKeys, lesser(kKeys, segment.k_length - block - kKeys), fetching);
      } else if (next.segment) {
        fetch_keys(a, next.kv, next.segment->k_begin, lesser(kKeys, next.segment->k_length), fetching);
        fetch_strip(a, shape, *next.segment, next.kv, 0, fetching);
      }
      // What is written soon is fetched too: the stores of a strip would wait for it.
      fetching.add(a.dq + (segment.q_begin + row) * a.dq_stride + head * d, a.dq_stride, count, d);
      fetching.spread(kPanels * (2 * keys + d) / M::kRows);
      backward_tile<M>(a, shape, segment, strip, k_transposed, first, keys, dq + n * strip_floats,
                       a.r ? dq_relative + n * strip_floats : nullptr, sums_of(n / strips), fetching);
    }
    store_rows(keys, d, dk, shape.d_padded, a.scale, a.dk + first * a.dk_stride + kv * d, a.dk_stride);
    store_rows(keys, d, dv, shape.d_padded, 1, a.dv + first * a.dv_stride + kv * d, a.dv_stride);
  }
  float* spare = s.spare.get(kPanel * shape.d_padded);
  for (int64_t n = 0; n < shape.group * strips; ++n) {
    const int64_t head = kv * shape.group + n / strips, row = n % strips * kStrip;
    const int64_t count = lesser(kStrip, segment.q_length - row);
    for (int64_t i = 0; i < count; i += kPanel) {
      float* panel = dq + n * strip_floats + i * shape.d_padded;
      if (a.r) {
        float* relative = dq_relative + n * strip_floats + i * shape.d_padded;
        add_column_sums(d, panel, sums_of(n / strips).u);
        add_column_sums(d, relative, sums_of(n / strips).v);
        for (int64_t x = 0; x < d * kPanel; x += kWidth) store(panel + x, load(panel + x) + load(relative + x));
      }
      store_columns(lesser(kPanel, count - i), d, panel, splat(a.scale), splat(a.scale), spare,
                    a.dq + (segment.q_begin + row + i) * a.dq_stride + head * d, a.dq_stride);
    }
  }
}

// Adds the parts in order and writes or adds the result.
template <class M, class T>
void finish_biases(const AttentionBackward<float, T>& a, const Shape<M, T>& shape, float* sums, int64_t parts,
                   int64_t head) {
  const int64_t part_floats = a.heads * shape.sums, width = a.heads * shape.d;
  float* total = sums + head * shape.sums;
  for (int64_t part = 1; part < parts; ++part) {
    for (int64_t i = 0; i < shape.sums; ++i) total[i] += total[part * part_floats + i];
  }
  const BiasSums from(total, shape.distances, shape.d_padded, a.r);
  const auto write = [&](float* to, const float* values, int64_t n, float scale) {
    if (!to) return;
    for (int64_t i = 0; i < n; ++i) to[i] = (a.accumulate_bias ? to[i] : 0.0f) + scale * values[i];
  };
  if (a.bias && a.dbias) write(a.dbias + head * shape.distances, from.bias, shape.distances, 1);
  if (!a.r) return;
  if (a.du) write(a.du + head * shape.d, from.u, shape.d, a.scale);
  if (a.dv_bias) write(a.dv_bias + head * shape.d, from.v, shape.d, a.scale);
  if (!a.dr) return;
  for (int64_t i = 0; i < shape.distances; ++i) {
    write(a.dr + i * width + head * shape.d, from.r + i * shape.d_padded, shape.d, a.scale);
  }
}

template <class M, class T>
void backward(const AttentionBackward<float, T>& a) {
  const Shape<M, T> shape(a);
  // Heads outermost: each has the same work, so contiguous shares of units are even.
  const int64_t parts = shape.biased ? lesser(a.segment_count, kParts) : a.segment_count;
  float* sums = nullptr;
  if (shape.biased) {
    const int64_t floats = greater(parts, 1) * a.heads * shape.sums;
    sums = bias_sums.get(floats);
    std::memset(sums, 0, size_t(floats) * sizeof(float));
  }
  parallel(a.kv_heads * parts, [&](int64_t unit, int) {
    const int64_t kv = unit / parts, part = unit % parts;
    for (int64_t s = a.segment_count * part / parts; s < a.segment_count * (part + 1) / parts; ++s) {
      float* at = sums ? sums + (part * a.heads + kv * shape.group) * shape.sums : nullptr;
      Next next{nullptr, 0};
      if (s + 1 < a.segment_count) {
        next = {a.segments + s + 1, kv};
      } else if (kv + 1 < a.kv_heads) {
        next = {a.segments, kv + 1};
      }
      backward_segment<M>(a, shape, a.segments[s], kv, at, next);
    }
  });
  if (shape.biased) parallel(a.heads, [&](int64_t head, int) { finish_biases<M>(a, shape, sums, parts, head); });
}

}  // namespace

void attention_backward(const AttentionBackward<float, float>& args) { backward<Floats>(args); }
void attention_backward(const AttentionBackward<float, bf16>& args) {
#if defined(TRIARCH_ISA_avx512)
  if (has_amx_bf16()) return backward<Tiles>(args);
  if (has_avx512_bf16()) return backward<Pairs>(args);
#endif
  backward<Floats>(args);
}

}  // namespace triarch::kernels::TRIARCH_ISA
