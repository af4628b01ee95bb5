// Which family is better at saying what it sees or hears? An encoder that sees all rows at once before a decoder speaks
// (encoder-decoder), against one decoder that has them as its prefix, seen from left to right (causal) or both ways
// (prefix); and a decoder that is shown nothing, for what can be guessed.
//
// All learn from the same things in the same order, in the same number of steps, each at the best of some learning
// rates, which are tried with a seed of their own on things held out for that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "triarch/study/course.h"
#include "triarch/study/multimodal_task.h"
#include "triarch/study/parts.h"
#include "triarch/study/study_report.h"

namespace triarch {

struct MultimodalOptions {
  std::string preset = "llama";
  int64_t width = 64, layers = 2;
  int64_t steps = 500, batch = 64;  // things in a step
  int64_t seeds = 3;
  std::vector<double> rates = {0.6, 1.2, 2.4};  // shares of the usual learning rates that are tried
  int64_t points = 10;                          // of a curve
  int64_t exhibits = 8;                         // things shown in the page
};

struct MultimodalContender {
  const char* name;
  const char* title;
  Family family;
  bool blind;  // rows are zeros
};
constexpr MultimodalContender kMultimodal[] = {
    {"causal", "causal decoder", Family::causal, false},
    {"prefix", "prefix decoder", Family::prefix, false},
    {"encoder_decoder", "encoder-decoder", Family::encoder_decoder, false},
    {"blind", "shown nothing", Family::causal, true},
};

struct MultimodalAnswers {
  std::vector<double> nats;  // of each item's answer
  std::string right;         // 1 or 0 for each item: said word by word, and ended
  std::vector<std::string> said;

  template <class V>
  void fields(V& v) {
    v("nats", nats, "of each right answer");
    v("right", right, "1 or 0 for each item");
    v("said", said, "the most likely word at each place, until the end");
  }
};

struct MultimodalResult {
  double loss = 0;  // validation, nats per token; NaN: it diverged
  int64_t parameters = 0;
  double flops = 0;                        // of a step
  std::vector<LossPoint> curve;            // validation; `tokens` counts rows, questions and answers
  std::vector<MultimodalAnswers> answers;  // [sets]

  template <class V>
  void fields(V& v) {
    v("loss", loss, "validation, nats per token");
    v("parameters", parameters, "weights");
    v("flops", flops, "floating-point operations of a step");
    v("curve", curve, "validation loss");
    v("answers", answers, "to each set");
  }
};

// One model. Nothing if `going` says false. Without `asked` only its loss and curve.
std::optional<MultimodalResult> learn_multimodal(const MultimodalTask& task, const MultimodalOptions& options,
                                                 const MultimodalContender& contender, double rate, uint64_t seed,
                                                 bool asked, const PartProgress& going);

// Nothing if a signal stopped it.
std::optional<StudyReport> multimodal_study(const MultimodalTask& task, const MultimodalOptions& options,
                                            const StudyWork& work);

}  // namespace triarch
