// What a cache of keys and values saves, by family: the same answers, at what time, operations and memory per token,
// measured beside the formulas.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "triarch/study/study_report.h"

namespace triarch {

struct CacheOptions {
  std::string preset = "llama";
  int64_t width = 256, layers = 4;
  std::vector<int64_t> lengths = {64, 128, 256, 512, 1024};  // tokens of context
  int64_t generated = 17;                                    // tokens behind it
  int64_t turns = 8, user = 16, answer = 8;                  // of a conversation, and tokens of each
  int64_t repeats = 3;
};

// Weights do not matter to cost, so models as they begin are measured. Nothing if a signal stopped it.
std::optional<StudyReport> cache_study(const CacheOptions& options = {});

// About what it will take, from reading the shortest context once.
double cache_seconds(const CacheOptions& options);

}  // namespace triarch
