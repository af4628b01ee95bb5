// A trial: one contender trained with one seed, and all that is measured of it. A pure function of its inputs, apart
// from times: any number of other trials may run beside it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "triarch/evaluate/exact.h"
#include "triarch/evaluate/suffix.h"
#include "triarch/evaluate/task_scores.h"
#include "triarch/study/attention_picture.h"
#include "triarch/study/contender.h"
#include "triarch/study/curriculum.h"
#include "triarch/study/heads.h"
#include "triarch/train/config.h"

namespace triarch {

// What a model says about a text.
struct Sample {
  std::string task;    // "continues", "fills masks", "repairs a span"
  std::string prompt;  // as it was asked
  std::string answer;

  template <class V>
  void fields(V& v) {
    v("task", task, "continues, fills masks or repairs a span");
    v("prompt", prompt, "what it was given");
    v("answer", answer, "what it made of it");
  }
};

// The state of a trial after a number of steps.
struct CurvePoint {
  int64_t step = 0, tokens = 0, targets = 0;
  double flops = 0, seconds = 0;
  double train_loss = 0;                   // own objective, nats per target, mean since the last point
  double own_loss = 0;                     // the same, held out
  std::optional<double> suffix_loss = {};  // nats per token, of a part of the items
  std::optional<double> accuracy = {};     // share of all questions answered rightly; none: they were not asked
  int64_t examples = 0;                    // prompts with their answers seen

  template <class V>
  void fields(V& v) {
    v("step", step, "optimizer steps done");
    v("tokens", tokens, "tokens seen");
    v("targets", targets, "tokens with a loss");
    v("flops", flops, "floating-point operations executed in steps");
    v("seconds", seconds, "wall time in steps");
    v("train_loss", train_loss, "own objective, nats per target, since the last point");
    v("own_loss", own_loss, "own objective, held out");
    v("suffix_loss", suffix_loss, "nats per token of second halves, a part of the items");
    v("accuracy", accuracy, "share of all questions answered rightly");
    v("examples", examples, "prompts with their answers seen");
  }
};

// What a stage of learning counted.
struct TrialCounters {
  int64_t steps = 0, tokens = 0, targets = 0;
  int64_t examples = 0;  // prompts with their answers
  double flops = 0, seconds = 0;

  template <class V>
  void fields(V& v) {
    v("steps", steps, "optimizer steps");
    v("tokens", tokens, "tokens seen");
    v("targets", targets, "tokens with a loss");
    v("examples", examples, "prompts with their answers seen");
    v("flops", flops, "floating-point operations executed in steps");
    v("seconds", seconds, "wall time in steps");
  }
};

// Multitask prompted finetuning (Wang et al. 2022, section 2.2), and what is measured after it.
struct Finetuned : TrialCounters {
  std::vector<double> suffix_losses;  // [items of the suffix set] nats; empty: it does not generate
  std::vector<TaskAnswers> answers;
  std::vector<ExactAnswers> exact;
  std::vector<CurvePoint> curve;  // of this stage alone; empty: it was not looked at on its way

  template <class V>
  void fields(V& v) {
    TrialCounters::fields(v);
    v("suffix_losses", suffix_losses, "nats of each second half");
    v("answers", answers, "to the tasks' questions");
    v("exact", exact, "answers of several tokens, token by token");
    v("curve", curve, "the course of finetuning");
  }
};

struct TrialResult : TrialCounters {
  std::string contender;
  uint64_t seed = 0;
  std::string failure;  // empty, or why it has no result: "diverged: ..."
  int64_t parameters = 0;
  double peak_bytes = 0;              // weights, gradients, moments and activations
  double own_loss = 0;                // own objective, held out, nats per target
  double unigram_entropy = 0;         // of the same targets: what knowing only their frequencies gives
  std::vector<double> suffix_losses;  // [items of the suffix set] nats; empty: it does not generate
  std::vector<std::string> outputs;   // pairs: what it makes of the first inputs, greedily
  std::vector<TaskAnswers> answers;   // after pretraining; empty: no tasks, or it cannot be asked
  std::vector<ExactAnswers> exact;    // the same of answers of several tokens
  std::vector<HeadAnswers> heads;     // labelling, learnt after pretraining
  std::vector<Finetuned> finetuned;   // none or one
  std::vector<CurvePoint> curve;
  std::vector<Sample> samples;
  std::vector<AttentionPicture> attention;  // of seed 1

