#include "triarch/study/spectrum.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

#include "triarch/base/error.h"
#include "triarch/study/matrix.h"

namespace triarch {

Spectrum spectrum_of(std::span<const double> matrix, int64_t n) {
  require(n > 0 && int64_t(matrix.size()) == n * n, "spectrum: expected a matrix of {} x {}, found {} numbers", n, n,
          matrix.size());
  const Eigen::Map<const Matrix> a(matrix.data(), n, n);
  // The eigenvalues of [0, a'; a, 0] are the singular values of a and their negatives. Eigen's BDCSVD takes as long,
  // and half a minute to compile.
  Eigen::MatrixXd both = Eigen::MatrixXd::Zero(2 * n, 2 * n);
  both.bottomLeftCorner(n, n) = a;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(both, Eigen::EigenvaluesOnly);
  require(solver.info() == Eigen::Success, "spectrum: the eigenvalues of a matrix of {} x {} do not converge", n, n);
  const Eigen::VectorXd s = solver.eigenvalues().tail(n).reverse().cwiseMax(0);
  Spectrum out;
  const double most = s(0), least = double(n) * std::numeric_limits<float>::epsilon() * most;
  double entropy = 0;
  for (int64_t i = 0; i < n; ++i) {
    out.rank += s(i) > least;
    const double p = s(i) / s.sum();
    if (p > 0) entropy -= p * std::log(p);
  }
  out.effective_rank = std::exp(entropy);
  constexpr double rounding = 1e-16;  // of double precision: less than that is noise
  out.condition = std::max(s(n - 1) / most, rounding);
  // Of a triangle exactly; singular values that small would be noise.
  bool lower = true, upper = true;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      lower = lower && (j <= i || a(i, j) == 0);
      upper = upper && (j >= i || a(i, j) == 0);
      if (a(i, j) > 0) out.entropy -= a(i, j) * std::log(a(i, j)) / double(n);
    }
  }
  for (int64_t i = 0; i < n; ++i)
    out.log_determinant += std::log(lower || upper ? std::abs(a(i, i)) : std::max(s(i), rounding * most));
  return out;
}

}  // namespace triarch
