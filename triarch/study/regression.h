// In-context linear regression: does it matter whether the pairs that are shown see one another (a prefix) or only what
// precedes them (causal)? Ding et al. 2023 (arXiv 2308.06912): layers of a prefix LM converge to least squares, those
// of a causal one follow online gradient descent and do not.
//
// Both families are shown the same sequences and answer the same questions; nothing differs but what pairs may look at.
#pragma once

#include <optional>
#include <span>

#include "triarch/model/names.h"
#include "triarch/study/parts.h"
#include "triarch/study/regression_world.h"
#include "triarch/study/study_report.h"

namespace triarch {

struct RegressionOptions {
  int64_t dimensions = 4, pairs = 16, questions = 8;
  int64_t width = 64, layers = 3;
  int64_t steps = 1000, sequences = 64;  // optimizer steps, sequences in each
  double learning_rate = 0.4;            // as a share of the optimizer's own
  int64_t bins = 48;
  double limit = 3.6;  // of the bins
  int64_t tasks = 256, validation_tasks = 256;
  int64_t seeds = 3;

  Bins y_bins() const { return {bins, limit}; }
  // Numbers of pairs that are measured.
  std::vector<int64_t> counts() const;
};

struct RegressionResult {
  Family family = Family::causal;
  uint64_t seed = 0;
  int64_t parameters = 0, tokens = 0;
  // By number of pairs: mean squared error, and mean squared distance from what the methods answer.
  std::vector<double> error, from_least_squares, from_online, from_descent;

  template <class V>
  void fields(V& v) {
    v("family", family, "of the model");
    v("seed", seed, "of weights and sequences");
    v("parameters", parameters, "weights");
    v("tokens", tokens, "rows seen");
    v("error", error, "mean squared, by number of pairs");
    v("from_least_squares", from_least_squares, "mean squared distance from least squares");
    v("from_online", from_online, "from online gradient descent");
    v("from_descent", from_descent, "from one step of gradient descent");
  }
};

// What the methods do on the same tasks. Rates are the best on other tasks, for each number of pairs.
struct RegressionMethods {
  std::vector<double> rates, online_rates;                    // by number of pairs
  std::vector<double> least_squares, online, descent, steps;  // errors; `steps`: as many steps as layers, one rate
};
RegressionMethods regression_methods(const RegressionOptions& options);

// Trains and measures a model per family and seed, as parts; nothing if a signal stopped it.
std::optional<StudyReport> regression_study(const RegressionOptions& options, const StudyWork& work);
// Nothing if it was told to stop.
std::optional<RegressionResult> regression_trial(Family family, uint64_t seed, const RegressionOptions& options,
                                                 const RegressionMethods& methods, const PartProgress& going);
StudyReport regression_report(const RegressionOptions& options, const RegressionMethods& methods,
                              std::span<const RegressionResult> results);

}  // namespace triarch
