// Statistics of a few runs (seeds) on the same items. A figure is a ratio of sums (nats per token, right answers per
// question), taken in each run and averaged over the runs.
//
// Items are common to all runs, so the bootstrap draws runs (outer) and items (inner) with replacement, the same items
// for every drawn run: the crossed, or pigeonhole, bootstrap (Owen 2007), which does not understate either source
// of chance. Differences are paired: the same runs and items for both sides.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "triarch/base/random.h"

namespace triarch {

struct Interval {
  double low = 0, high = 0;
  bool excludes_zero() const { return low > 0 || high < 0; }
};

// Errors for empty input.
double mean(std::span<const double> x);
// With n - 1; 0 for one value.
double standard_deviation(std::span<const double> x);
// Linear between order statistics (type 7 of Hyndman and Fan 1996), p in [0, 1].
double quantile(std::vector<double> x, double p);

// Student's t: P(T <= t), and the t with P(T <= t) = p, for `freedom` >= 1 degrees of freedom (need not be whole).
double student_cdf(double t, double freedom);
double student_quantile(double p, double freedom);
// Of the mean; none for fewer than two values.
std::optional<Interval> t_interval(std::span<const double> x, double level = 0.95);

// P(X >= k) for X binomial with n trials of probability p.
double binomial_tail(int64_t k, int64_t n, double p);
// Holm's step-down: which hypotheses are rejected so that the chance of any wrong rejection is at most `level`.
std::vector<bool> holm(std::span<const double> p_values, double level);

// What was measured: values[run][item], and the items' weights (tokens, or empty: 1 each).
struct Measurements {
  std::vector<std::vector<double>> values;
  std::vector<double> weights;

  size_t runs() const { return values.size(); }
  size_t items() const { return values.empty() ? 0 : values.front().size(); }
  // Sum of values / sum of weights, in each run.
  std::vector<double> by_run() const;
  // Error if runs have different items, there are none, or the weights do not fit.
  void check() const;
};

// A figure of several runs, and what it is in each resample of runs and items. Resample r draws the same runs and items
// for all figures, so two figures of the same runs and items are paired.
struct Estimate {
  std::vector<double> runs;       // in each run
  std::vector<double> resamples;  // mean over the drawn runs

  double mean() const;
  // Between quantiles of the resamples.
  Interval interval(double level = 0.95) const;
};

constexpr int64_t kResamples = 2000;
// What resample `number` draws: runs, and items. From streams of their own, so figures of other items draw the same
// runs.
std::vector<size_t> resampled_runs(int64_t number, size_t runs);  // `runs` of them
Draw resampled_items(int64_t number);
// Of the mean over runs. With one run only items are drawn.
Estimate estimate(const Measurements& x, int64_t resamples = kResamples);

// An estimate as reports hold it.
struct Figure {
  double mean = 0, sd = 0;
  double low = 0, high = 0;             // 95 %, bootstrap over seeds and items
  std::optional<double> t_low, t_high;  // 95 %, Student's t over seeds
  std::vector<double> seeds;            // of each seed

  template <class V>
  void fields(V& v) {
    v("mean", mean, "over seeds");
    v("sd", sd, "over seeds");
    v("low", low, "95 %, bootstrap over seeds and items");
    v("high", high, "95 %, bootstrap over seeds and items");
    v("t_low", t_low, "95 %, Student's t over seeds");
    v("t_high", t_high, "95 %, Student's t over seeds");
    v("seeds", seeds, "of each seed");
  }
};
Figure figure_of(const Estimate& estimate);

// Of a - b: the same runs (by seed) and items on both sides.
struct Difference {
  double mean = 0;
  Interval bootstrap;
  std::optional<Interval> t;    // over runs; none for one
  bool same_direction = false;  // every run says the same
  int64_t runs = 0;

  // Claimed only if the bootstrap excludes 0, every run agrees and, below five runs (where a bootstrap over runs is too
  // narrow), the t interval excludes 0 as well. One run claims nothing.
  bool significant() const;
};
Difference difference(const Estimate& a, const Estimate& b);

}  // namespace triarch
