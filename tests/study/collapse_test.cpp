#include "triarch/study/collapse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "triarch/base/error.h"
#include "triarch/study/beginning.h"
#include "triarch/study/bound.h"
#include "triarch/study/decay.h"
#include "triarch/study/residual.h"

namespace triarch {
namespace {

TEST(Collapse, RatioByHand) {
  EXPECT_EQ(residual_ratio(std::vector<double>{1, 2, 1, 2}, 2), 0);  // equal rows
  // Rows (1, 0) and (-1, 0): their mean is 0, and nothing is taken off.
  EXPECT_NEAR(residual_ratio(std::vector<double>{1, 0, -1, 0}, 2), 1, 1e-12);
  // Rows (3, 0) and (1, 0): column sums 4, rows 3; centred (1, 0), (-1, 0): 2 and 1.
  EXPECT_NEAR(residual_ratio(std::vector<double>{3, 0, 1, 0}, 2), std::sqrt(2. / 12), 1e-12);
  EXPECT_NEAR(residual_norm(std::vector<double>{3, 0, 1, 0}, 2), std::sqrt(2.), 1e-12);
  EXPECT_EQ(residual_ratio(std::vector<double>{0, 0}, 1), 0);
  EXPECT_THROW(residual_ratio(std::vector<double>{1, 2, 3}, 2), Error);
}

TEST(Collapse, FitsRecoverKnownRates) {
  std::vector<double> once, cubed = {0.9};
  for (int l = 0; l < 12; ++l) once.push_back(0.8 * std::pow(0.6, l));
  for (int l = 0; l < 12; ++l) cubed.push_back(0.7 * std::pow(cubed.back(), 3));
  const auto a = decay_of(once), b = decay_of(cubed);
  ASSERT_TRUE(a && b);
  EXPECT_NEAR(a->factor, 0.6, 1e-12);
  EXPECT_NEAR(a->fit, 1, 1e-12);
  EXPECT_NEAR(a->power, 1, 1e-12);
  EXPECT_EQ(a->points, 12);
  EXPECT_NEAR(b->power, 3, 1e-12);
  EXPECT_NEAR(b->cubic_fit, 1, 1e-12);
  EXPECT_FALSE(a->doubly());
  EXPECT_TRUE(b->doubly());
  EXPECT_EQ(b->points, int64_t(std::ranges::count_if(cubed, [](double x) { return x > kRoundedRatio; })));
  EXPECT_FALSE(decay_of(std::vector<double>{0.9, 1e-3, 1e-16, 1e-17}));  // two are left
  EXPECT_FALSE(decay_of(std::vector<double>{0.5, 0.5, 0.5}));
}

TEST(Collapse, TheBoundHoldsAndIsComputedFromTheWeights) {
  const Tokenizer bytes;
  ModelSpec spec = preset("gpt2", Family::encoder, 32, 3);
  spec.norm = NormKind::none;
  for (double deviation : {0.02, 0.1, 0.3}) {
    spec.init_std = deviation;
    for (int64_t seed = 1; seed <= 3; ++seed) {
      const Beginning b = beginning(spec, "", bytes, 20, seed);
      const AttentionBound x = attention_bound(*b.model, bytes.specials(), b.studied.texts[0]);
      ASSERT_EQ(x.residual.size(), 4u);
      EXPECT_NEAR(x.log10_bound[0], std::log10(x.residual[0]), 1e-12);
      // One layer takes r to C r^3.
      for (size_t l = 1; l < 4; ++l) {
        EXPECT_NEAR(x.log10_bound[l], std::log10(x.factor) + 3 * x.log10_bound[l - 1], 1e-9);
        if (x.ratio[l] < kRoundedRatio || x.spread > kLargestSpread) continue;
        // One layer's bound from what was measured before it is nearer: it must hold, too.
        EXPECT_LE(x.residual[l], 2 * x.factor * std::pow(x.residual[l - 1], 3)) << deviation << " layer " << l;
        EXPECT_LE(std::log10(x.residual[l] / 2), x.log10_bound[l]) << deviation << " layer " << l;
      }
      EXPECT_EQ(x.says_something(), x.log10_bound[1] < x.log10_bound[0]);
    }
  }
  // Twice the values: twice beta, and twice what a layer leaves.
  spec.init_std = 0.05;
  Beginning b = beginning(spec, "", bytes, 20, 1);
  const AttentionBound before = attention_bound(*b.model, bytes.specials(), b.studied.texts[0]);
  for (int64_t l = 0; l < 3; ++l) {
    Parameter* p = b.model->parameters().find("encoder.layers." + std::to_string(l) + ".self.qkv.weight");
    for (int64_t i = 2 * spec.width * spec.width; i < p->count(); ++i) p->value.data<double>()[i] *= 2;
  }
  const AttentionBound after = attention_bound(*b.model, bytes.specials(), b.studied.texts[0]);
  EXPECT_NEAR(after.beta / before.beta, 2, 1e-12);
  EXPECT_NEAR(after.residual[1] / before.residual[1], 2, 1e-9);
  // What the theorem does not speak of.
  for (const auto& change : {+[](ModelSpec& s) { s.norm = NormKind::layer; },
                             +[](ModelSpec& s) { s.encoder.visibility = Visibility::forward_backward; },
                             +[](ModelSpec& s) { s.position = PositionKind::rotary; }}) {
    ModelSpec other = spec;
    change(other);
    const Beginning c = beginning(other, "", bytes, 20, 1);
    EXPECT_THROW(attention_bound(*c.model, bytes.specials(), c.studied.texts[0]), Error);
  }
}

TEST(Collapse, AttentionAloneMakesRowsAlikeAndSkipsDoNot) {
  CollapseOptions o;
  o.layers = 6;
  o.length = 24;
  o.seeds = 3;
  o.paths = 12;
  const StudyReport r = *collapse_study({}, o);
  ASSERT_EQ(r.tables.size(), 4u);
  ASSERT_EQ(r.tables[0].rows.size(), 12u);
  for (const auto& row : r.tables[0].rows) {
    const double before = std::stod(row[2]), last = std::stod(row[5]);
    EXPECT_GT(before, 0.5) << row[0];
    if (row[1] == "attention alone") {
      EXPECT_LT(last, row[0] == "both sides" ? 1e-4 : 0.2) << row[0];
    } else if (row[1] != "with feed-forward layers") {
      EXPECT_GT(last, 0.3) << row[0];
    }
  }
  // Both sides collapse doubly exponentially, causal rows do not.
  ASSERT_EQ(r.tables[1].rows.size(), 3u);
  EXPECT_EQ(r.tables[1].rows[0].back(), "doubly exponentially");
  EXPECT_EQ(r.tables[1].rows[2].back(), "exponentially");
  EXPECT_NE(r.evidence.at(0).verdict, Verdict::supported) << r.evidence[0].figure;  // whole models do not collapse
  // The bound is counted behind each layer: before the first, bound and measurement are one number.
  long speaking = 0, vacuous = 0;
  for (const std::string& f : r.findings) {
    std::sscanf(f.c_str(), "The theorem's bound held behind all %ld layers where it says something and %ld", &speaking,
                &vacuous);
  }
  EXPECT_GT(speaking + vacuous, 0);
  EXPECT_LE(speaking + vacuous, 3 * o.seeds * int64_t(o.deviations.size()));
  EXPECT_THROW(collapse_study(std::vector<StudiedModel>(1), o), Error);  // a model without texts
  // The bound: a row per deviation; paths: longer ones leave less.
  EXPECT_EQ(r.tables[2].rows.size(), o.deviations.size());
  for (const auto& row : r.tables[3].rows) EXPECT_LT(std::stod(row[6]), std::stod(row[1])) << row[0];
}

}  // namespace
}  // namespace triarch
