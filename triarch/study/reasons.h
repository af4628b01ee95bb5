// Why are most language models decoder-only, and should mine be? Every reason that is given for it or against it, with
// who said it, the experiment here, its figure and a verdict: collected from what studies and a comparison found.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "triarch/study/compare_report.h"
#include "triarch/study/study_report.h"

namespace triarch {

struct Reason {
  std::string_view name;  // as in Evidence
  bool in_favour;         // of decoder-only; else a reason against it
  std::string_view claim, by;
  std::string_view study;   // the experiment: a study's name, or "compare"
  std::string_view judged;  // by what: when it is supported, and when contradicted
};
std::span<const Reason> reasons();

// What a comparison of a causal decoder with others says: zero_shot (tasks under prompts that occur in the text, as in
// its tables), finetuned, prediction, one_stack. Nothing on what it has not measured.
std::vector<Evidence> evidence_of(const CompareReport& comparison);

// From the experiment to what it says, and where its page is.
struct Found {
  std::string study;
  std::string page;     // relative to the reasons' own
  std::string command;  // how to repeat it
  std::vector<Evidence> evidence;
};
StudyReport reasons_study(std::span<const Found> found);

}  // namespace triarch
