// Tiny random models of every family, and what they say without a cache.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "triarch/base/random.h"
#include "triarch/inference/session.h"
#include "triarch/model/model.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

using Ids = std::vector<int32_t>;

struct Kind {
  std::string preset;
  Family family;
  int64_t kv_heads = 4;
  Visibility visibility = Visibility::causal;  // of a causal or prefix decoder, where it differs from the preset's
  int64_t window = 0;
  bool alternate = false;
};

inline ModelSpec tiny_spec(const Kind& kind, int64_t vocabulary) {
  ModelSpec s = preset(kind.preset, kind.family, 32, 2);
  s.vocabulary = vocabulary;
  s.heads = 4;
  s.kv_heads = kind.kv_heads;
  s.head_dim = 8;
  s.mlp_width = 48;
  s.max_positions = 64;
  s.relative_max_distance = 16;
  s.relative_buckets = 8;
  if (kind.visibility != Visibility::causal) s.decoder.visibility = kind.visibility;
  s.decoder.window = s.has_decoder() ? kind.window : 0;
  s.decoder.alternate = kind.alternate;
  return s;
}

// Every weight random, gains and biases too, so that none of them can be forgotten.
inline std::unique_ptr<Model> random_model(const ModelSpec& spec, Precision precision, uint64_t seed = 1) {
  auto model = std::make_unique<Model>(spec, precision, true);
  model->parameters().initialise(seed);
  for (Parameter& p : model->parameters().all()) {
    const Key key = Key(seed, Purpose::test).with(uint64_t(p.offset));
    for (int64_t i = 0; i < p.count(); ++i) {
      const double noise = (p.kind == ParameterKind::vector ? 0.4 : 0.3) * (key.uniform(uint64_t(i)) - 0.5);
      if (p.value.dtype() == DType::f64) {
        p.value.data<double>()[i] += noise;
      } else {
        p.value.data<float>()[i] += float(noise);
      }
    }
  }
  model->parameters().refresh();
  return model;
}

inline std::vector<Kind> generating_kinds() {
  using enum Family;
  return {{"gpt2", causal, 4},
          {"llama", causal, 4},
          {"llama", causal, 2},
          {"llama", causal, 1},
          {"llama", causal, 2, Visibility::causal, 5},
          {"llama", prefix, 4},
          {"llama", prefix, 1},
          {"t5", prefix, 2},
          {"llama", prefix, 2, Visibility::forward_backward},
          {"gpt2", prefix, 4, Visibility::forward_backward, 0, true},
          {"llama", prefix, 2, Visibility::turn_prefix},
          {"llama", encoder_decoder, 4},
          {"t5", encoder_decoder, 4},
          {"t5", encoder_decoder, 1},
          {"bart", encoder_decoder, 2},
          {"xlnet", permutation, 4},
          {"xlnet", permutation, 1},
          {"llama", permutation, 2}};
}

inline std::string name_of(const Kind& k) {
  return k.preset + " family " + std::to_string(int(k.family)) + " kv " + std::to_string(k.kv_heads) + " visibility " +
         std::to_string(int(k.visibility)) + " window " + std::to_string(k.window);
}

inline Ids random_ids(int64_t count, int64_t first, int64_t vocabulary, uint64_t seed) {
  Draw draw(Key(seed, Purpose::test));
  Ids out;
  for (int64_t i = 0; i < count; ++i) out.push_back(int32_t(first + int64_t(draw.below(uint64_t(vocabulary - first)))));
  return out;
}

// The rows of a source and a target as in training, in one pass and without a cache: the logits of each target token
// and of the one behind them (but a permutation LM's, which has none).
inline Logits uncached(const Model& model, const Specials& specials, const Ids& source, const Ids& target,
                       const std::vector<float>& features = {}) {
  const ModelSpec& spec = model.spec();
  Rows encoder, decoder;
  std::vector<int32_t> wanted;
  const auto add = [](Rows& rows, int32_t id, int64_t position) {
    rows.ids.push_back(id);
    rows.positions.push_back(int32_t(position));
  };
  Segment segment;
  add(decoder, specials.bos, 0);
  if (spec.has_encoder()) {
    for (size_t i = 0; i < source.size(); ++i) add(encoder, source[i], int64_t(i));
    add(encoder, specials.eos, int64_t(source.size()));
    encoder.segments.push_back({0, int32_t(encoder.size())});
    segment.memory = 0;
  } else {
    for (int32_t id : source) add(decoder, id, decoder.size());
  }
  (spec.has_encoder() ? encoder : decoder).features = features;
  segment.prefix = int32_t(decoder.size());
  for (int32_t id : target) add(decoder, id, decoder.size());
  segment.length = int32_t(decoder.size());
  for (int32_t i = 0; i < segment.length; ++i) decoder.turn_ends.push_back(i < segment.prefix ? segment.prefix : 0);
  if (spec.family == Family::permutation) {
    segment.queries = int32_t(target.size());
    for (size_t i = 0; i < target.size(); ++i) {
      wanted.push_back(int32_t(decoder.size()));
      add(decoder, specials.mask, segment.prefix + int64_t(i));
      decoder.turn_ends.push_back(0);
    }
  } else {
    for (int32_t i = segment.prefix - 1; i < segment.length; ++i) wanted.push_back(i);
  }
  decoder.segments.push_back(segment);

  Arena arena;
  Context ctx{arena, nullptr, model.parameters().precision()};
  Var memory;
  if (spec.has_encoder()) memory = model.encode(ctx, encoder);
  return Logits(model.logits(ctx, model.decode(ctx, decoder, memory, encoder.segments), wanted));
}

inline double difference(std::span<const double> a, std::span<const double> b) {
  double most = a.size() == b.size() ? 0 : 1e300;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

}  // namespace triarch
