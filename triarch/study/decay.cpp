#include "triarch/study/decay.h"

#include <cmath>
#include <vector>

namespace triarch {
namespace {

struct Line {
  double slope = 0, fit = 0;  // R^2
};

// None through points of one place or of one height.
std::optional<Line> line_through(std::span<const double> x, std::span<const double> y) {
  const double n = double(x.size());
  double mx = 0, my = 0, xx = 0, xy = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) mx += x[i] / n, my += y[i] / n;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mx) * (x[i] - mx);
    xy += (x[i] - mx) * (y[i] - my);
    yy += (y[i] - my) * (y[i] - my);
  }
  if (xx == 0 || yy == 0) return std::nullopt;
  return Line{xy / xx, xy * xy / (xx * yy)};
}

}  // namespace

std::optional<Decay> decay_of(std::span<const double> ratios) {
  std::vector<double> layer, cubed, logs;
  for (size_t l = 0; l < ratios.size() && ratios[l] > kRoundedRatio; ++l) {
    layer.push_back(double(l));
    cubed.push_back(std::pow(3.0, double(l)));
    logs.push_back(std::log(ratios[l]));
  }
  if (logs.size() < 3) return std::nullopt;
  const std::span<const double> all(logs);
  const auto straight = line_through(layer, all), bent = line_through(cubed, all);
  const auto step = line_through(all.first(all.size() - 1), all.last(all.size() - 1));
  if (!straight || !bent || !step) return std::nullopt;
  return Decay{std::exp(straight->slope), straight->fit, bent->fit, step->slope, int64_t(logs.size())};
}

}  // namespace triarch
