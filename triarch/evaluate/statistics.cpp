#include "triarch/evaluate/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "triarch/base/error.h"

namespace triarch {
namespace {

// Regularised incomplete beta function by its continued fraction (modified Lentz; Press et al. 2007, section 6.4).
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x)) / a;
  constexpr double tiny = 1e-300;
  const auto away = [](double v) { return std::abs(v) < tiny ? tiny : v; };
  double c = 1, d = 1 / away(1 - (a + b) * x / (a + 1)), f = d;
  for (int m = 1; m <= 500; ++m) {
    const double m2 = 2.0 * m;
    double step = m * (b - m) * x / ((a + m2 - 1) * (a + m2));
    d = 1 / away(1 + step * d);
    c = away(1 + step / c);
    f *= c * d;
    step = -(a + m) * (a + b + m) * x / ((a + m2) * (a + m2 + 1));
    d = 1 / away(1 + step * d);
    c = away(1 + step / c);
    f *= c * d;
    if (std::abs(c * d - 1) < 1e-15) break;
  }
  return front * f;
}

Interval bootstrap_of(const Estimate& e, double level) {
  return {quantile(e.resamples, (1 - level) / 2), quantile(e.resamples, (1 + level) / 2)};
}

// Two-sided, of a mean of 0: the level at which Estimate::interval reaches it.
double p_of(const Estimate& e) {
  if (e.runs.size() < 2) return 1;
  const auto share = [&](auto holds) {
    return double(std::ranges::count_if(e.resamples, holds)) / double(e.resamples.size());
  };
  const double drawn = 2 * std::min(share([](double x) { return x <= 0; }), share([](double x) { return x >= 0; }));
  const double m = std::abs(e.mean()), sd = standard_deviation(e.runs), n = double(e.runs.size());
  const double t = sd > 0 ? 2 * student_cdf(-m * std::sqrt(n) / sd, n - 1) : m > 0 ? 0 : 1;
  return std::min(1.0, std::max(drawn, t));
}

}  // namespace

double mean(std::span<const double> x) {
  require(!x.empty(), "mean: expected at least one value, found none");
  double sum = 0;
  for (double v : x) sum += v;
  return sum / double(x.size());
}

double standard_deviation(std::span<const double> x) {
  const double m = mean(x);
  if (x.size() < 2) return 0;
  double sum = 0;
  for (double v : x) sum += (v - m) * (v - m);
  return std::sqrt(sum / double(x.size() - 1));
}

double quantile(std::vector<double> x, double p) {
  require(!x.empty(), "quantile: expected at least one value, found none");
  std::ranges::sort(x);
  const double at = p * double(x.size() - 1);
  const size_t below = std::min(size_t(at), x.size() - 1), above = std::min(below + 1, x.size() - 1);
  return x[below] + (at - double(below)) * (x[above] - x[below]);
}

double student_cdf(double t, double freedom) {
  require(freedom > 0, "student: expected at least one degree of freedom, found {}", freedom);
  const double tail = 0.5 * incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t));
  return t > 0 ? 1 - tail : tail;
}

