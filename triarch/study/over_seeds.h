// Inside the room: figures of a few seeds, as cells and claims. Differences are paired, seed by seed.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "triarch/base/error.h"
#include "triarch/evaluate/statistics.h"

namespace triarch {

// "0.23 [0.20, 0.26]": a figure, with its interval if there is one, cut to what the figure can be before it is scaled;
// `form` is a format of a number.
inline std::string with_interval(double figure, const std::optional<Interval>& interval, const char* form = "{:.2f}",
                                 double scale = 1, Interval range = kAnywhere) {
  const auto written = [&](double v) {
    return fmt::format(fmt::runtime(form), scale * std::clamp(v, range.low, range.high));
  };
  return interval ? fmt::format("{} [{}, {}]", written(figure), written(interval->low), written(interval->high))
                  : written(figure);
}
// The mean, with its interval (Estimate::interval, 95 %) where there is more than one seed.
inline std::string over_seeds(std::span<const double> x, const char* form = "{:.2f}", double scale = 1,
                              Interval range = kAnywhere) {
  return with_interval(mean(x), x.size() < 2 ? std::nullopt : std::optional(estimate_of(x).interval()), form, scale,
                       range);
}

inline std::vector<double> minus(std::span<const double> a, std::span<const double> b) {
  require(a.size() == b.size(), "study: expected equally many seeds, found {} and {}", a.size(), b.size());
  std::vector<double> out;
  for (size_t i = 0; i < a.size(); ++i) out.push_back(a[i] - b[i]);
  return out;
}

// Of figures of the same seeds.
inline Difference paired(std::span<const double> a, std::span<const double> b) {
  return difference_of(estimate_of(minus(a, b)));
}

// "+0.012 (-0.010 to +0.034)"; of one seed there is no interval.
inline std::string in_words(const Difference& d) {
  return d.runs < 2 ? fmt::format("{:+.3f}", d.mean)
                    : fmt::format("{:+.3f} ({:+.3f} to {:+.3f})", d.mean, d.interval.low, d.interval.high);
}
// A difference of logarithms as a ratio: "0.80 (0.70 to 0.92)".
inline std::string in_times(const Difference& d) {
  return d.runs < 2 ? fmt::format("{:.2f}", std::exp(d.mean))
                    : fmt::format("{:.2f} ({:.2f} to {:.2f})", std::exp(d.mean), std::exp(d.interval.low),
                                  std::exp(d.interval.high));
}

// What a difference says where it is shown. Where it is not, nobody knows: never that both are the same.
inline std::string told(bool shown, const Difference& d, const std::string& above, const std::string& below) {
  if (!shown) return fmt::format("not told apart by {} seed{}", d.runs, d.runs == 1 ? "" : "s");
  return d.mean > 0 ? above : below;
}
inline std::string told(const Difference& d, const std::string& above, const std::string& below) {
  return told(d.significant(), d, above, below);
}

// The results of each group, which come one after the other; `key` says which group one is of.
template <class Result, class Key>
std::vector<std::span<const Result>> grouped(std::span<const Result> results, Key key) {
  std::vector<std::span<const Result>> out;
  for (size_t i = 0; i < results.size();) {
    size_t end = i;
    while (end < results.size() && key(results[end]) == key(results[i])) ++end;
    out.push_back(results.subspan(i, end - i));
    i = end;
  }
  return out;
}

}  // namespace triarch
