// Statistics of a few runs (seeds) on the same items. A figure is a ratio of sums (nats per token, right answers per
// question), taken in each run and averaged over the runs.
//
// Items are common to all runs, so the bootstrap draws runs (outer) and items (inner) with replacement, the same items
// for every drawn run: the crossed, or pigeonhole, bootstrap (Owen 2007), which does not understate either source
// of chance. Over few runs, though, it is too narrow, and Student's t over runs knows nothing of items: the one
// interval that is printed, and by which differences are judged, reaches as far as either of them. Differences are
// paired: the same runs and items for both sides.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
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
// Of p, where k of n > 0 trials succeeded (Clopper and Pearson 1934): it has a width also where all or none did.
Interval binomial_interval(int64_t k, int64_t n, double level = 0.95);
// Of the share of '1' in a minus that in b, of the same items (Newcombe 1998b, method 10, about the exact intervals of
// both shares): it has a width also where the two never differ. Error unless both are as long, and not empty.
Interval paired_shares_interval(std::string_view a, std::string_view b, double level = 0.95);
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
  // From the lower of the low ends to the higher of the high ends of a bootstrap (quantiles of the resamples) and of
  // Student's t over runs. Of one run, the bootstrap over its items.
  Interval interval(double level = 0.95) const;
};

constexpr int64_t kResamples = 2000;
// What resample `number` draws: runs, and items. From streams of their own, so figures of other items draw the same
// runs.
std::vector<size_t> resampled_runs(int64_t number, size_t runs);  // `runs` of them
Draw resampled_items(int64_t number);
// Of the mean over runs. With one run only items are drawn.
Estimate estimate(const Measurements& x, int64_t resamples = kResamples);
// Of one value of each run: only runs are drawn.
Estimate estimate_of(std::span<const double> by_run);

// An estimate as reports hold it.
struct Figure {
  double mean = 0, sd = 0;
  double low = 0, high = 0;   // Estimate::interval, 95 %
  std::vector<double> seeds;  // of each seed

  template <class V>
  void fields(V& v) {
    v("mean", mean, "over seeds");
    v("sd", sd, "over seeds");
    v("low", low, "95 %: as far as a bootstrap over seeds and items or Student's t over seeds reaches");
    v("high", high, "95 %");
    v("seeds", seeds, "of each seed");
  }
};
// What a figure can be.
constexpr Interval kAnywhere = {-HUGE_VAL, HUGE_VAL}, kShare = {0, 1}, kPercent = {0, 100}, kPositive = {0, HUGE_VAL},
                   kCosine = {-1, 1};
// Its interval is cut to what the figure can be; Student's t knows of no range.
Figure figure_of(const Estimate& estimate, Interval range = kAnywhere);

// Of a - b: the same runs (by seed) and items on both sides.
struct Difference {
  double mean = 0;
  Interval interval;            // Estimate::interval, 95 %
  Interval bootstrap;           // by resampling alone
  double p = 1;                 // two-sided, of no difference: the larger of bootstrap's and t's; 1 for one run
  bool same_direction = false;  // every run says the same
  int64_t runs = 0;

  // Claimed only if the interval excludes 0 and every run agrees. One run claims nothing.
  bool significant() const { return runs >= 2 && same_direction && interval.excludes_zero(); }
  // Claimed, and on that side of 0.
  bool above() const { return significant() && mean > 0; }
  bool below() const { return significant() && mean < 0; }
};
Difference difference(const Estimate& a, const Estimate& b);
// Of differences that were taken in each run.
Difference difference_of(const Estimate& d);

// Which of several differences are claimed where any of them would do: those that are significant by Holm's correction
// over all, too.
std::vector<bool> claimed(std::span<const Difference> all);

}  // namespace triarch
