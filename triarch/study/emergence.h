// Do abilities come suddenly with size ("emergent", Wei et al. 2022, arXiv 2206.07682), or does only an exact match of
// many tokens make them look so (Schaeffer et al. 2023, arXiv 2304.15004)? And does growth close the gap between
// families? A ladder of models and tokens, three families, several seeds; tasks of several steps (emergence_tasks.h)
// before and after multitask finetuning; exact match beside accuracy and log-likelihood per token of the same answers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "triarch/study/parts.h"
#include "triarch/study/study_report.h"

namespace triarch {

struct Rung {
  int64_t width, layers;
  int64_t tokens;  // of pretraining; finetuning takes three for every eight
};

struct EmergenceOptions {
  std::vector<Rung> ladder = {{16, 2, 60'000}, {32, 2, 120'000}, {32, 2, 250'000}, {48, 2, 250'000}, {48, 2, 500'000}};
  int64_t seeds = 3;
  int64_t digits = 3;  // sums of numbers of 1 to so many
  int64_t items = 200;
};

// How much a curve rises from its first place to its last, and how much of that at most within a third of the way;
// straight lines between places, which are in order. A steady rise has a third there, a jump all of it.
struct Rise {
  double total = 0, in_a_third = 0;
  bool rises() const { return total >= 0.1; }
  bool sharp() const { return rises() && in_a_third >= 2.0 / 3 * total; }
};
Rise rise_of(std::span<const double> x, std::span<const double> y);
// Of one seed's curves over the logarithm of the operations, in words.
std::string verdict_of(const Rise& exact_match, const Rise& token_accuracy);

// What such verdicts, each of all seeds of a task and family, say of "abilities come suddenly".
Evidence suddenness_of(std::span<const std::string> verdicts);

// Nothing if a signal stopped it.
std::optional<StudyReport> emergence_study(const EmergenceOptions& options, const StudyWork& work);

}  // namespace triarch
