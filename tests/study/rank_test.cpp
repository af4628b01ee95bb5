#include "triarch/study/rank.h"

#include <gtest/gtest.h>

#include <cmath>

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
  const StudyReport r = rank_study({&studied, 1}, o);
  ASSERT_EQ(r.charts.size(), 3u);
  const auto& by_scale = r.charts[0].series;
  ASSERT_EQ(by_scale.size(), 3u);
  EXPECT_LT(by_scale[0].y[0], 0.05);  // both sides
  EXPECT_GT(by_scale[1].y[0], 0.15);  // causal
  EXPECT_GT(by_scale[0].y[1], by_scale[1].y[1]);
  // Two layers of both stacks.
  EXPECT_EQ(r.tables.back().rows.size(), 4u);

  const StudyReport a = attention_study({&studied, 1}, true);
  ASSERT_EQ(a.pictures.size(), 1u);
  EXPECT_EQ(a.pictures[0].pictures.size(), size_t(6 * spec.heads));
  ASSERT_EQ(a.tables.size(), 1u);
  EXPECT_EQ(a.tables[0].rows.size(), studied.texts[0].size());
  EXPECT_EQ(a.tables[0].rows[0][1], "given");
}

}  // namespace
}  // namespace triarch
