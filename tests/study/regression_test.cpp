#include "triarch/study/regression.h"

#include <gtest/gtest.h>

#include <cmath>

#include "triarch/base/error.h"
#include "triarch/base/threads.h"
#include "triarch/inference/packed.h"

namespace triarch {
namespace {

TEST(RegressionWorld, MethodsByHand) {
  // y = 2 a - b, asked at (1, 1) and (3, 0).
  RegressionTask t;
  t.dimensions = 2;
  t.x = {1, 0, 0, 2};
  t.y = {2, -2};
  t.asked_x = {1, 1, 3, 0};
  t.asked_y = {1, 6};
  const auto ls = least_squares(t);
  EXPECT_NEAR(ls[0], 1, 1e-12);
  EXPECT_NEAR(ls[1], 6, 1e-12);
  // One pair: the w of least norm is (2, 0).
  EXPECT_NEAR(least_squares(t.first(1))[0], 2, 1e-12);
  EXPECT_EQ(least_squares(t.first(0)), (std::vector<double>{0, 0}));
  // One step: w = rate / 2 (2 (1, 0) - 2 (0, 2)) = rate (1, -2).
  EXPECT_NEAR(gradient_descent(t, 1, 0.5)[0], -0.5, 1e-12);
  EXPECT_NEAR(gradient_descent(t, 1, 0.5)[1], 1.5, 1e-12);
  EXPECT_NEAR(gradient_descent(t, 2000, 0.5)[1], 6, 1e-9);
  // Step by step: w = (1, 0) behind the first pair, then -2 is expected at (0, 2) and 0 said: w = (1, -2).
  EXPECT_NEAR(online_descent(t, 0.5)[0], -1, 1e-12);
  EXPECT_NEAR(online_descent(t, 0.5)[1], 3, 1e-12);
  EXPECT_NEAR(mean_squared(std::vector<double>{1, 2}, std::vector<double>{2, 4}), 2.5, 1e-15);
  EXPECT_THROW(t.first(3), Error);

  const RegressionTask random = regression_task(Key(1, Purpose::test), 5, 6, 3);
  for (size_t q = 0; q < 3; ++q) EXPECT_NEAR(least_squares(random)[q], random.asked_y[q], 1e-9);
  const Bins bins{8, 2};
  EXPECT_EQ(bins.of(-1.99), 0);
  EXPECT_EQ(bins.of(-9), 0);
  EXPECT_EQ(bins.of(0.01), 4);
  EXPECT_EQ(bins.of(9), 7);
  for (int64_t b = 0; b < 8; ++b) EXPECT_EQ(bins.of(bins.centre(b)), b);
}

// [questions] logits of a random model.
std::vector<double> logits_of(Family family, const RegressionTask& task) {
  const Bins bins{6, 3};
  ModelSpec s = preset("llama", family, 16, 2);
  s.position = PositionKind::none;
  s.features = regression_features(task.dimensions);
  s.vocabulary = int32_t(bins.count);
  s.tied = false;
  Model model(s, Precision::float64(), false);
  model.parameters().initialise(1);
  Batch batch;
  append_regression(batch, task, bins);
  Arena arena;
  Context ctx{arena, nullptr, Precision::float64()};
  return doubles_of(model.logits(ctx, model.forward(ctx, batch), batch));
}

TEST(RegressionWorld, PrefixesHaveNoOrderAndCausalPairsDo) {
  const RegressionTask task = regression_task(Key(2, Purpose::test), 3, 4, 2);
  RegressionTask turned = task;
  for (size_t i = 0; i < 4; ++i) {
    turned.y[i] = task.y[3 - i];
    for (size_t c = 0; c < 3; ++c) turned.x[i * 3 + c] = task.x[(3 - i) * 3 + c];
  }
  const auto largest = [](const std::vector<double>& a, const std::vector<double>& b) {
    double most = 0;
    for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
    return most;
  };
  EXPECT_LT(largest(logits_of(Family::prefix, task), logits_of(Family::prefix, turned)), 1e-12);
  EXPECT_GT(largest(logits_of(Family::causal, task), logits_of(Family::causal, turned)), 1e-6);
  // What is asked for is not shown.
  RegressionTask other = task;
  for (double& y : other.asked_y) y += 1;
  EXPECT_EQ(logits_of(Family::prefix, task), logits_of(Family::prefix, other));
  // And what is shown is read.
  other.y[0] += 1;
  EXPECT_GT(largest(logits_of(Family::prefix, task), logits_of(Family::prefix, other)), 1e-6);
}

TEST(RegressionStudy, LearnsAndReports) {
  set_this_thread_serial(true);
  RegressionOptions o;
  o.dimensions = 1;
  o.pairs = 3;
  o.width = 32;
  o.sequences = 32;
  o.layers = 2;
  o.steps = 250;
  o.tasks = o.validation_tasks = 16;
  const RegressionMethods methods = regression_methods(o);
  std::vector<RegressionResult> results;
  for (Family family : {Family::causal, Family::prefix}) {
    results.push_back(*regression_trial(family, 1, o, methods, [](double, int64_t) { return true; }));
    ASSERT_EQ(results.back().error.size(), o.counts().size());
    EXPECT_LT(results.back().error.back(), 0.8);  // 1: nothing learnt
    EXPECT_GT(results.back().from_online[0] + results.back().from_descent[0], 0);
  }
  EXPECT_EQ(o.counts(), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_FALSE(regression_trial(Family::causal, 1, o, methods, [](double, int64_t) { return false; }));
  const StudyReport r = regression_report(o, methods, results);
  ASSERT_EQ(r.findings.size(), 5u);
  // One seed tells nothing apart, and nothing is said to be equal.
  EXPECT_EQ(r.evidence.at(0).verdict, Verdict::undecided);
  for (size_t i : {0, 3, 4})
    EXPECT_NE(r.findings[i].find("not told apart by 1 seed"), std::string::npos) << r.findings[i];
  set_this_thread_serial(false);
  for (const StudyTable& t : r.tables) {
    for (const auto& row : t.rows) EXPECT_EQ(row.size(), t.head.size()) << t.title;
  }
}

}  // namespace
}  // namespace triarch
