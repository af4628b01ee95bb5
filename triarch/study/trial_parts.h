// Trials as the parts of a study, and what studies make of trials with several seeds.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "triarch/evaluate/statistics.h"
#include "triarch/study/over_seeds.h"
#include "triarch/study/parts.h"
#include "triarch/study/study_report.h"
#include "triarch/study/trial.h"

namespace triarch {

// A contender with a seed, and what its trial is given.
struct PlannedTrial {
  Contender contender;
  uint64_t seed = 1;
  const TrialInputs* inputs = nullptr;  // must outlive the work
  std::string setting = {};             // tells trials of one contender with different inputs apart

  std::string name() const;  // "causal-next_token.80000.1"
};

// Says how long it will take, by timing each kind for a moment, then runs all of them: results in their order, nothing
// if a signal stopped it.
std::optional<std::vector<TrialResult>> run_trials(const StudyWork& work, std::span<const PlannedTrial> trials);

// A contender's trials with all seeds, in their order.
using Runs = std::vector<const TrialResult*>;
// Why it has no figures, in words: "diverged: ... (seed 2)"; empty: it has them.
std::string failure_of(const Runs& runs);

// Of one figure of each run.
Estimate estimate_of(const Runs& runs, const std::function<double(const TrialResult&)>& figure);
// Nats per token of second halves, over runs and texts.
Estimate suffix_estimate(const Runs& runs, const SuffixSet& suffixes);

// Whether a difference is on the side that a claim says: supported or contradicted where it is shown at all.
Verdict verdict_on(const Difference& d, bool claimed_positive);
// On a claim that is made of all of them: where all are shown on one side.
Verdict verdict_on_all(std::span<const Difference> all, bool claimed_positive);
// On a claim for which any of them would do: where one is shown by Holm's correction over all, and none on the other
// side.
Verdict verdict_on_any(std::span<const Difference> all, bool claimed_positive);

// A place of a line: the mean over seeds, between the lowest and the highest.
void add_place(StudySeries& line, double x, const std::vector<double>& over_seeds);
// Mean over seeds at each point that all of their curves have, between the lowest and the highest seed; x is that of
// the first. Of one seed there is no band.
using Places = std::vector<std::pair<double, std::optional<double>>>;  // x, y
StudySeries mean_curve(const std::string& label, std::span<const Places> over_seeds);
// The same of runs' own curves, by tokens.
StudySeries curve_of(const std::string& label, const Runs& runs,
                     const std::function<std::optional<double>(const CurvePoint&)>& figure);

// Tokens until the figure of a run's curve is first at or below a level, by lines between its points; none if it never
// is.
std::optional<double> tokens_to(const TrialResult& run, double level,
                                const std::function<std::optional<double>(const CurvePoint&)>& figure);

}  // namespace triarch
