// Finetuning as Dai et al. 2022 (arXiv 2212.10559, section 4.1) do it: plain SGD, one example per step, one epoch, on
// the key and value projections of attention and nothing else.
#pragma once

#include <vector>

#include "triarch/train/learner.h"

namespace triarch {

class KeyValueTuning {
 public:
  // Freezes all else. The weights as they are now are those that reset() goes back to. Error unless in float32 or
  // float64.
  explicit KeyValueTuning(Learner& learner);

  // False, and nothing changed, if the loss is not finite.
  bool step(const Batch& batch, double rate);
  void reset();
  // Normal numbers of mean 0 in place of what the steps have changed, each projection's as large (Frobenius).
  void randomise(uint64_t seed);
  // How far the weights have moved from where they were, as a share of their norm.
  double moved() const;

 private:
  // Keys and values of one projection: a range of the flat buffers.
  struct Range {
    int64_t begin = 0, count = 0;
  };
  Learner& learner_;
  std::vector<Range> ranges_;
  std::vector<double> start_;  // of the ranges, one after the other
};

}  // namespace triarch
