#include "triarch/study/forward_backward.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/study/queue.h"
#include "triarch/study/trial_parts.h"

namespace triarch {
namespace {

TEST(TrialParts, StatisticsOfSeeds) {
  TrialResult a, b;
  a.curve = {{1, 100, 0, 0, 0, 0, 4.0, 3.0}, {2, 200, 0, 0, 0, 0, 2.0, 2.0}};
  b.curve = {{1, 100, 0, 0, 0, 0, 5.0, 5.0}, {2, 200, 0, 0, 0, 0, 1.0, 4.0}};
  const auto suffix = [](const CurvePoint& p) { return p.suffix_loss; };
  const StudySeries s = curve_of("it", {&a, &b}, suffix);
  EXPECT_EQ(s.y, (std::vector<double>{4, 3}));
  EXPECT_EQ(s.low, (std::vector<double>{3, 2}));
  EXPECT_EQ(s.high, (std::vector<double>{5, 4}));
  EXPECT_EQ(tokens_to(a, 2.5, suffix), 150.0);
  EXPECT_EQ(tokens_to(b, 2.5, suffix), std::nullopt);
  b.failure = "diverged at step 3";
  b.seed = 2;
  EXPECT_EQ(failure_of({&a, &b}), "diverged at step 3 (seed 2)");
  // Differences of 1, 2 and 3: 2 +- t(0.975, 2) / sqrt(3).
  const Difference d = paired(std::vector<double>{2, 4, 6}, std::vector<double>{1, 2, 3});
  EXPECT_NEAR(d.interval.low, 2 - 4.302653 / std::sqrt(3.0), 1e-5);
  EXPECT_EQ(in_words(d), "+2.000 (-0.484 to +4.484)");
  EXPECT_FALSE(d.significant());
  EXPECT_EQ(told(d, "more", "less"), "not told apart by 3 seeds");
  const Difference one = paired(std::vector<double>{2}, std::vector<double>{1});
  EXPECT_EQ(in_words(one), "+1.000");
  EXPECT_EQ(told(one, "more", "less"), "not told apart by 1 seed");
  EXPECT_EQ(in_times(paired(std::vector<double>{1, 1}, std::vector<double>{1, 1})), "1.00 (1.00 to 1.00)");
}

// A run that took fewer steps than there are points has a shorter curve.
TEST(TrialParts, CurvesOfDifferentLengths) {
  const std::vector<Places> seeds = {{{100, 4.0}, {200, 2.0}, {300, 1.0}}, {{100, 6.0}, {200, std::nullopt}}};
  for (const auto& order : {seeds, {seeds[1], seeds[0]}}) {
    const StudySeries s = mean_curve("it", order);
    EXPECT_EQ(s.x, (std::vector<double>{100, 200}));
    EXPECT_EQ(s.y, (std::vector<double>{5, 2}));
  }
}

TEST(TrialParts, Verdicts) {
  const auto of = [](std::vector<double> x) { return paired(x, std::vector<double>(x.size(), 0.0)); };
  const Difference up = of({1, 1.1, 0.9}), down = of({-1, -1.1, -0.9}), open = of({1, -1, 0.5}),
                   weak = of({2, 2.6, 1.4});
  using Several = std::vector<Difference>;
  EXPECT_EQ(verdict_on_all(Several{up, weak}, true), Verdict::supported);
  EXPECT_EQ(verdict_on_all(Several{down, down}, true), Verdict::contradicted);
  EXPECT_EQ(verdict_on_all(Several{up, open}, true), Verdict::undecided);
  EXPECT_EQ(verdict_on_all(Several{}, true), Verdict::undecided);
  EXPECT_EQ(verdict_on_any(Several{down, open, open}, false), Verdict::supported);
  EXPECT_EQ(verdict_on_any(Several{weak, open, open}, true), Verdict::undecided);  // one of three by chance
  EXPECT_EQ(verdict_on_any(Several{up, down, open}, true), Verdict::undecided);
  EXPECT_EQ(verdict_on_any(Several{up, open}, false), Verdict::contradicted);
}

// By a level two runs can differ without one being faster: b gains twice as much in the same course.
TEST(ForwardBackward, SpeedIsOfARunsOwnGain) {
  const auto run = [](double gain) {
    TrialResult t;
    t.unigram_entropy = 4;
    t.own_loss = 4 - gain;
    for (int64_t i = 0; i <= 4; ++i) {
      CurvePoint& p = t.curve.emplace_back();
      p.tokens = 100 * i;
      p.own_loss = 4 - gain * double(i) / 4;
    }
    return t;
  };
  EXPECT_NEAR(*log_tokens_to_half(run(1)), std::log(200), 1e-12);
  EXPECT_EQ(log_tokens_to_half(run(1)), log_tokens_to_half(run(2)));
  EXPECT_FALSE(log_tokens_to_half(run(-1)));
}

TEST(ForwardBackward, TablesSayWhatTrialsMeasured) {
  ForwardBackwardOptions o;
  o.tokens = 1600;
  o.seeds = 2;
  o.width = 16 * 2;
  const Scratch scratch;
  StudyWork work;
  work.folder = scratch.path();
  work.jobs = 2;
  const auto r = forward_backward_study(o, work);
  ASSERT_TRUE(r);
  ASSERT_EQ(r->tables.size(), 5u);
  ASSERT_EQ(r->findings.size(), 6u);
  const auto loss = [&](const char* trial) {
    TrialResult t;
    parse_json(*WorkQueue(work.folder).result(trial), trial, t);
    return t.own_loss;
  };
  const double full = (loss("encoder-masked_lm.1600.1") + loss("encoder-masked_lm.1600.2")) / 2;
  const double layers = (loss("encoder_forward_backward_layers-masked_lm.1600.1") +
                         loss("encoder_forward_backward_layers-masked_lm.1600.2")) /
                        2;
  const StudyTable& masked = r->tables[0];
  EXPECT_NEAR(std::stod(masked.rows[0][1]), full, 6e-4);
  EXPECT_NEAR(std::stod(masked.rows[2][1]), layers, 6e-4);
  EXPECT_NEAR(std::stod(masked.rows[2][3]), layers - full, 6e-4);
  EXPECT_EQ(r->tables[3].rows.size(), 15u);
  // Speed is judged by the whole budget, which has a curve.
  for (size_t i = 0; i < 9; ++i) {
    ASSERT_EQ(r->tables[4].rows[i].size(), 6u);
    EXPECT_EQ(r->tables[4].rows[i].back().empty(), i % 3 != 2) << i;
  }
  // Masks that differ give losses that differ: three layers let turns of layers matter in a prefix, too.
  const StudyTable& prefix = r->tables[2];
  EXPECT_NE(prefix.rows[2][1], prefix.rows[3][1]);

  o.layers = 2;
  EXPECT_THROW(forward_backward_study(o, work), Error);
}

}  // namespace
}  // namespace triarch
