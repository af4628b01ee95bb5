// All that a training run is told: one struct serves the YAML file, the flags, the saved resolved
// configuration and the help.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "triarch/base/fields.h"
#include "triarch/model/names.h"
#include "triarch/objective/objective.h"
#include "triarch/train/learner.h"
#include "triarch/train/schedule.h"

namespace triarch {

template <>
struct EnumNames<ScheduleKind> {
  static constexpr std::pair<ScheduleKind, const char*> table[] = {{ScheduleKind::cosine, "cosine"},
                                                                   {ScheduleKind::linear, "linear"},
                                                                   {ScheduleKind::wsd, "wsd"},
                                                                   {ScheduleKind::constant, "constant"}};
};
template <>
struct EnumNames<OptimizerKind> {
  static constexpr std::pair<OptimizerKind, const char*> table[] = {{OptimizerKind::adamw, "adamw"},
                                                                    {OptimizerKind::muon, "muon"}};
};

enum class PrecisionChoice : uint8_t { automatic, float32, bfloat16, float64 };
template <>
struct EnumNames<PrecisionChoice> {
  static constexpr std::pair<PrecisionChoice, const char*> table[] = {{PrecisionChoice::automatic, "auto"},
                                                                      {PrecisionChoice::float32, "float32"},
                                                                      {PrecisionChoice::bfloat16, "bfloat16"},
                                                                      {PrecisionChoice::bfloat16, "bf16"},
                                                                      {PrecisionChoice::float64, "float64"}};
};
// auto: bfloat16 where the processor multiplies it natively, else float32.
Precision resolve(PrecisionChoice choice);

struct DataConfig {
  std::vector<std::string> inputs;        // files, folders, globs
  double validation = 0.1;                // share held out
  std::string documents = "auto";         // how a .txt is divided: see data/corpus.h
  std::string tokenizer = "auto";         // auto, bytes, characters, words, unigram, bpe, or a tokenizer file
  int64_t vocabulary = 0;                 // 0: by the size of the text
  std::string input_field, target_field;  // of .jsonl; empty: the usual names

  // Usage error for what is outside its range.
  void check() const;

  template <class V>
  void fields(V& v) {
    v("inputs", inputs, "texts: .txt, .jsonl, .tsv, folders, globs, also .gz and .zst");
    v("validation", validation, "share held out for validation");
    v("documents", documents, "how a .txt is divided: auto, file, line, blank_line, endoftext");
    v("tokenizer", tokenizer, "auto, bytes, characters, words, unigram, bpe, or a tokenizer file");
    v("vocabulary", vocabulary, "size of a trained vocabulary; 0: by the size of the text");
    v("input_field", input_field, ".jsonl: the field with the text or input");
    v("target_field", target_field, ".jsonl: the field with the target, label or tags");
  }
};

// How long a run is: whichever is given; steps win.
struct BudgetConfig {
  int64_t steps = 0;
  int64_t tokens = 0;
  double flops = 0;
  Seconds seconds = 0;  // measured on a few steps, turned into steps once, and kept

  bool empty() const { return steps <= 0 && tokens <= 0 && flops <= 0 && seconds <= 0; }
  // Usage error for what is outside its range.
  void check() const;

  template <class V>
  void fields(V& v) {
    v("steps", steps, "optimizer steps");
    v("tokens", tokens, "tokens seen: 5M, 500k");
    v("flops", flops, "floating-point operations executed");
    v("seconds", seconds, "wall time from now on, also of a resumed run: 90, 5m, 1h; turned into steps once");
  }
};

// From a share of the run on, other objectives and another visibility of the decoder.
struct PhaseConfig {
  double begin = 0;                       // share of the run
  std::string visibility;                 // of the decoder; empty: unchanged
  std::vector<ObjectiveSpec> objectives;  // empty: unchanged

