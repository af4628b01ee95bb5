#include "triarch/evaluate/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "triarch/base/error.h"

namespace triarch {
namespace {

TEST(Statistics, MeanAndDeviation) {
  const std::vector<double> x = {2, 4, 4, 4, 5, 5, 7, 9};
  EXPECT_DOUBLE_EQ(mean(x), 5);
  EXPECT_DOUBLE_EQ(standard_deviation(x), std::sqrt(32.0 / 7));
  EXPECT_DOUBLE_EQ(standard_deviation(std::vector<double>{3}), 0);
  EXPECT_THROW(mean({}), Error);
}

TEST(Statistics, QuantileIsLinearBetweenOrderStatistics) {
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.25), 1.75);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 1), 4);
  EXPECT_DOUBLE_EQ(quantile({7}, 0.3), 7);
}

// The usual printed table.
TEST(Statistics, StudentsTable) {
  EXPECT_NEAR(student_quantile(0.975, 1), 12.7062, 1e-4);
  EXPECT_NEAR(student_quantile(0.975, 2), 4.30265, 1e-5);
  EXPECT_NEAR(student_quantile(0.975, 4), 2.77645, 1e-5);
  EXPECT_NEAR(student_quantile(0.995, 9), 3.24984, 1e-5);
  EXPECT_NEAR(student_quantile(0.95, 30), 1.69726, 1e-5);
  EXPECT_NEAR(student_quantile(0.025, 2), -4.30265, 1e-5);
  // Closed forms: Cauchy, and two degrees of freedom.
  EXPECT_NEAR(student_cdf(2, 1), 0.5 + std::atan(2.0) / std::numbers::pi, 1e-13);
  EXPECT_NEAR(student_cdf(-1.5, 2), 0.5 * (1 - 1.5 / std::sqrt(2 + 1.5 * 1.5)), 1e-13);
  EXPECT_DOUBLE_EQ(student_cdf(0, 7), 0.5);
}

TEST(Statistics, IntervalOfThree) {
  // mean 2, sd 1: 2 +- 4.30265 / sqrt(3)
  const auto interval = t_interval(std::vector<double>{1, 2, 3});
  ASSERT_TRUE(interval);
  EXPECT_NEAR(interval->low, 2 - 2.484138, 1e-5);
  EXPECT_NEAR(interval->high, 2 + 2.484138, 1e-5);
  EXPECT_FALSE(t_interval(std::vector<double>{1}));
}

TEST(Statistics, BinomialTailAndHolm) {
  EXPECT_NEAR(binomial_tail(8, 10, 0.5), 56.0 / 1024, 1e-14);  // (45 + 10 + 1) / 2^10
  EXPECT_NEAR(binomial_tail(1, 3, 0.25), 1 - 27.0 / 64, 1e-14);
  EXPECT_EQ(binomial_tail(0, 5, 0.3), 1);
  EXPECT_EQ(binomial_tail(6, 5, 0.3), 0);
  EXPECT_EQ(binomial_tail(0, 0, 0.5), 1);
  // Clopper and Pearson's: without a success the upper end is 1 - .025^(1/n).
  EXPECT_EQ(binomial_interval(0, 10).low, 0);
  EXPECT_NEAR(binomial_interval(0, 10).high, 1 - std::pow(0.025, 0.1), 1e-9);
  EXPECT_NEAR(binomial_interval(10, 10).low, std::pow(0.025, 0.1), 1e-9);
  EXPECT_EQ(binomial_interval(10, 10).high, 1);
  EXPECT_NEAR(binomial_interval(5, 10).low, 0.18709, 1e-5);
  EXPECT_NEAR(binomial_interval(5, 10).high, 0.81291, 1e-5);
  EXPECT_THROW(binomial_interval(1, 0), Error);
  // Where the two never differ and have no spread, as wide as both shares' intervals together.
  const Interval never = paired_shares_interval("1111111111", "1111111111");
  EXPECT_NEAR(never.high, 1 - std::pow(0.025, 0.1), 1e-9);
  EXPECT_NEAR(never.low, -never.high, 1e-12);
  // Answers that always agree tell the two apart least: no correlation is left over.
  const Interval same = paired_shares_interval("1010101010", "1010101010");
  EXPECT_NEAR(same.low, 0, 1e-9);
  EXPECT_NEAR(same.high, 0, 1e-9);
  const Interval other = paired_shares_interval("1111100000", "0000011111");
  EXPECT_NEAR(other.high, 2 * (0.81291 - 0.5), 1e-4);
  EXPECT_THROW(paired_shares_interval("1", "11"), Error);
  EXPECT_THROW(paired_shares_interval("", ""), Error);
  // It holds the difference in 95 % of samples or more.
  Draw draw(Key(3, Purpose::test));
  int64_t held = 0;
  constexpr int64_t kSamples = 1000;
  for (int64_t s = 0; s < kSamples; ++s) {
    std::string a, b;
    for (int i = 0; i < 40; ++i) {
      const double u = draw.uniform();  // both .5, only a .25, only b .1
      a += u < 0.75 ? '1' : '0';
      b += u < 0.5 || (u >= 0.75 && u < 0.85) ? '1' : '0';
    }
    const Interval x = paired_shares_interval(a, b);
    held += x.low <= 0.15 && 0.15 <= x.high;
  }
  EXPECT_GE(held, kSamples * 94 / 100);
  // Sorted .01 .02 .03 .04 against .0125 .0167 .025 .05: only the first is rejected, the last not although below .05.
  EXPECT_EQ(holm(std::vector<double>{0.04, 0.01, 0.03, 0.02}, 0.05), (std::vector<bool>{false, true, false, false}));
  EXPECT_EQ(holm(std::vector<double>{0.015, 0.01, 0.02}, 0.05), (std::vector<bool>{true, true, true}));
}

