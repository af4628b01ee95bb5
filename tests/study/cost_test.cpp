#include "triarch/study/cost.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <filesystem>

#include "tests/scratch.h"
#include "triarch/base/error.h"

namespace triarch {
namespace {

CurvePoint at(int64_t tokens, double loss, double accuracy, int64_t examples = 0) {
  CurvePoint p;
  p.tokens = tokens;
  p.flops = 10.0 * double(tokens);
  p.seconds = double(tokens) / 100;
  p.suffix_loss = loss;
  p.accuracy = accuracy;
  p.examples = examples;
  return p;
}

TEST(Cost, SpentUntilATargetByHand) {
  const CurveFigure loss = [](const CurvePoint& p) { return p.suffix_loss; };
  const CurveFigure accuracy = [](const CurvePoint& p) { return p.accuracy; };
  TrialResult run;
  run.tokens = 200, run.flops = 2000, run.seconds = 2;
  run.curve = {at(100, 4, 0.2), at(200, 2, 0.3)};
  EXPECT_NEAR(spent_until(run, 3, true, loss)->tokens, 150, 1e-9);
  EXPECT_NEAR(spent_until(run, 3, true, loss)->seconds, 1.5, 1e-9);
  EXPECT_EQ(spent_until(run, 5, true, loss)->tokens, 100);  // there at the first point
  EXPECT_FALSE(spent_until(run, 1, true, loss));
  EXPECT_FALSE(spent_until(run, 0.8, false, accuracy));
  // Once by luck is not reached.
  TrialResult lucky;
  lucky.curve = {at(100, 4, 0.9), at(200, 2, 0.3), at(300, 2, 0.6), at(400, 2, 0.7)};
  EXPECT_NEAR(spent_until(lucky, 0.45, false, accuracy)->tokens, 250, 1e-9);
  // Finetuning goes on from there.
  run.finetuned.emplace_back().curve = {at(50, 2, 0.7, 10), at(100, 2, 0.9, 20)};
  const auto spent = spent_until(run, 0.8, false, accuracy);
  ASSERT_TRUE(spent);
  EXPECT_NEAR(spent->tokens, 275, 1e-9);
  EXPECT_NEAR(spent->examples, 15, 1e-9);
  EXPECT_NEAR(spent->flops, 2750, 1e-9);
  EXPECT_NEAR(spent_until(run, 0.5, false, accuracy)->examples, 5, 1e-9);
}

// By every rival at every target, not by the cheapest of them at one.
TEST(Cost, CheapestByAllRivals) {
  const auto entry = [](bool causal, std::vector<double> logs) { return Reached{causal, std::move(logs)}; };
  const Reached causal = entry(true, {1, 1.01, 0.99}), dearer = entry(false, {2, 2.01, 1.99}),
                near = entry(false, {1.4, 0.9, 1.1}), less = entry(false, {0.5, 0.51, 0.49});
  using Targets = std::vector<std::vector<Reached>>;
  const auto says = [](const Targets& t) { return cheapest(t); };
  EXPECT_EQ(says({{causal, dearer}}), Verdict::supported);
  EXPECT_EQ(says({{causal, dearer, near}}), Verdict::undecided);  // one rival of two is not told apart
  EXPECT_EQ(says({{causal, dearer, less}}), Verdict::contradicted);
  EXPECT_EQ(says({{causal, dearer}, {causal, less}}), Verdict::contradicted);
  // Another way of the causal decoder is as cheap as the rival.
  EXPECT_EQ(says({{causal, less, entry(true, {0.5, 0.52, 0.48})}}), Verdict::undecided);
  // Nothing was tested.
  EXPECT_EQ(says({}), Verdict::undecided);
  EXPECT_EQ(says({{causal}}), Verdict::undecided);
  EXPECT_EQ(says({{causal, dearer}, {causal}}), Verdict::supported);
  EXPECT_EQ(says({{causal, dearer}, {near}}), Verdict::undecided);  // it missed what another reached
  // One of many that is significant alone.
  const Reached weak = entry(false, {0.98, 0.974 + 0.01, 0.986 - 0.01});
  EXPECT_EQ(says({{causal, weak}}), Verdict::contradicted);
  EXPECT_EQ(says({{causal, weak, near, near, near}}), Verdict::undecided);
}

TEST(Cost, SaysWhatWasNotReached) {
  CostOptions o;
  o.tokens = 3000;
  o.seeds = 2;
  o.width = 32;
  o.layers = 1;
  o.items = 2;
  const Scratch scratch;
  StudyWork work;
  work.folder = scratch.path();
  work.jobs = 2;
  const auto r = cost_study(o, work);
  ASSERT_TRUE(r);
  ASSERT_GE(r->tables.size(), 2u);
  EXPECT_EQ(r->tables[0].rows.size(), 6u);                                // generators, in two ways
  for (const auto& row : r->tables[0].rows) EXPECT_EQ(row[1], "2 of 2");  // what every run reaches
  std::string all;
  for (const std::string& f : r->findings) all += f + "\n";
  for (const auto& row : r->tables[1].rows) {
    ASSERT_EQ(row.size(), r->tables[1].head.size());
    EXPECT_EQ(row[1] == "0 of 2", row[2] == "not reached within 3.0k") << row[2];
    if (row[1] != "2 of 2") {
      EXPECT_NE(all.find(fmt::format("{} ({} seeds)", row[0], row[1])), std::string::npos) << all;
    }
  }
  o.watts = 0;
  EXPECT_THROW(cost_study(o, work), Error);
}

}  // namespace
}  // namespace triarch
