// Tiny models and batches of every family and option, shared by the tests.
#pragma once

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "triarch/base/random.h"
#include "triarch/data/batch.h"
#include "triarch/model/model.h"

namespace triarch::testing {

struct Case {
  std::string name;
  ModelSpec spec;
  Head head = Head::vocabulary;
};

inline void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

inline ModelSpec tiny(const std::string& preset_name, Family family) {
  ModelSpec s = preset(preset_name, family, 16, 2);
  s.vocabulary = 23;
  s.heads = 4;
  s.kv_heads = 4;
  s.head_dim = 4;
  s.mlp_width = 20;
  s.max_positions = 64;
  s.relative_buckets = 8;
  s.relative_max_distance = 16;
  return s;
}

// Every family, and every option at least once.
inline std::vector<Case> cases() {
  std::vector<Case> out;
  const auto add = [&](const std::string& name, ModelSpec s, Head head = Head::vocabulary) {
    out.push_back({name, s, head});
  };
  ModelSpec s;
  add("gpt2", tiny("gpt2", Family::causal));
  s = tiny("llama", Family::causal);
  s.kv_heads = 2;
  add("llama_gqa", s);
  s.kv_heads = 1;
  s.tied = false;
  add("llama_mqa_untied", s);
  s = tiny("gpt2", Family::causal);
  s.decoder.window = 5;
  s.position = PositionKind::sinusoidal;
  s.embedding_scale = 4;
  add("window_sinusoidal", s);
  add("prefix", tiny("llama", Family::prefix));
  s = tiny("llama", Family::prefix);
  s.decoder.visibility = Visibility::forward_backward;
  add("prefix_forward_backward", s);
  s = tiny("llama", Family::prefix);
  s.decoder.visibility = Visibility::turn_prefix;
  add("turn_prefix", s);
  add("bert", tiny("bert", Family::encoder));
  s = tiny("llama", Family::encoder);
  s.encoder.visibility = Visibility::forward_backward;
  add("encoder_fb_heads", s);
  s.encoder.alternate = true;
  add("encoder_fb_layers", s);
  s = tiny("llama", Family::encoder);
  s.encoder.window = 3;
  add("encoder_window", s);
  s = tiny("bert", Family::encoder);
  s.classes = 3;
  add("bert_classes", s, Head::classes);
  s.tags = 5;
  add("bert_tags", s, Head::tags);
  add("t5", tiny("t5", Family::encoder_decoder));
  s = tiny("t5", Family::encoder_decoder);
  s.gated = true;
  s.activation = Activation::gelu_tanh;
  s.tied = false;
  s.logit_scale = 1;
  add("t5_v11", s);
  s = tiny("bart", Family::encoder_decoder);
  s.position_offset = 2;
  add("bart", s);
  s = tiny("llama", Family::encoder_decoder);
  s.share_stacks = true;
  add("shared", s);
  s = tiny("llama", Family::encoder_decoder);
  s.encoder.layers = 3;
  s.decoder.layers = 1;
  add("unbalanced", s);
  s = tiny("gpt2", Family::encoder_decoder);
  s.position = PositionKind::none;
  s.activation = Activation::relu;
  add("no_positions", s);
  // Rows that are feature vectors: all of an encoder's, and a decoder's prefix.
  s = tiny("llama", Family::causal);
  s.features = 7;
  add("features_causal", s);
  s = tiny("gpt2", Family::prefix);
  s.features = 7;
  add("features_prefix", s);
  s = tiny("bert", Family::encoder);
  s.features = 7;
  s.classes = 3;
  add("features_encoder", s, Head::classes);
  s = tiny("bart", Family::encoder_decoder);
  s.features = 7;
  add("features_encoder_decoder", s);
  s = tiny("llama", Family::permutation);
  s.features = 7;
  add("features_permutation", s);
  add("xlnet", tiny("xlnet", Family::permutation));
  add("permutation_rotary", tiny("llama", Family::permutation));
  return out;
}

// One segment with everything a family needs, appended to `b`. `n` content positions.
inline void append_segment(Batch& b, const Case& c, int n, Draw& draw) {
  const auto token = [&] { return int32_t(draw.below(uint64_t(c.spec.vocabulary))); };
  const auto row = [&](Rows& rows, int32_t position, bool vector = false) {
    rows.ids.push_back(vector ? kFeatureRow : token());
    for (int64_t i = 0; vector && i < c.spec.features; ++i) rows.features.push_back(float(draw.normal()));
    rows.positions.push_back(position);
    if (c.spec.token_types > 0) rows.types.push_back(int32_t(draw.below(uint64_t(c.spec.token_types))));
    rows.keys.push_back(draw.bits());
  };
  const auto begin_segment = [&](Rows& rows, int length) {
    Segment s;
    s.begin = s.key_begin = int32_t(rows.size());
    s.length = length;
    return s;
  };
  const bool vectors = c.spec.features > 0;
  if (c.spec.has_encoder()) {
    Segment s = begin_segment(b.encoder, n);
    for (int i = 0; i < n; ++i) row(b.encoder, i, vectors && i > 0);
    b.encoder.segments.push_back(s);
    if (!c.spec.has_decoder()) {
      if (c.head == Head::classes) {
        b.loss_rows.push_back(int32_t(b.encoder.segments.size()) - 1);
        b.targets.push_back(int32_t(draw.below(uint64_t(c.spec.classes))));
      } else {
        const int64_t outputs = c.head == Head::tags ? c.spec.tags : c.spec.vocabulary;
        for (int i = 0; i < n; i += 2) {
          b.loss_rows.push_back(s.begin + i);
          b.targets.push_back(int32_t(draw.below(uint64_t(outputs))));
        }
      }
    }
  }
  if (c.spec.has_decoder()) {
    const int m = c.spec.has_encoder() ? n / 2 + 1 : n;
    Segment s = begin_segment(b.decoder, m);
    if (c.spec.has_encoder()) s.memory = int32_t(b.encoder.segments.size()) - 1;
    if (!c.spec.has_encoder()) s.prefix = n / 2;
    for (int i = 0; i < m; ++i) row(b.decoder, i, vectors && i > 0 && i < s.prefix);
    if (c.spec.family == Family::permutation) {
      s.queries = n - s.prefix;
      // The predicted positions in another order.
      std::reverse(b.decoder.positions.end() - s.queries, b.decoder.positions.end());
      const size_t first = b.decoder.positions.size() - size_t(s.queries);
      for (int q = 0; q < s.queries; ++q) {
        row(b.decoder, b.decoder.positions[first + size_t(q)]);
        b.loss_rows.push_back(s.begin + s.length + q);
        b.targets.push_back(token());
      }
    } else {
      for (int i = std::max(0, s.prefix - 1); i < m; ++i) {
        b.loss_rows.push_back(s.begin + i);
        b.targets.push_back(token());
      }
    }
    if (c.spec.decoder.visibility == Visibility::turn_prefix) {
      for (int i = 0; i < m; ++i) b.decoder.turn_ends.push_back(std::min(m, i / 3 * 3 + 3));
    }
    b.decoder.segments.push_back(s);
  }
}

inline Batch make_batch(const Case& c, std::vector<int> lengths, uint64_t seed = 1) {
  Batch b;
  b.head = c.head;
  Draw draw(Key(seed, Purpose::test));
  for (int n : lengths) append_segment(b, c, n, draw);
  for (size_t i = 0; i < b.targets.size(); ++i) b.weights.push_back(i % 3 == 0 ? 0.5f : 1.0f);
  b.tokens = b.rows();
  return b;
}

}  // namespace triarch::testing