TEST(Statistics, RatiosInEachRun) {
  const Measurements x{{{2, 6}, {1, 3}}, {1, 3}};
  EXPECT_EQ(x.by_run(), (std::vector<double>{2, 1}));
  EXPECT_EQ((Measurements{{{1, 0, 1, 1}}, {}}).by_run(), (std::vector<double>{0.75}));
  EXPECT_THROW((Measurements{{{1, 2}, {1}}, {}}).by_run(), Error);
  EXPECT_THROW((Measurements{{{1, 2}}, {1}}).by_run(), Error);
}

// Two runs, two items, values 0 or 1: all 2^2 x 2^2 resamples by hand.
TEST(Statistics, BootstrapAgreesWithEnumeration) {
  const Measurements x{{{0, 1}, {1, 4}}, {}};
  // Run means by drawn items (00, 01, 10, 11): run 0: 0 .5 .5 1; run 1: 1 2.5 2.5 4. Over runs {00, 01, 10, 11}.
  std::vector<double> all;
  const double run0[] = {0, 0.5, 0.5, 1}, run1[] = {1, 2.5, 2.5, 4};
  for (int items = 0; items < 4; ++items) {
    for (int runs = 0; runs < 4; ++runs) {
      const double a = runs & 1 ? run1[items] : run0[items], b = runs & 2 ? run1[items] : run0[items];
      all.push_back((a + b) / 2);
    }
  }
  const Estimate many = estimate(x, 20000);
  for (double level : {0.5, 0.8}) {
    for (double p : {(1 - level) / 2, (1 + level) / 2}) {
      EXPECT_NEAR(quantile(many.resamples, p), quantile(all, p), 0.26) << p;
    }
  }
}

// Many items of one run: the interval is the normal one.
TEST(Statistics, BootstrapOfOneRunIsThatOfItsItems) {
  Measurements x;
  x.values.emplace_back();
  Draw draw(Key(3, Purpose::test));
  for (int i = 0; i < 400; ++i) x.values[0].push_back(draw.normal());
  const double half = 1.96 * standard_deviation(x.values[0]) / 20;
  const Interval interval = estimate(x).interval();
  EXPECT_NEAR((interval.high - interval.low) / 2, half, 0.1 * half);
  EXPECT_NEAR((interval.high + interval.low) / 2, mean(x.values[0]), 0.1 * half);
  const Interval again = estimate(x).interval();
  EXPECT_EQ(again.low, interval.low);
  EXPECT_EQ(again.high, interval.high);
}

