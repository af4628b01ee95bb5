// Learning rates for a comparison: each contender is tried with several, so that none loses because the rates suited
// another.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "triarch/study/trial.h"

namespace triarch {

// One contender with one share of the comparison's learning rates.
struct SweepPoint {
  std::string contender;
  double rate = 1;
  std::optional<double> loss;  // own objective, held out, nats per target; none: it diverged

  template <class V>
  void fields(V& v) {
    v("contender", contender, "its name");
    v("rate", rate, "share of the comparison's learning rates");
    v("loss", loss, "own objective, held out, nats per target; null: it diverged");
  }
};

// Shares that are tried, evenly spaced in the logarithm.
constexpr double kSweptRates[] = {0.22, 0.36, 0.6, 1, 1.67};

// Tries all of them with every contender for all tokens of `inputs`, without tasks, `jobs` runs at a time on one thread
// each, and gives each contender the one with the lowest own loss. Its seed is none of the comparison's. Nothing, and
// the contenders unchanged, if `progress` (share of the runs that are done) says false. Fails if a contender diverges
// at all of them.
std::vector<SweepPoint> sweep(std::vector<Contender>& contenders, const TrialInputs& inputs, int jobs,
                              const std::function<bool(double share)>& progress = {});

}  // namespace triarch
