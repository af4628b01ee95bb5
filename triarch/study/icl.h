// In-context learning as implicit finetuning (Dai et al. 2022, arXiv 2212.10559): does a model that is shown
// demonstrations do what it would do after gradient steps on them? Exactly for linear attention (dual_form.h); measured
// on trained models of three families with the paper's metrics, beside controls that the paper does not have.
#pragma once

#include <optional>
#include <span>

#include "triarch/study/icl_trial.h"
#include "triarch/study/study_report.h"

namespace triarch {

// Trains and measures a model per family and seed, as parts; nothing if a signal stopped it.
std::optional<StudyReport> icl_study(const IclOptions& options, const StudyWork& work);

// The report of results that are there: families in the order in which they come, the same seeds of each.
StudyReport icl_report(const IclOptions& options, std::span<const IclResult> results);

}  // namespace triarch
