// What a cache of keys and values saves, by family: the same answers, at what time, operations and memory per token,
// measured beside the formulas.
#pragma once

#include <string>
#include <vector>

#include "triarch/study/study_report.h"

namespace triarch {

struct CacheOptions {
  std::string preset = "llama";
  int64_t width = 256, layers = 4;
  std::vector<int64_t> lengths = {64, 128, 256, 512, 1024};  // tokens of context
  int64_t generated = 17;                                    // tokens behind it
  int64_t repeats = 3;
};

// Weights do not matter to cost, so models as they begin are measured.
StudyReport cache_study(const CacheOptions& options = {});

}  // namespace triarch