  template <class V>
  void fields(V& v) {
    v("begin", begin, "share of the run at which it begins");
    v("visibility", visibility, "the decoder's visibility from here on: causal, prefix ...; empty: unchanged");
    v("objectives", objectives, "objectives from here on; empty: unchanged");
  }
};

struct TrainConfig {
  std::string init_from;   // a model whose weights are the start (finetuning); its architecture and tokenizer
  std::string output_dir;  // empty: runs/<text>-<family>-NNNN
  uint64_t seed = 1;
  PrecisionChoice precision = PrecisionChoice::automatic;
  DataConfig data;
  std::string size = "mini";  // one dial: width and depth by name; empty: as the model of init_from
  int64_t depth = 0;          // layers instead of the size's
  ModelSpec model;
  std::vector<ObjectiveSpec> objectives;  // a mixture; empty: the family's own
  std::vector<PhaseConfig> phases;
  int64_t context = 256;      // longest piece of a document, tokens
  int64_t batch_rows = 2048;  // rows of a packed micro-batch
  int64_t accumulation = 1;   // micro-batches per step
  OptimizerConfig optimizer;
  Schedule schedule;
  LossConfig loss;
  BudgetConfig budget;
  bool recompute = false;
  int64_t logging_steps = 0;  // 0: about 50 lines per run
  int64_t eval_steps = 0;     // 0: about 10 per run
  int64_t eval_rows = 32768;  // rows of the validation text that are looked at while training
  int64_t save_steps = 0;     // 0: about 5 per run; also at its end
  int64_t save_total_limit = 2;
  int64_t sample_steps = 0;  // 0: with every second evaluation and at the end; negative: never

  // Usage error for what is outside its range, whatever the data and the family are.
  void check() const;

  template <class V>
  void fields(V& v) {
    v("init_from", init_from, "a trained model to start from: a run's folder or a checkpoint");
    v("output_dir", output_dir, "folder of the run; empty: runs/<text>-<family>-NNNN");
    v("seed", seed, "seed of weights, order, corruption and dropout");
    v("precision", precision, "auto, float32, bfloat16 or float64");
    v.group("data", data, "texts and tokenizer");
    v("size", size, "one dial for width and depth: tiny, mini, small, medium, base, large");
    v("depth", depth, "layers (of each stack) instead of the size's");
    v.group("model", model, "the architecture: what is not given follows family, preset and size");
    v("objectives", objectives,
      "what is learnt, by weight: prefix_lm, or [{kind: prefix_lm, weight: 2}, {kind: span_corruption}]; empty: the "
      "family's own");
    v("phases", phases, "changes in mid-run: [{begin: 0.5, visibility: prefix, objectives: [prefix_lm]}]");
    v("context", context, "longest piece of a document, in tokens");
    v("batch_rows", batch_rows, "rows (tokens) of a packed micro-batch");
    v("accumulation", accumulation, "micro-batches per optimizer step");
    v.group("optimizer", optimizer, "AdamW, or Muon for matrices");
    v.group("schedule", schedule, "learning rate over the run");
    v.group("loss", loss, "smoothing and z-loss");
    v.group("budget", budget, "how long: the first that is given");
    v("recompute", recompute, "recompute activations in the backward pass: less memory, a fifth more work");
    v("logging_steps", logging_steps, "steps between log lines; 0: about 50 lines per run");
    v("eval_steps", eval_steps, "steps between evaluations; 0: about 10 per run");
    v("eval_rows", eval_rows, "rows of validation text per evaluation while training; the last takes all");
    v("save_steps", save_steps, "steps between checkpoints; 0: about 5 per run; also at its end");
    v("save_total_limit", save_total_limit, "newest checkpoints kept, beside the best; 0: all");
    v("sample_steps", sample_steps,
      "steps between samples; 0: with every second evaluation; and at the end; negative: never");
  }
};

// A configuration from files, then assignments, each over what was before; the model from family, preset, size and
// depth first. Usage errors name the source and the nearest key.
struct Assignment {
  std::string key, value, source;  // "batch_rows", "4096", "--batch-rows"
};
// With init_from the model follows that one instead, and a size, depth or preset that it has not is a usage error.
// Objectives may be given by name: masked_lm, or next_token:2+span_corruption for a mixture.
void assign(TrainConfig& config, const std::vector<Assignment>& assignments);
TrainConfig configure(const std::vector<std::string>& files, const std::vector<Assignment>& assignments);

}  // namespace triarch
