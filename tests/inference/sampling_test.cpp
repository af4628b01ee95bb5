// Distributions against computation by hand.
#include "triarch/inference/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <tuple>

#include "triarch/base/error.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

const double kNever = -std::numeric_limits<double>::infinity();

// Probabilities 0.4, 0.3, 0.2, 0.1 at ids 2, 0, 3, 1.
std::vector<double> four() { return {std::log(0.3) + 5, std::log(0.1) + 5, std::log(0.4) + 5, std::log(0.2) + 5}; }

// Of what is found in any order.
void expect(std::vector<Candidate> found, const std::vector<Candidate>& expected) {
  std::ranges::stable_sort(found, std::greater(), &Candidate::probability);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].id, expected[i].id);
    EXPECT_NEAR(found[i].probability, expected[i].probability, 1e-12);
  }
}

TEST(Sampling, Filters) {
  SamplingOptions o;
  expect(candidates(four(), o, {}), {{2, 0.4}, {0, 0.3}, {3, 0.2}, {1, 0.1}});
  o.top_k = 2;
  expect(candidates(four(), o, {}), {{2, 4 / 7.0}, {0, 3 / 7.0}});
  o = {};
  o.top_p = 0.6;  // 0.4 is too little, 0.7 is enough
  expect(candidates(four(), o, {}), {{2, 4 / 7.0}, {0, 3 / 7.0}});
  o.top_p = 0.01;
  expect(candidates(four(), o, {}), {{2, 1}});
  o = {};
  o.min_p = 0.4;  // at least 0.16
  expect(candidates(four(), o, {}), {{2, 4 / 9.0}, {0, 3 / 9.0}, {3, 2 / 9.0}});
  o = {};
  o.temperature = 0.5;  // probabilities squared
  expect(candidates(four(), o, {}), {{2, 16 / 30.0}, {0, 9 / 30.0}, {3, 4 / 30.0}, {1, 1 / 30.0}});
  o.temperature = 0;
  expect(candidates(four(), o, {}), {{2, 1}});
  // Temperature comes before top-p: at 0.5 the first two have 25/30.
  o.temperature = 0.5;
  o.top_p = 0.8;
  expect(candidates(four(), o, {}), {{2, 16 / 25.0}, {0, 9 / 25.0}});
  // All together: top-k leaves 16 9 4 of 29, top-p 16 9 of 25, min-p 16.
  o.top_k = 3;
  o.top_p = 0.6;
  o.min_p = 0.6;
  expect(candidates(four(), o, {}), {{2, 1}});
}

TEST(Sampling, RepetitionPenalty) {
  SamplingOptions o;
  o.repetition_penalty = 2;
  // 2 -> 1 once however often it was seen, -1 -> -2.
  const std::vector<double> z = {2, -1, 0.5};
  const std::vector<int32_t> seen = {0, 1, 0, 7};
  const double sum = std::exp(1) + std::exp(-2) + std::exp(0.5);
  expect(candidates(z, o, seen), {{0, std::exp(1) / sum}, {2, std::exp(0.5) / sum}, {1, std::exp(-2) / sum}});
}

TEST(Sampling, ImpossibleAndWrongLogits) {
  SamplingOptions o;
  expect(candidates(std::vector<double>{kNever, 1, kNever, 1}, o, {}), {{1, 0.5}, {3, 0.5}});
  EXPECT_THROW(candidates(std::vector<double>{kNever, kNever}, o, {}), Error);
  EXPECT_THROW(candidates(std::vector<double>{1, std::nan("")}, o, {}), Error);
  EXPECT_EQ(argmax(std::vector<double>{1, 3, 3}), 1);
  EXPECT_NEAR(logsumexp(std::vector<double>{1000, 1000}), 1000 + std::log(2), 1e-9);
}

