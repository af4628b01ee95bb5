#include "triarch/study/regression_world.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "triarch/base/error.h"
#include "triarch/study/matrix.h"

namespace triarch {
namespace {

Eigen::Map<const Matrix> rows_of(const std::vector<double>& x, int64_t dimensions) {
  return {x.data(), Eigen::Index(int64_t(x.size()) / dimensions), dimensions};
}
Eigen::Map<const Eigen::VectorXd> values_of(const std::vector<double>& y) { return {y.data(), Eigen::Index(y.size())}; }

std::vector<double> answers(const RegressionTask& task, const Eigen::VectorXd& w) {
  const Eigen::VectorXd y = rows_of(task.asked_x, task.dimensions) * w;
  return {y.begin(), y.end()};
}

}  // namespace

RegressionTask RegressionTask::first(size_t pairs) const {
  require(pairs <= y.size(), "regression: expected at most {} pairs, found {}", y.size(), pairs);
  RegressionTask t = *this;
  t.y.resize(pairs);
  t.x.resize(pairs * size_t(dimensions));
  return t;
}

RegressionTask regression_task(Key key, int64_t dimensions, int64_t pairs, int64_t questions) {
  Draw draw(key);
  RegressionTask t;
  t.dimensions = dimensions;
  std::vector<double> w(static_cast<size_t>(dimensions));
  for (double& a : w) a = draw.normal() / std::sqrt(double(dimensions));
  const auto add = [&](std::vector<double>& x, std::vector<double>& y) {
    y.push_back(0);
    for (double a : w) {
      x.push_back(draw.normal());
      y.back() += a * x.back();
    }
  };
  for (int64_t i = 0; i < questions; ++i) add(t.asked_x, t.asked_y);
  for (int64_t i = 0; i < pairs; ++i) add(t.x, t.y);
  return t;
}

int32_t Bins::of(double y) const {
  const auto bin = int64_t(std::floor((y + limit) / (2 * limit) * double(count)));
  return int32_t(std::clamp<int64_t>(bin, 0, count - 1));
}

void append_regression(Batch& batch, const RegressionTask& task, const Bins& bins) {
  Rows& rows = batch.decoder;
  const auto pairs = int32_t(task.pairs()), questions = int32_t(task.asked_y.size());
  Segment s;
  s.begin = s.key_begin = int32_t(rows.size());
  s.length = pairs + questions;
  s.prefix = pairs;
  const auto row = [&](const double* x, double y, bool question) {
    rows.ids.push_back(kFeatureRow);
    rows.positions.push_back(int32_t(rows.size()) - 1 - s.begin);
    for (int64_t c = 0; c < task.dimensions; ++c) rows.features.push_back(float(x[c]));
    for (double v : {y, question ? 0. : 1., question ? 1. : 0.}) rows.features.push_back(float(v));
  };
  for (int32_t i = 0; i < pairs; ++i) row(task.x.data() + i * task.dimensions, task.y[size_t(i)], false);
  for (int32_t i = 0; i < questions; ++i) {
    batch.loss_rows.push_back(int32_t(rows.size()));
    batch.targets.push_back(bins.of(task.asked_y[size_t(i)]));
    row(task.asked_x.data() + i * task.dimensions, 0, true);
  }
  rows.segments.push_back(s);
  batch.tokens += s.length;
}

std::vector<double> least_squares(const RegressionTask& task) {
  if (task.pairs() == 0) return std::vector<double>(task.asked_y.size(), 0.0);
  // The solution of least norm, from the eigenvectors of x'x. Directions in which x has less than 1e-6 of its largest
  // singular value stay at zero: below that x'x has nothing but rounding.
  const auto x = rows_of(task.x, task.dimensions);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(x.transpose() * x);
  const Eigen::VectorXd& squares = solver.eigenvalues();
  Eigen::VectorXd part = solver.eigenvectors().transpose() * (x.transpose() * values_of(task.y));
  const double rounding = 1e-12 * squares.maxCoeff();
  for (Eigen::Index i = 0; i < part.size(); ++i) part(i) = squares(i) > rounding ? part(i) / squares(i) : 0;
  return answers(task, solver.eigenvectors() * part);
}

std::vector<double> gradient_descent(const RegressionTask& task, int64_t steps, double rate) {
  Eigen::VectorXd w = Eigen::VectorXd::Zero(task.dimensions);
  const auto x = rows_of(task.x, task.dimensions);
  for (int64_t i = 0; i < steps && task.pairs() > 0; ++i) {
    w += rate / double(task.pairs()) * (x.transpose() * (values_of(task.y) - x * w));
  }
  return answers(task, w);
}

std::vector<double> online_descent(const RegressionTask& task, double rate) {
  Eigen::VectorXd w = Eigen::VectorXd::Zero(task.dimensions);
  const auto x = rows_of(task.x, task.dimensions);
  for (size_t i = 0; i < task.pairs(); ++i) {
    const auto xi = x.row(Eigen::Index(i));
    w += rate * (task.y[i] - xi.dot(w)) * xi.transpose();
  }
  return answers(task, w);
}

double mean_squared(std::span<const double> a, std::span<const double> b) {
  require(a.size() == b.size() && !a.empty(), "mean squared: expected equally many numbers, found {} and {}", a.size(),
          b.size());
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum / double(a.size());
}

}  // namespace triarch
