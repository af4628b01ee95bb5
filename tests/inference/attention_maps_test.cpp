// Probabilities of attention: distributions over what a row may see, and what the outputs are made with.
#include "triarch/inference/attention_maps.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/inference/tiny.h"
#include "triarch/inference/packed.h"

namespace triarch {
namespace {

const Tokenizer kBytes;

Example example_of(Family family) {
  Example e;
  e.source = random_ids(7, kBytes.specials().size(), kBytes.vocabulary(), 1);
  if (family == Family::encoder) {
    e.labels.assign(e.source.size(), -1);
    e.labels[2] = 9;
  } else {
    e.target = random_ids(12, kBytes.specials().size(), kBytes.vocabulary(), 2);
  }
  return e;
}

TEST(AttentionMaps, AreDistributionsOverWhatIsSeen) {
  std::vector<Kind> kinds = generating_kinds();
  kinds.push_back({"bert", Family::encoder});
  for (const Kind& kind : kinds) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kBytes.vocabulary()), Precision::float64());
    const auto maps = attention_maps(*model, kBytes.specials(), example_of(kind.family));
    ASSERT_EQ(maps.size(), kind.family == Family::encoder_decoder ? 6u : 2u);
    EXPECT_FALSE(model->attention_observer);
    for (const AttentionMap& m : maps) {
      EXPECT_EQ(m.heads, 4);
      EXPECT_EQ(m.probability.size(), 4 * m.queries.size() * m.keys.size());
      const bool plain_causal = m.stack == "decoder" && !m.cross && kind.visibility == Visibility::causal &&
                                (kind.family == Family::causal || kind.family == Family::encoder_decoder);
      for (int64_t h = 0; h < m.heads; ++h) {
        for (size_t q = 0; q < m.queries.size(); ++q) {
          double sum = 0;
          for (size_t k = 0; k < m.keys.size(); ++k) {
            EXPECT_GE(m.at(h, q, k), 0);
            EXPECT_TRUE(!plain_causal || k <= q || m.at(h, q, k) == 0);
            EXPECT_EQ(m.sees(h, q, k), m.at(h, q, k) > 0);
            sum += m.at(h, q, k);
          }
          EXPECT_NEAR(sum, 1, 1e-12);
        }
      }
    }
  }
}

// Softmax of s times the scores is p^s, normalised; where there are position biases, those are not multiplied.
TEST(AttentionMaps, SharpenedAreThePowersOfTheirProbabilities) {
  for (const Kind& kind : generating_kinds()) {
    const ModelSpec spec = tiny_spec(kind, kBytes.vocabulary());
    if (spec.position == PositionKind::relative_bias) continue;
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(spec, Precision::float64());
    const auto plain = attention_maps(*model, kBytes.specials(), example_of(kind.family));
    const auto sharp = attention_maps(*model, kBytes.specials(), example_of(kind.family), 2.5);
    ASSERT_EQ(plain.size(), sharp.size());
    for (size_t m = 0; m < plain.size(); ++m) {
      for (int64_t h = 0; h < plain[m].heads; ++h) {
        for (size_t q = 0; q < plain[m].queries.size(); ++q) {
          double sum = 0;
          for (size_t k = 0; k < plain[m].keys.size(); ++k) sum += std::pow(plain[m].at(h, q, k), 2.5);
          for (size_t k = 0; k < plain[m].keys.size(); ++k) {
            EXPECT_NEAR(sharp[m].at(h, q, k), std::pow(plain[m].at(h, q, k), 2.5) / sum, 1e-10);
          }
        }
      }
    }
  }
}

// The outputs of attention are these probabilities of its values.
TEST(AttentionMaps, MakeTheOutputs) {
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kBytes.vocabulary()), Precision::float64());
    const Example example = example_of(kind.family);
    const auto maps = attention_maps(*model, kBytes.specials(), example);
    size_t at = 0;
    model->attention_observer = [&](Context& ctx, const StackSpec&, int64_t, bool, const ops::AttentionOperands& o) {
      const AttentionMap& m = maps[at++];
      const std::vector<double> out = doubles_of(ops::attention(ctx, o).value);
      const int64_t group = o.heads / o.kv_heads;
      for (size_t q = 0; q < m.queries.size(); ++q) {
        for (int64_t c = 0; c < o.heads * o.head_dim; ++c) {
          const int64_t head = c / o.head_dim;
          double expected = 0;
          for (size_t k = 0; k < m.keys.size(); ++k) {
            const double* row = o.kv.value.data<double>() + int64_t(k) * o.kv.value.stride() + o.v_column;
            expected += m.at(head, q, k) * row[head / group * o.head_dim + c % o.head_dim];
          }
          EXPECT_NEAR(out[q * size_t(o.heads * o.head_dim) + size_t(c)], expected, 1e-12);
        }
      }
    };
    packed(
        *model, kBytes.specials(), 0, 1, [&](size_t) { return example; },
        [&](Context& ctx, const Batch& batch, size_t, size_t) { model->forward(ctx, batch); });
    EXPECT_EQ(at, maps.size());
  }
}

}  // namespace
}  // namespace triarch
