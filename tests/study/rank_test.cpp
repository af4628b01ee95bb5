#include "triarch/study/rank.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "triarch/base/error.h"
#include "triarch/study/spectrum.h"

namespace triarch {
namespace {

TEST(Spectrum, ByHand) {
  // The identity keeps all, the mean of all rows one direction.
  const std::vector<double> same = {1, 0, 0, 0, 1, 0, 0, 0, 1}, mean(9, 1. / 3);
  const Spectrum i = spectrum_of(same, 3), m = spectrum_of(mean, 3);
  EXPECT_NEAR(i.rank, 3, 0);
  EXPECT_NEAR(i.effective_rank, 3, 1e-12);
  EXPECT_NEAR(i.condition, 1, 1e-12);
  EXPECT_NEAR(i.log_determinant, 0, 1e-12);
  EXPECT_NEAR(i.entropy, 0, 1e-12);
  EXPECT_EQ(m.rank, 1);
  EXPECT_NEAR(m.effective_rank, 1, 1e-6);
  EXPECT_LT(m.condition, 1e-15);
  EXPECT_NEAR(m.entropy, std::log(3), 1e-12);
  // Singular values 3 and 1 have shares 3/4 and 1/4.
  const Spectrum d = spectrum_of(std::vector<double>{3, 0, 0, 1}, 2);
  EXPECT_NEAR(d.effective_rank, std::exp(-0.75 * std::log(0.75) - 0.25 * std::log(0.25)), 1e-12);
  EXPECT_NEAR(d.log_determinant, std::log(3), 1e-12);
  // A triangle's determinant is its diagonal's, also where it is far below what singular values resolve.
  std::vector<double> triangle(400, 0.0);
  for (size_t r = 0; r < 20; ++r) {
    for (size_t c = 0; c <= r; ++c) triangle[r * 20 + c] = c == r ? 1e-20 : 1. / double(r);
  }
  EXPECT_NEAR(spectrum_of(triangle, 20).log_determinant, 20 * std::log(1e-20), 1e-6);
  EXPECT_THROW(spectrum_of(same, 2), Error);
}

TEST(RankStudy, NearlyUniformAttentionToBothSidesHasRankOne) {
  RankOptions o;
  o.lengths = {48};
  o.scales = {0.01, 1};
  o.draws = 2;
  const Tokenizer bytes;
  ModelSpec spec = preset("llama", Family::encoder_decoder, 32, 2);
  spec.vocabulary = bytes.vocabulary();
  spec.max_positions = 64;
  Model model(spec, Precision::float32(), false);
  model.parameters().initialise(1);
  const StudiedModel studied{
      "a model", &model, &bytes, {bytes.encode("a text of a few words"), bytes.encode("another")}};
  const StudyReport r = *rank_study({&studied, 1}, o);
  // Constructed by scale and length; the model's by layer, by what scores are multiplied by, and by length.
  ASSERT_EQ(r.charts.size(), 5u);
  const auto& by_scale = r.charts[0].series;
  ASSERT_EQ(by_scale.size(), 3u);
  EXPECT_LT(by_scale[0].y[0], 0.05);  // both sides
  EXPECT_GT(by_scale[1].y[0], 0.15);  // causal
  EXPECT_GT(by_scale[0].y[1], by_scale[1].y[1]);
  // The answer turns with the scale, so there is no verdict; and each matrix counts once.
  ASSERT_EQ(r.evidence.size(), 1u);
  EXPECT_EQ(r.evidence[0].verdict, Verdict::undecided);
  EXPECT_NE(r.evidence[0].figure.find("(n 48, 2 draws)"), std::string::npos) << r.evidence[0].figure;
  // Two layers of both stacks.
  ASSERT_EQ(r.tables.size(), 6u);
  for (size_t t : {1, 2, 3, 4}) EXPECT_EQ(r.tables[t].rows.size(), 4u);
  // Scores multiplied by 1 are its own; by little, rows are nearly uniform, by much they are not.
  for (size_t l = 0; l < 4; ++l) {
    const auto& entropy = r.tables[4].rows[l];
    EXPECT_EQ(entropy[5], r.tables[1].rows[l][6]);
    EXPECT_GT(std::stod(entropy[2]), std::stod(entropy[8])) << l;
  }
  EXPECT_EQ(r.charts[4].series.size(), 2u);  // both stacks

  const StudyReport a = attention_study({&studied, 1}, true);
  ASSERT_EQ(a.pictures.size(), 1u);
  EXPECT_EQ(a.pictures[0].pictures.size(), size_t(6 * spec.heads));
  ASSERT_EQ(a.tables.size(), 2u);
  ASSERT_EQ(a.tables[0].rows.size(), 2u);
  EXPECT_NE(a.tables[0].rows[1][4], "0 %");  // the encoder looks ahead
  EXPECT_EQ(a.tables[0].rows[0][4], "0 %");  // the decoder does not
  EXPECT_EQ(a.tables[1].rows.size(), studied.texts[0].size());
  EXPECT_EQ(a.tables[1].rows[0][1], "given");
}

TEST(RankStudy, JudgesOverItsDraws) {
  RankOptions o;
  o.lengths = {32, 48};
  o.scales = {1};
  o.draws = 6;
  const StudyReport r = *rank_study({}, o);
  // The map that both charts show is drawn once.
  EXPECT_EQ(r.evidence.at(0).verdict, Verdict::contradicted) << r.evidence[0].figure;
  EXPECT_NE(r.evidence[0].figure.find("at deviation 1 (n 48, 6 draws)"), std::string::npos) << r.evidence[0].figure;
  EXPECT_THROW(rank_study(std::vector<StudiedModel>(1), o), Error);
}

// Tokens are shown whole, whatever their bytes are.
TEST(AttentionStudy, TokensOfParts) {
  const Tokenizer bytes;
  ModelSpec spec = preset("llama", Family::causal, 32, 1);
  spec.vocabulary = bytes.vocabulary();
  spec.max_positions = 64;
  Model model(spec, Precision::float32(), false);
  model.parameters().initialise(1);
  const StudiedModel studied{"a model", &model, &bytes, {bytes.encode("\xC3\xA9")}};
  const StudyReport r = attention_study({&studied, 1}, false);
  EXPECT_EQ(r.tables.at(1).rows.at(0).at(0), "<0xC3>");
  EXPECT_EQ(r.tables[1].rows.at(1).at(0), "<0xA9>");
  EXPECT_NE(std::ranges::find(r.pictures.at(0).pictures.at(0).keys, "<0xC3>"), r.pictures[0].pictures[0].keys.end());
}

// What may not be looked at is told from what is hardly looked at, and heads that may look at different things are not
// averaged.
TEST(AttentionStudy, PicturesShowIntervals) {
  const Tokenizer bytes;
  ModelSpec spec = preset("llama", Family::encoder, 32, 1);
  spec.encoder.visibility = Visibility::forward_backward;
  spec.vocabulary = bytes.vocabulary();
  spec.max_positions = 64;
  Model model(spec, Precision::float32(), false);
  model.parameters().initialise(1);
  for (float* w = model.parameters().find("encoder.layers.0.self.qkv.weight")->value.data<float>();
       float& x : std::span(w, size_t(32 * 96))) {
    x *= 60;  // some probabilities round to nothing
  }
  const StudiedModel studied{"a model", &model, &bytes, {bytes.encode("a text of words")}};
  const StudyReport r = attention_study({&studied, 1}, false);
  const auto& pictures = r.pictures.at(0).pictures;
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[0].title, "encoder 1, forward heads");
  for (size_t p : {0, 1}) {
    const size_t n = pictures[p].queries.size();
    for (size_t q = 0; q < n; ++q) {
      for (size_t k = 0; k < n; ++k) {
        EXPECT_EQ(pictures[p].rows[q].substr(2 * k, 2) == "--", p == 0 ? k > q : k < q) << p << " " << q << " " << k;
      }
    }
  }
}

}  // namespace
}  // namespace triarch
