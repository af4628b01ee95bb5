// The studies that the program has.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/cli/studied.h"
#include "triarch/study/parts.h"
#include "triarch/study/study_report.h"

namespace triarch::cli {

struct Study {
  std::string name, about;
  double minutes;  // of its default, on 2 cores
  // Nothing if a signal stopped it.
  std::optional<StudyReport> (*run)(const StudyOptions& options, const StudyWork& work);
};
std::span<const Study> studies();
// Usage error for a name that is not known.
const Study& study_of(const std::string& name);

// Runs it, in its work's folder, and writes study.json, study.md and study.html there. Nothing if a signal stopped it.
std::optional<StudyReport> perform(const StudyOptions& options, const StudyWork& work);

// Every reason for and against decoder-only models: from the folders of studies and of a comparison that are named,
// from the newest below runs/, and from those that it runs because they are missing.
std::optional<StudyReport> reasons(const StudyOptions& options, const StudyWork& work);

}  // namespace triarch::cli