// As far as the bootstrap or Student's t reaches: of seeds that differ and items that do not it is t's, of items that
// differ and seeds that do not the bootstrap's; a figure and a difference have the same one.
TEST(Statistics, OneIntervalForAll) {
  const Estimate seeds = estimate_of(std::vector<double>{.50, .51, .52});
  EXPECT_NEAR(seeds.interval().low, 0.51 - 4.302653 * 0.01 / std::sqrt(3.0), 1e-6);
  EXPECT_NEAR(seeds.interval().high, 0.51 + 4.302653 * 0.01 / std::sqrt(3.0), 1e-6);
  const Figure f = figure_of(seeds);
  EXPECT_EQ(f.low, seeds.interval().low);
  EXPECT_EQ(f.high, seeds.interval().high);
  EXPECT_EQ(difference_of(seeds).interval.low, f.low);
  EXPECT_EQ(difference_of(seeds).interval.high, f.high);
  Measurements items;
  items.values.assign(3, {0, 1, 0, 1, 1, 0, 1, 0, 0, 1});  // t is a point
  EXPECT_LT(estimate(items).interval().low, 0.3);
  EXPECT_GT(estimate(items).interval().high, 0.7);
  // At five runs, too: four alike and one far off exclude 0 by the bootstrap alone.
  const Difference five = difference_of(estimate_of(std::vector<double>{.1, .1, .1, .1, 2}));
  EXPECT_TRUE(five.bootstrap.excludes_zero());
  EXPECT_FALSE(five.significant());
}

// p is the level at which the interval reaches 0; Holm's correction takes away what one of many shows by chance.
TEST(Statistics, ClaimsOfSeveral) {
  const auto of = [](std::vector<double> x) { return difference_of(estimate_of(x)); };
  // t = 2 / (1 / sqrt(3)) with two degrees of freedom: P(|T| > t) = 1 - t / sqrt(2 + t^2).
  const double t = 2 * std::sqrt(3.0);
  EXPECT_NEAR(of({1, 2, 3}).p, 1 - t / std::sqrt(2 + t * t), 1e-9);
  EXPECT_EQ(of({1}).p, 1);
  EXPECT_EQ(of({0, 0}).p, 1);
  EXPECT_GT(of({-1, 1, 0.1}).p, 0.5);
  const Difference clear = of({1, 1.001, 0.999}), weak = of({2, 2.6, 1.4});
  EXPECT_TRUE(weak.above());
  EXPECT_FALSE(weak.below());
  EXPECT_EQ(weak.p < 0.05, weak.interval.excludes_zero());
  EXPECT_EQ(claimed(std::vector{weak}), (std::vector<bool>{true}));
  EXPECT_EQ(claimed(std::vector{clear, weak, of({0.1, -0.1, 0})}), (std::vector<bool>{true, false, false}));
}

TEST(Statistics, PairedDifferenceTakesOutWhatIsCommon) {
  // Items and runs vary a lot; b is always 0.1 higher, give or take a little.
  Draw draw(Key(5, Purpose::test));
  Measurements a, b;
  for (int run = 0; run < 3; ++run) {
    a.values.emplace_back();
    b.values.emplace_back();
    const double level = draw.normal();
    for (int i = 0; i < 100; ++i) {
      const double value = level + 3 * draw.normal();
      a.values.back().push_back(value);
      b.values.back().push_back(value + 0.1 + 0.02 * draw.normal());
    }
  }
  const Difference d = difference(estimate(a), estimate(b));
  EXPECT_NEAR(d.mean, -0.1, 0.01);
  EXPECT_TRUE(d.same_direction);
  EXPECT_LT(d.bootstrap.high, -0.09);
  EXPECT_TRUE(d.significant());
  EXPECT_FALSE(difference(estimate(a), estimate(a)).significant());
}

TEST(Statistics, NoClaimFromOneRunNorAgainstOne) {
  const Measurements low{{{0, 0, 0}}, {}}, high{{{1, 1, 1}}, {}};
  EXPECT_TRUE(difference(estimate(high), estimate(low)).bootstrap.excludes_zero());
  EXPECT_FALSE(difference(estimate(high), estimate(low)).significant());
  // Two of three runs say yes, one no.
  const Measurements mixed{{{1, 1}, {1, 1}, {-0.1, -0.1}}, {}}, zero{{{0, 0}, {0, 0}, {0, 0}}, {}};
  EXPECT_FALSE(difference(estimate(mixed), estimate(zero)).same_direction);
  EXPECT_FALSE(difference(estimate(mixed), estimate(zero)).significant());
  // All agree, but so unevenly that the t interval holds 0.
  const Measurements uneven{{{1, 1}, {0.05, 0.05}, {0.1, 0.1}}, {}};
  const Difference d = difference(estimate(uneven), estimate(zero));
  EXPECT_TRUE(d.same_direction);
  EXPECT_TRUE(d.bootstrap.excludes_zero());
  EXPECT_FALSE(d.significant());
}

}  // namespace
}  // namespace triarch
