// In-context linear regression (Garg et al. 2022, arXiv 2208.01066; Ding et al. 2023, arXiv 2308.06912): a sequence
// shows pairs of a linear function, and asks for its values elsewhere.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "triarch/base/random.h"
#include "triarch/data/batch.h"

namespace triarch {

// y = w.x, w of independent normal numbers of variance 1 / dimensions, x of standard normal ones: y has variance 1.
struct RegressionTask {
  int64_t dimensions = 0;
  std::vector<double> x, y;              // of pairs: [pairs][dimensions], [pairs]
  std::vector<double> asked_x, asked_y;  // of questions

  size_t pairs() const { return y.size(); }
  // The same with its first pairs only.
  RegressionTask first(size_t pairs) const;
};
RegressionTask regression_task(Key key, int64_t dimensions, int64_t pairs, int64_t questions);

// Values are predicted as one of equally wide bins of [-limit, limit]; what lies outside is in the last ones.
struct Bins {
  int64_t count = 0;
  double limit = 0;

  int32_t of(double y) const;
  double centre(int64_t bin) const { return (double(bin) + 0.5) * 2 * limit / double(count) - limit; }
};

// Numbers of a row: x, y (of a question 0), 1 for a pair, 1 for a question.
inline int64_t regression_features(int64_t dimensions) { return dimensions + 3; }
// Appends a segment: its pairs are the prefix, then come the questions, whose rows have the bins as targets.
void append_regression(Batch& batch, const RegressionTask& task, const Bins& bins);

// Answers of known methods to the questions of a task.
//
// The w of least squared error and, where pairs do not decide, of least norm: the posterior mean under the prior above.
std::vector<double> least_squares(const RegressionTask& task);
// Behind `steps` of gradient descent from w = 0 on the mean of (y - w.x)^2 / 2.
std::vector<double> gradient_descent(const RegressionTask& task, int64_t steps, double rate);
// Behind one step for each pair, in order: what causal layers converge to (Ding et al.).
std::vector<double> online_descent(const RegressionTask& task, double rate);

double mean_squared(std::span<const double> a, std::span<const double> b);

}  // namespace triarch