TEST(Sampling, DrawsFollowTheDistribution) {
  const std::vector<Candidate> from = candidates(four(), {}, {});
  const Key key = sampling_key(7, 3);
  std::vector<int> count(4);
  const int draws = 40000;
  for (int i = 0; i < draws; ++i) ++count[size_t(choose(from, key.uniform(uint64_t(i))))];
  const double expected[] = {0.3, 0.1, 0.4, 0.2};
  double chi2 = 0;
  for (size_t i = 0; i < 4; ++i) chi2 += std::pow(count[i] - draws * expected[i], 2) / (draws * expected[i]);
  EXPECT_LT(chi2, 16.3);          // 99.9 % of chi-square with 3 degrees of freedom
  EXPECT_EQ(choose(from, 0), 0);  // by id
  EXPECT_EQ(choose(from, 0.9999999999999999), 3);
}

TEST(Sampling, SampleDrawsFromTheCandidates) {
  std::vector<double> z;
  for (int i = 0; i < 67; ++i) z.push_back(3 * sampling_key(1, 1).uniform(uint64_t(i)));
  for (const auto& [k, p, m] :
       {std::tuple{0, 1.0, 0.0}, {10, 1.0, 0.0}, {0, 0.7, 0.0}, {0, 1.0, 0.3}, {20, 0.7, 0.2}}) {
    SamplingOptions o;
    o.top_k = k;
    o.top_p = p;
    o.min_p = m;
    const std::vector<Candidate> from = candidates(z, o, {});
    std::vector<double> expected(z.size()), found(z.size());
    for (const Candidate& c : from) expected[size_t(c.id)] = c.probability;
    const int draws = 20000;  // evenly, so that shares are exact to one draw
    for (int i = 0; i < draws; ++i) found[size_t(sample(z, o, {}, (i + 0.5) / draws))] += 1.0 / draws;
    for (size_t i = 0; i < z.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1.01 / draws);
  }
  const std::vector<Candidate> best = most_likely(four(), logsumexp(four()), 2);
  expect(best, {{2, 0.4}, {0, 0.3}});
}

TEST(Sampling, LikeliestIsAStableSort) {
  Draw draw(Key(5, Purpose::test));
  std::vector<double> z(805);  // blocks and a rest
  for (double& x : z) x = double(draw.below(40));
  z[7] = z[100] = -HUGE_VAL;
  z[8] = std::nan("");
  const std::vector<int32_t> never = {3, 150};
  std::vector<int32_t> expected;
  for (int32_t i = 0; i < 805; ++i) {
    if (z[size_t(i)] > -HUGE_VAL && i != 3 && i != 150) expected.push_back(i);
  }
  std::ranges::stable_sort(expected, std::greater(), [&](int32_t i) { return z[size_t(i)]; });
  for (size_t count : {0, 1, 8, 195, 500, 2000}) {
    std::vector<int32_t> first = expected;
    first.resize(std::min(count, first.size()));
    EXPECT_EQ(likeliest(z, int64_t(count), never), first) << count;
  }
  EXPECT_EQ(argmax(z), likeliest(z, 1).front());
  z.back() = 41;
  EXPECT_EQ(argmax(z), 804);
  EXPECT_EQ(likeliest(z, 1).front(), 804);
}

TEST(Sampling, OptionsAreChecked) {
  for (auto change : {+[](SamplingOptions& o) { o.temperature = -1; }, +[](SamplingOptions& o) { o.top_k = -1; },
                      +[](SamplingOptions& o) { o.top_p = 0; }, +[](SamplingOptions& o) { o.top_p = 1.5; },
                      +[](SamplingOptions& o) { o.min_p = 2; }, +[](SamplingOptions& o) { o.repetition_penalty = 0; },
                      +[](SamplingOptions& o) { o.temperature = std::nan(""); }}) {
    SamplingOptions o;
    o.check();
    change(o);
    EXPECT_THROW(o.check(), Error);
  }
}

}  // namespace
}  // namespace triarch
