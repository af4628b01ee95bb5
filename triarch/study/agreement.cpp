#include "triarch/study/agreement.h"

#include <cmath>
#include <vector>

#include "triarch/base/error.h"

namespace triarch {
namespace {

void check(std::span<const double> a, std::span<const double> b) {
  require(a.size() == b.size(), "agreement: expected equally many numbers, found {} and {}", a.size(), b.size());
}

}  // namespace

double cosine(std::span<const double> a, std::span<const double> b) {
  check(a, b);
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

double cosine_from(std::span<const double> origin, std::span<const double> a, std::span<const double> b) {
  check(origin, a);
  check(a, b);
  std::vector<double> x(a.size()), y(a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    x[i] = a[i] - origin[i];
    y[i] = b[i] - origin[i];
  }
  return cosine(x, y);
}

double kendall_tau(std::span<const double> a, std::span<const double> b) {
  check(a, b);
  const auto sign = [](double x) { return int(x > 0) - int(x < 0); };
  double agree = 0, in_a = 0, in_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = i + 1; j < a.size(); ++j) {
      const int x = sign(a[i] - a[j]), y = sign(b[i] - b[j]);
      agree += x * y;
      in_a += x != 0;
      in_b += y != 0;
    }
  }
  return in_a > 0 && in_b > 0 ? agree / std::sqrt(in_a * in_b) : 0;
}

}  // namespace triarch
