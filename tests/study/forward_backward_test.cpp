#include "triarch/study/forward_backward.h"

#include <gtest/gtest.h>

#include <filesystem>

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
  const Difference d = difference(estimate_of({2, 4, 6}), estimate_of({1, 2, 3}));
  EXPECT_NEAR(judged_by(d).low, 2 - 4.302653 / std::sqrt(3.0), 1e-5);
  EXPECT_EQ(in_words(d), "+2.000 (-0.484 to +4.484)");
  EXPECT_FALSE(d.significant());
}

TEST(ForwardBackward, TablesSayWhatTrialsMeasured) {
  ForwardBackwardOptions o;
  o.tokens = 1600;
  o.seeds = 2;
  o.width = 16 * 2;
  StudyWork work;
  work.folder = std::filesystem::path(testing::TempDir()) / "forward_backward";
  std::filesystem::remove_all(work.folder);
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
  // Masks that differ give losses that differ: three layers let turns of layers matter in a prefix, too.
  const StudyTable& prefix = r->tables[2];
  EXPECT_NE(prefix.rows[2][1], prefix.rows[3][1]);

  o.layers = 2;
  EXPECT_THROW(forward_backward_study(o, work), Error);
}

}  // namespace
}  // namespace triarch
