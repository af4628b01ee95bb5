// Learning rates for a comparison: each contender is tried with several, so that none loses because the rates suited
// another.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "triarch/study/trial.h"

namespace triarch {

// One contender with one share of the comparison's learning rates.
struct SweepPoint {
  std::string contender;
  double rate = 1;
  double loss = 0;  // own objective, held out, nats per target; mean over seeds; NaN: it diverged

  template <class V>
  void fields(V& v) {
    v("contender", contender, "its name");
    v("rate", rate, "share of the comparison's learning rates");
    v("loss", loss, "own objective, held out, nats per target");
  }
};

// Shares that are tried, evenly spaced in the logarithm.
constexpr double kSweptRates[] = {0.22, 0.36, 0.6, 1, 1.67};

// Tries all of them with every contender for all tokens of `inputs`, without tasks, `jobs` runs at a time on one thread
// each, and gives each contender the one with the lowest own loss. Its seeds are none of the comparison's. Nothing, and
// the contenders unchanged, if `progress` (share of the runs that are done) says false.
std::vector<SweepPoint> sweep(std::vector<Contender>& contenders, const TrialInputs& inputs, int64_t seeds, int jobs,
                              const std::function<bool(double share)>& progress = {});

}  // namespace triarch
