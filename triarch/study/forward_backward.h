// Su Jianlin's experiment (17 March 2023, kexue.fm 9529), with what it lacked: several seeds, intervals, generation.
//
// He holds that attention to both sides has a low rank, that this is why a prefix decoder is no better than a causal
// one, and that attention half to the left and half to the right (by heads, or by layers in turn) has both sides and a
// full rank. Here such attention, attention to both sides and causal attention stand side by side: in an encoder that
// fills masks, in the encoder of an encoder-decoder, and in the prefix of a decoder. All else is equal.
//
// With it what is said of filling blanks: that seeing both sides makes learning faster and the generator weaker.
#pragma once

#include <optional>
#include <string>

#include "triarch/study/parts.h"
#include "triarch/study/study_report.h"
#include "triarch/study/trial.h"

namespace triarch {

struct ForwardBackwardOptions {
  std::string text;         // a file to learn from; empty: the built-in world
  int64_t tokens = 50'000;  // of each run
  int64_t seeds = 3;
  int64_t width = 64, layers = 3;
};

// How fast a run learnt its own objective: ln of the tokens to half of what it gains over the frequencies of its
// targets in the end, by lines between the points of its curve. None if it gains nothing.
std::optional<double> log_tokens_to_half(const TrialResult& run);

// Nothing if a signal stopped it. Usage error for fewer than three layers.
std::optional<StudyReport> forward_backward_study(const ForwardBackwardOptions& options, const StudyWork& work);

}  // namespace triarch
