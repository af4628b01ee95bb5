// The answer of a comparison for one use: who is best, who is not told apart from it, who is worse.
#pragma once

#include <string>
#include <vector>

#include "triarch/evaluate/statistics.h"
#include "triarch/study/compare_report.h"

namespace triarch {

// What an answer must be above to say that anything was learnt.
struct Guess {
  double value = 0;
  std::string title = "chance";
};

// Of a figure: " nats per token".
struct Unit {
  std::string name;
  int digits = 3;
  Interval range = kAnywhere;  // what it can be
};

// Adds to r the differences of every two contenders, each claimed for itself, and the answer for it. `estimates` are
// those of all contenders, in their order; no runs in those that have none. Where the best is not clearly above
// `guess`, the answer says so.
void rank(CompareReport& r, MeasureReport use, const std::vector<Estimate>& estimates, const Unit& unit,
          const Guess& guess = {});

}  // namespace triarch
