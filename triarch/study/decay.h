// How fast ratios fall with depth: exponentially (ln r = a + b l), or doubly exponentially as Dong et al. 2021 prove of
// pure attention whose rows see both sides, where a layer takes r to c r^3 (ln r = a + b 3^l). Two numbers each, so the
// better fit decides.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace triarch {

struct Decay {
  double factor = 1;     // exponential: what a layer multiplies the ratio by
  double fit = 0;        // R^2 of ln r over l
  double cubic_fit = 0;  // R^2 of ln r over 3^l
  double power = 1;      // p of r to c r^p: the slope of ln r behind a layer over ln r before it
  int64_t points = 0;    // ratios that were fitted

  bool doubly() const { return cubic_fit > fit; }
};

constexpr double kRoundedRatio = 1e-14;  // below this a ratio of float64 rows is rounding

// Least squares over the ratios behind layers 0, 1, ... up to the first that is rounding. None if they are fewer than
// three, or all the same.
std::optional<Decay> decay_of(std::span<const double> ratios);

}  // namespace triarch
