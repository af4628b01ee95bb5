// What the verbs that run a comparison share.
#pragma once

#include <string>

#include "triarch/study/compare_report.h"

namespace triarch::cli {

// Its runs, with a progress line, then what it costs to serve, if that was asked. False if a signal stopped it.
bool run_comparison(Comparison& comparison, int jobs);
// report.json, report.md, report.html and tensorboard/ in its folder. Returns the first.
std::string write_report(const Comparison& comparison);

}  // namespace triarch::cli
