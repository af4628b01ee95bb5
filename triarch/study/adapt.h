// Adaptation (Wang et al. 2022, section 6): is it worth while to begin a family's training with the weights of another?
//
// Three runs: `from` learns its objective; a model of `to` takes its weights over (model/convert.h) and learns its own;
// another model of `to` learns the same from its initial weights. The last two are shown the same pieces in the same
// order, and are measured on the same held-out examples of their objective. Of both we say how many tokens they took
// to the lowest loss that both reach, by lines between the points of their curves.
//
// Wang et al.: causal (next token) to prefix (span corruption) 3.3 times faster than from scratch, prefix to causal 1.6
// times. Losses amid a run compare well where the learning rate is constant; under another schedule only the end of a
// run has its low rate, which is to the disadvantage of whichever is faster.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "triarch/study/course.h"

namespace triarch {

struct AdaptationPlan {
  Contender from, to;

  std::string name() const { return from.name + "-to-" + to.name; }
  template <class V>
  void fields(V& v) {
    v.group("from", from, "what learns first");
    v.group("to", to, "what goes on with its weights");
  }
};
// Causal to prefix by span corruption, prefix to causal by next token, causal to encoder-decoder by spans and prefixes.
std::vector<AdaptationPlan> default_adaptations();

struct Adaptation {
  std::string from, to;  // names of the contenders
  uint64_t seed = 0;
  int64_t first_tokens = 0;  // that `from` has learnt from
  std::vector<LossPoint> adapted, scratch;
  double target_loss = 0;                         // the lowest that both reach
  double adapted_tokens = 0, scratch_tokens = 0;  // to it
  std::optional<double> speedup;                  // scratch_tokens / adapted_tokens; none: it was there at once
  std::vector<std::string> initial;               // parameters that nothing was taken over for
  std::string failure;                            // why it ended early; empty: it did not

  template <class V>
  void fields(V& v) {
    v("from", from, "what has learnt first");
    v("to", to, "what goes on with its weights");
    v("seed", seed, "of weights, order and corruption");
    v("first_tokens", first_tokens, "tokens of the first training");
    v("adapted", adapted, "losses of the adapted model");
    v("scratch", scratch, "losses of the one from scratch");
    v("target_loss", target_loss, "the lowest loss that both reach");
    v("adapted_tokens", adapted_tokens, "tokens to it, the first training not counted");
    v("scratch_tokens", scratch_tokens, "tokens to it from scratch");
    v("speedup", speedup, "scratch_tokens / adapted_tokens; null: the adapted model was there at once");
    v("initial", initial, "parameters that began at their initial values");
    v("failure", failure, "why it ended early; empty: it did not");
  }
};

// Tokens until a curve is first at or below a loss, by lines between its points (in order); none if it never is.
std::optional<double> tokens_to(std::span<const LossPoint> curve, double loss);

// All three runs take the tokens of `inputs.stages`. Nothing if it was stopped; divergence is a result. Steps are
// counted over the runs.
std::optional<Adaptation> run_adaptation(const AdaptationPlan& plan, uint64_t seed, const TrialInputs& inputs,
                                         const TrialEvents& events = {});

}  // namespace triarch