double student_quantile(double p, double freedom) {
  require(p > 0 && p < 1, "student: expected a probability between 0 and 1, found {}", p);
  if (p == 0.5) return 0;
  if (p < 0.5) return -student_quantile(1 - p, freedom);
  double high = 1;
  while (student_cdf(high, freedom) < p) high *= 2;
  double low = 0;
  for (int i = 0; i < 200 && high - low > 1e-14 * high; ++i) {
    const double middle = (low + high) / 2;
    (student_cdf(middle, freedom) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

std::optional<Interval> t_interval(std::span<const double> x, double level) {
  if (x.size() < 2) return std::nullopt;
  const double half =
      student_quantile((1 + level) / 2, double(x.size() - 1)) * standard_deviation(x) / std::sqrt(double(x.size()));
  const double m = mean(x);
  return Interval{m - half, m + half};
}

double binomial_tail(int64_t k, int64_t n, double p) {
  require(n >= 0 && p >= 0 && p <= 1, "binomial: expected trials and a probability, found {} and {}", n, p);
  if (k <= 0) return 1;
  if (k > n) return 0;
  return incomplete_beta(double(k), double(n - k + 1), p);
}

Interval binomial_interval(int64_t k, int64_t n, double level) {
  require(n > 0 && k >= 0 && k <= n, "binomial: expected successes among trials, found {} of {}", k, n);
  const double tail = (1 - level) / 2;
  // The p at which P(X >= least) is `goal`: it grows with p.
  const auto solve = [n](int64_t least, double goal) {
    double low = 0, high = 1;
    for (int i = 0; i < 60; ++i) {
      const double middle = (low + high) / 2;
      (binomial_tail(least, n, middle) < goal ? low : high) = middle;
    }
    return (low + high) / 2;
  };
  return {k == 0 ? 0 : solve(k, tail), k == n ? 1 : solve(k + 1, 1 - tail)};
}

Interval paired_shares_interval(std::string_view a, std::string_view b, double level) {
  require(a.size() == b.size() && !a.empty(), "shares: expected the same items, found {} and {}", a.size(), b.size());
  double both = 0, only_a = 0, only_b = 0, neither = 0;
  for (size_t i = 0; i < a.size(); ++i)
    (a[i] == '1' ? b[i] == '1' ? both : only_a : b[i] == '1' ? only_b : neither) += 1;
  const auto n = int64_t(a.size());
  const double of_a = (both + only_a) / double(n), of_b = (both + only_b) / double(n);
  const Interval x = binomial_interval(int64_t(both + only_a), n, level);
  const Interval y = binomial_interval(int64_t(both + only_b), n, level);
  // The correlation of the two; 0 where one of them has no spread.
  const double spread = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither);
  const double phi = spread > 0 ? (both * neither - only_a * only_b) / std::sqrt(spread) : 0;
  const auto reach = [phi](double p, double q) { return std::sqrt(std::max(0.0, p * p - 2 * phi * p * q + q * q)); };
  const double d = of_a - of_b;
  return {d - reach(of_a - x.low, y.high - of_b), d + reach(x.high - of_a, of_b - y.low)};
}

std::vector<bool> holm(std::span<const double> p_values, double level) {
  std::vector<size_t> order(p_values.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, {}, [&](size_t i) { return p_values[i]; });
  std::vector<bool> rejected(p_values.size(), false);
  for (size_t rank = 0; rank < order.size(); ++rank) {
    if (p_values[order[rank]] > level / double(order.size() - rank)) break;
    rejected[order[rank]] = true;
  }
  return rejected;
}

std::vector<double> Measurements::by_run() const {
  check();
  double weight = double(items());
  if (!weights.empty()) {
    weight = 0;
    for (double w : weights) weight += w;
  }
  std::vector<double> out;
  for (const std::vector<double>& run : values) {
    double sum = 0;
    for (double v : run) sum += v;
    out.push_back(sum / weight);
  }
  return out;
}

void Measurements::check() const {
  require(runs() > 0 && items() > 0, "statistics: expected at least one run and one item, found {} and {}", runs(),
          items());
  for (const std::vector<double>& run : values) {
    require(run.size() == items(), "statistics: expected the same {} items in every run, found {}", items(),
            run.size());
  }
  require(weights.empty() || weights.size() == items(), "statistics: expected {} weights, found {}", items(),
          weights.size());
}

double Estimate::mean() const { return triarch::mean(runs); }

Interval Estimate::interval(double level) const {
  const Interval drawn = bootstrap_of(*this, level), t = t_interval(runs, level).value_or(drawn);
  return {std::min(drawn.low, t.low), std::max(drawn.high, t.high)};
}

std::vector<size_t> resampled_runs(int64_t number, size_t runs) {
  Draw draw(Key(1, Purpose::bootstrap).with(uint64_t(number)).with(0));
  std::vector<size_t> drawn;
  for (size_t i = 0; i < runs; ++i) drawn.push_back(size_t(draw.below(runs)));
  return drawn;
}
Draw resampled_items(int64_t number) { return Draw(Key(1, Purpose::bootstrap).with(uint64_t(number)).with(1)); }

Estimate estimate(const Measurements& x, int64_t resamples) {
  Estimate out;
  out.runs = x.by_run();
  std::vector<double> counts(x.items());
  for (int64_t r = 0; r < resamples; ++r) {
    const std::vector<size_t> runs = resampled_runs(r, x.runs());
    Draw draw_item = resampled_items(r);
    std::ranges::fill(counts, 0);
    for (size_t i = 0; i < x.items(); ++i) counts[draw_item.below(x.items())] += 1;
    double weight = 0, sum = 0;
    for (size_t i = 0; i < x.items(); ++i) weight += counts[i] * (x.weights.empty() ? 1.0 : x.weights[i]);
    for (size_t run : runs) {
      for (size_t i = 0; i < x.items(); ++i) sum += counts[i] * x.values[run][i];
    }
    out.resamples.push_back(sum / weight / double(runs.size()));
  }
  return out;
}

Estimate estimate_of(std::span<const double> by_run) {
  Measurements m;
  for (double x : by_run) m.values.push_back({x});
  return estimate(m);
}

Figure figure_of(const Estimate& e, Interval range) {
  Figure f;
  f.seeds = e.runs;
  f.mean = e.mean();
  f.sd = standard_deviation(e.runs);
  const Interval interval = e.interval();
  f.low = std::clamp(interval.low, range.low, range.high);
  f.high = std::clamp(interval.high, range.low, range.high);
  return f;
}

Difference difference(const Estimate& a, const Estimate& b) {
  require(a.runs.size() == b.runs.size() && a.resamples.size() == b.resamples.size(),
          "statistics: a paired difference needs the same runs and resamples, found {} x {} and {} x {}", a.runs.size(),
          a.resamples.size(), b.runs.size(), b.resamples.size());
  Estimate d = a;
  for (size_t i = 0; i < d.runs.size(); ++i) d.runs[i] -= b.runs[i];
  for (size_t i = 0; i < d.resamples.size(); ++i) d.resamples[i] -= b.resamples[i];
  return difference_of(d);
}

Difference difference_of(const Estimate& d) {
  Difference out;
  out.runs = int64_t(d.runs.size());
  out.mean = d.mean();
  out.interval = d.interval();
  out.bootstrap = bootstrap_of(d, 0.95);
  out.p = p_of(d);
  out.same_direction = std::ranges::all_of(d.runs, [](double x) { return x > 0; }) ||
                       std::ranges::all_of(d.runs, [](double x) { return x < 0; });
  return out;
}

std::vector<bool> claimed(std::span<const Difference> all) {
  std::vector<double> p;
  for (const Difference& d : all) p.push_back(d.p);
  std::vector<bool> out = holm(p, 0.05);
  for (size_t i = 0; i < all.size(); ++i) out[i] = out[i] && all[i].significant();
  return out;
}

}  // namespace triarch
