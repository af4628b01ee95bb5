// Inside the room: figures of a few seeds, as cells and claims. Differences are paired, seed by seed.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "triarch/base/error.h"
#include "triarch/evaluate/statistics.h"

namespace triarch {

// "0.23 [0.20, 0.26]": a figure, with its interval if there is one; `form` is a format of a number.
inline std::string with_interval(double figure, const std::optional<Interval>& interval, const char* form = "{:.2f}",
                                 double scale = 1) {
  const auto written = [&](double v) { return fmt::format(fmt::runtime(form), scale * v); };
  return interval ? fmt::format("{} [{}, {}]", written(figure), written(interval->low), written(interval->high))
                  : written(figure);
}
// The mean, with Student's interval of it (95 %) where there is more than one seed.
inline std::string over_seeds(std::span<const double> x, const char* form = "{:.2f}", double scale = 1) {
  return with_interval(mean(x), t_interval(x), form, scale);
}

inline std::vector<double> minus(std::span<const double> a, std::span<const double> b) {
  require(a.size() == b.size(), "study: expected equally many seeds, found {} and {}", a.size(), b.size());
  std::vector<double> out;
  for (size_t i = 0; i < a.size(); ++i) out.push_back(a[i] - b[i]);
  return out;
}

// Only then is a difference claimed: at least three seeds, and the interval excludes 0.
inline bool told_apart(std::span<const double> difference) {
  const auto i = t_interval(difference);
  return difference.size() >= 3 && i && i->excludes_zero();
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