  template <class V>
  void fields(V& v) {
    v("contender", contender, "its name");
    v("seed", seed, "of weights, order and corruption");
    v("failure", failure, "why there is no result");
    v("parameters", parameters, "weights of the model");
    TrialCounters::fields(v);
    v("peak_bytes", peak_bytes, "weights, gradients, moments and activations");
    v("own_loss", own_loss, "own objective, held out, nats per target");
    v("unigram_entropy", unigram_entropy, "entropy of the same targets' frequencies");
    v("suffix_losses", suffix_losses, "nats of each second half");
    v("outputs", outputs, "pairs: what it makes of the first inputs, greedily");
    v("answers", answers, "to the tasks' questions, after pretraining");
    v("exact", exact, "answers of several tokens, token by token, after pretraining");
    v("heads", heads, "labelling, learnt after pretraining");
    v("finetuned", finetuned, "multitask finetuning, and what was measured after it; none or one");
    v("curve", curve, "the course of the trial");
    v("samples", samples, "its own work");
    v("attention", attention, "who looks at whom in a held-out text; of seed 1");
  }
};

// All that trials share.
struct TrialInputs {
  const Tokenizer* tokenizer = nullptr;
  const Vocabulary* vocabulary = nullptr;
  std::vector<Curriculum::Stage> stages;
  const TokenizedCorpus* validation = nullptr;
  const SuffixSet* suffixes = nullptr;
  std::span<const ChoiceTask> tasks;  // may be empty
  Ranking ranking = Ranking::sum;
  std::span<const ExactTask> exact;  // of generators; may be empty
  // Of multitask finetuning: pairs of a prompt and its answer, and texts as in pretraining, which are rehearsed. None:
  // it is left out.
  const TokenizedCorpus* instructions = nullptr;
  int64_t instruction_tokens = 0;
  double finetune_rate = 1;         // its learning rates, and those of heads, as a share of pretraining's
  std::span<const HeadTask> heads;  // may be empty
  size_t translations = 0;          // pairs: of the suffix set, so many outputs are generated
  std::string preset;
  int64_t width = 0, layers = 0;
  int64_t context = 0, step_tokens = 0;  // tokens of a piece and of a step
  bool cut = true;                       // false: pairs, which stay whole
  Precision precision = Precision::float32();
  OptimizerConfig optimizer;
  Schedule schedule;
  int64_t points = 8;                // of the curve
  int64_t finetune_points = 0;       // of that of finetuning
  bool ask_at_points = false;        // answers all questions at each point
  int64_t validation_tokens = 8192;  // looked at for own_loss at a point; the last takes four times as many
};

// The inputs' optimizer with the contender's share of the learning rates, which must have been decided.
OptimizerConfig optimizer_of(const Contender& contender, const TrialInputs& inputs);

struct TrialEvents {
  // Now and then, with the share of all work that is done and the tokens seen; false stops the trial.
  std::function<bool(double share, int64_t tokens)> progress;
};

// Nothing if it was stopped. A run that diverges is a result, too.
std::optional<TrialResult> run_trial(const Contender& contender, uint64_t seed, const TrialInputs& inputs,
                                     const TrialEvents& events = {});

// What a step costs, by counting (nothing is computed) and, if asked, by timing some on a scratch model.
struct TrialCost {
  int64_t parameters = 0;
  double flops_per_token = 0;
  double seconds_per_token = 0;  // 0 if not timed
  double peak_bytes = 0;
};
TrialCost trial_cost(const Contender& contender, const TrialInputs& inputs, double seconds_to_time);

}  // namespace triarch
