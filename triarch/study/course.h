// One model that learns, without the measurements of a trial: for studies that want the model itself.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "triarch/study/batches.h"
#include "triarch/study/trial.h"
#include "triarch/train/learner.h"

namespace triarch {

struct LossPoint {
  int64_t tokens = 0;  // seen
  double loss = 0;     // held out, nats per target

  template <class V>
  void fields(V& v) {
    v("tokens", tokens, "tokens seen");
    v("loss", loss, "held-out loss, nats per target");
  }
};

class Course {
 public:
  // Initial weights by the seed; `inputs` must outlive it. Errors: as run_trial.
  Course(const Contender& contender, uint64_t seed, const TrialInputs& inputs);

  Model& model() { return learner_.model(); }

  // All steps of a curriculum; the curve begins before the first and has `inputs.points` more. `step` is told the
  // tokens seen; nothing if it says false.
  template <class Step>
  std::optional<std::vector<LossPoint>> learn(const Curriculum& curriculum, Step&& step) {
    const int64_t steps = curriculum.steps();
    int64_t tokens = 0;
    std::vector<LossPoint> curve = {{0, loss()}};
    for (int64_t i = 0; i < steps; ++i) {
      tokens += learner_.step(batches(curriculum, i), inputs_.schedule.factor(i, steps)).tokens;
      if (!step(tokens)) return std::nullopt;
      if ((i + 1) * inputs_.points / steps != i * inputs_.points / steps) curve.push_back({tokens, loss()});
    }
    return curve;
  }

 private:
  double loss();
  std::vector<Batch> batches(const Curriculum& curriculum, int64_t i);

  const TrialInputs& inputs_;
  std::unique_ptr<Objective> objective_;
  Batches batches_;
  Learner learner_;
  std::vector<Batch> held_out_;
};

}  // namespace triarch
