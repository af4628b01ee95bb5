// What it costs to train each family until it reaches a target: tokens, labelled examples, operations, seconds and an
// estimate of energy; by pretraining alone, and by pretraining with multitask finetuning behind it, at equal tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "triarch/study/parts.h"
#include "triarch/study/study_report.h"
#include "triarch/study/trial.h"

namespace triarch {

struct CostOptions {
  std::string text;          // a file to learn from, without finetuning; empty: the built-in world
  int64_t tokens = 300'000;  // of each run, finetuning included
  int64_t seeds = 3;
  int64_t width = 64, layers = 2;
  int64_t items = 8;  // questions of each kind
  double watts = 10;  // of a busy core with its share of the machine
};

// What was spent until some moment of a run: all stages together.
struct Spent {
  double tokens = 0, examples = 0, flops = 0, seconds = 0;
};

// Until the figure is at or beyond a level (at or below it where less is better) at two points in a row, or at the
// last, by lines between the points of the stages' curves, one after the other; none if it never is.
using CurveFigure = std::function<std::optional<double>(const CurvePoint&)>;
std::optional<Spent> spent_until(const TrialResult& run, double level, bool less_is_better, const CurveFigure& figure);

// An entry that reached a target with every seed: a family trained in one way.
struct Reached {
  bool causal = false;
  std::vector<double> log_flops;  // ln of the operations, of each seed
};
// On "a causal decoder is cheapest", by targets: supported if at each that is judged one causal entry is shown to need
// less than every other, contradicted if at any another is shown to need less than every causal one, by Holm's
// correction over all pairs at all targets. A target that one side only has reached decides nothing, but that a causal
// decoder missed one which others reached leaves it unsupported.
Verdict cheapest(std::span<const std::vector<Reached>> targets);

// Nothing if a signal stopped it.
std::optional<StudyReport> cost_study(const CostOptions& options, const StudyWork& work);

}  // namespace triarch
