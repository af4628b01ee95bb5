#include "triarch/study/paths.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "triarch/base/error.h"
#include "triarch/inference/packed.h"
#include "triarch/study/beginning.h"
#include "triarch/study/residual.h"

namespace triarch {
namespace {

AttentionMap map_of(int64_t heads, size_t n, std::vector<double> probability) {
  AttentionMap m;
  m.heads = heads;
  m.queries.resize(n);
  m.keys.resize(n);
  m.probability = std::move(probability);
  return m;
}

TEST(Paths, ProductsByHand) {
  // Two layers of two heads over two rows.
  const std::vector<AttentionMap> maps = {map_of(2, 2, {1, 0, 0.5, 0.5, 0.25, 0.75, 0, 1}),
                                          map_of(2, 2, {0.5, 0.5, 0.1, 0.9, 1, 0, 0.2, 0.8})};
  const auto product = [&](std::vector<int32_t> path) { return path_product(maps, path); };
  const int32_t out = Surgery::kLeftOut;
  EXPECT_EQ(product({out, out}), (std::vector<double>{1, 0, 0, 1}));
  EXPECT_EQ(product({1, out}), (std::vector<double>{0.25, 0.75, 0, 1}));
  // The second layer reads what the first has made: (0.1 0.9) times ((1 0) (0.5 0.5)).
  const std::vector<double> both = product({0, 0});
  EXPECT_NEAR(both[0], 0.75, 1e-15);
  EXPECT_NEAR(both[1], 0.25, 1e-15);
  EXPECT_NEAR(both[2], 0.1 + 0.9 * 0.5, 1e-15);
  EXPECT_NEAR(both[3], 0.9 * 0.5, 1e-15);
  EXPECT_THROW(product({0}), Error);
  EXPECT_THROW(product({0, 2}), Error);
}

TEST(Paths, AreAllEquallyLikely) {
  Draw draw(Key(1, Purpose::test));
  std::map<std::vector<int32_t>, int> seen;
  for (int i = 0; i < 6000; ++i) ++seen[random_path(3, 2, 2, draw)];
  EXPECT_EQ(seen.size(), 3u * 2 * 2);
  for (const auto& [path, times] : seen) {
    EXPECT_NEAR(times, 500, 110);
    EXPECT_EQ(std::ranges::count(path, Surgery::kLeftOut), 1);
  }
  EXPECT_EQ(random_path(2, 2, 0, draw), (std::vector<int32_t>{Surgery::kLeftOut, Surgery::kLeftOut}));
  EXPECT_THROW(random_path(2, 2, 3, draw), Error);
}

// What a model computes when only a path is left: P_L ... P_1 X W_1 ... W_L where nothing else (norms, biases, skips,
// feed-forward layers) is there, with the maps of the very pass.
TEST(Paths, SurgeryLeavesOneHeadOfALayer) {
  const Tokenizer bytes;
  ModelSpec spec = preset("gpt2", Family::encoder, 12, 3);
  spec.norm = NormKind::none;
  spec.heads = spec.kv_heads = 3;
  spec.head_dim = 4;
  spec.init_std = 0.5;
  const Beginning b = beginning(spec, "", bytes, 7, 1);
  const Example e = looked_at(b.model->spec(), b.studied.texts[0]);
  const std::vector<int32_t> path = {2, Surgery::kLeftOut, 1};
  b.model->surgery = {true, false, path};
  const std::vector<AttentionMap> maps = attention_maps(*b.model, bytes.specials(), e);
  ASSERT_EQ(maps.size(), 2u);  // a layer that is left out computes nothing
  std::vector<std::vector<double>> rows;
  for_each_layer(*b.model, bytes.specials(), e, {true, false, path},
                 [&](int64_t, std::span<const double> x) { rows.emplace_back(x.begin(), x.end()); });
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[1], rows[2]);
  const size_t n = maps[0].queries.size(), width = 12, d = 4;
  const auto layer = [&](const std::vector<double>& x, const AttentionMap& m, size_t head, const std::string& name) {
    const double* qkv = b.model->parameters().find(name + ".self.qkv.weight")->value.data<double>();
    const double* project = b.model->parameters().find(name + ".self.out.weight")->value.data<double>();
    std::vector<double> out(n * width, 0.0);
    for (size_t q = 0; q < n; ++q) {
      for (size_t c = 0; c < d; ++c) {
        double value = 0;
        for (size_t k = 0; k < n; ++k) {
          for (size_t i = 0; i < width; ++i) {
            value += m.at(int64_t(head), q, k) * x[k * width + i] * qkv[(2 * width + head * d + c) * width + i];
          }
        }
        for (size_t o = 0; o < width; ++o) out[q * width + o] += value * project[o * width + head * d + c];
      }
    }
    return out;
  };
  const std::vector<double> first = layer(rows[0], maps[0], 2, "encoder.layers.0");
  const std::vector<double> last = layer(first, maps[1], 1, "encoder.layers.2");
  for (size_t i = 0; i < first.size(); ++i) EXPECT_NEAR(rows[1][i], first[i], 1e-12);
  for (size_t i = 0; i < last.size(); ++i) EXPECT_NEAR(rows[3][i], last[i], 1e-12);
  b.model->surgery = {true, false, {0}};
  EXPECT_THROW(attention_maps(*b.model, bytes.specials(), e), Error);
}

TEST(Paths, MapsOfTheStackThatPredicts) {
  const Tokenizer bytes;
  for (Family f : {Family::encoder, Family::causal, Family::prefix, Family::encoder_decoder, Family::permutation}) {
    const Beginning b = beginning(preset(f == Family::permutation ? "xlnet" : "gpt2", f, 16, 2), "", bytes, 10, 1);
    const auto maps = self_maps(*b.model, bytes.specials(), looked_at(b.model->spec(), b.studied.texts[0]));
    EXPECT_EQ(maps.size(), f == Family::permutation ? 0u : 2u);
    for (const AttentionMap& m : maps) {
      EXPECT_FALSE(m.cross);
      EXPECT_EQ(m.queries.size(), m.keys.size());
      const std::vector<double> p = path_product(maps, std::vector<int32_t>{0, 0});
      for (size_t q = 0; q < m.queries.size(); ++q) {  // products of stochastic matrices are stochastic
        double sum = 0;
        for (size_t k = 0; k < m.keys.size(); ++k) sum += p[q * m.keys.size() + k];
        EXPECT_NEAR(sum, 1, 1e-9);
      }
    }
  }
}

}  // namespace
}  // namespace triarch
