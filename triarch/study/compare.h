// A comparison: contenders, each trained with each seed on the same texts in the same order, and what came of it. It
// lives in a folder, trial by trial, so that it can be interrupted and resumed, and shared by several processes.
//
//   config.yaml     what was asked, resolved
//   tokenizer.bin
//   queue/ working/ results/    trials (study/queue.h)
//   report.json     what came of it (study/compare_report.h)
//   tensorboard/    the same for TensorBoard (study/compare_board.h)
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "triarch/evaluate/serving.h"
#include "triarch/study/adapt.h"
#include "triarch/study/contender.h"
#include "triarch/study/match.h"
#include "triarch/study/queue.h"
#include "triarch/study/sweep.h"
#include "triarch/study/trial.h"
#include "triarch/train/data.h"

namespace triarch {

struct CompareConfig {
  DataConfig data;                    // no inputs: the built-in world
  std::vector<Contender> contenders;  // none: the usual ones
  int64_t seeds = 0;                  // 0: 3, or fewer where the budget is too small for it
  std::string preset;                 // empty: world on the built-in world, else llama
  int64_t width = 0, layers = 0;      // 0: by the budget
  PrecisionChoice precision = PrecisionChoice::float32;
  int64_t context = 0;          // tokens of a piece; 0: 64 in the world, 128 on a text
  int64_t step_tokens = 0;      // tokens of a step; 0: 256 in the world, 512 on a text
  double seconds = 0;           // budget of the whole comparison; turned into tokens once
  int64_t tokens = 0;           // seen by each run; 0: by the seconds
  Match match = Match::tokens;  // what runs are given equally
  int64_t primer_tokens = -1;   // world: refrains that come first; -1: a quarter, at most 100k
  OptimizerConfig optimizer;
  Schedule schedule;
  bool sweep = false;             // finds each contender's learning rates first
  std::vector<SweepPoint> swept;  // what was found
  // Multitask finetuning after pretraining, where there are tasks to train.
  int64_t finetune_tokens = -1;  // -1: three for every eight of pretraining; 0: none
  double finetune_rate = 0.6;    // its learning rates, as a share of pretraining's
  double rehearsal = 0.1;        // share of it that is text as in pretraining: of the world's documents, of own tokens
  int64_t suffix_items = 400;    // held-out texts that the suffix loss is measured on
  int64_t task_items = 200;      // questions of each kind under each prompt template; 0: none
  int64_t asked_items = 0;       // of them, that are asked; 0: all. Set where a budget is too short for all
  Ranking ranking = Ranking::sum;          // how candidates of a question are compared
  std::vector<std::string> tasks;          // files of the user's own (evaluate/task_file.h)
  std::vector<std::string> minimal_pairs;  // folders (evaluate/minimal_pairs.h)
  int64_t shots = -1;  // demonstrations of few-shot questions; -1: 2 where the budget is 10 minutes or more
  // Labelling: heads finetuned on the world's texts, or on files of the user's own.
  std::optional<bool> heads;               // none: with a budget of 10 minutes or more
  std::vector<std::string> classify, tag;  // files; they make heads true
  int64_t head_tokens = -1;   // that each head learns from; -1: a sixteenth of pretraining's, of own files 8 passes
  std::optional<bool> adapt;  // adaptation between families; none: with a budget of 10 minutes or more
  std::vector<AdaptationPlan> adaptations;
  std::optional<bool> serving;  // measures what each contender costs to serve; none: the same
  uint64_t hash = 0;            // of the texts; checked on resume

  CompareConfig();

  template <class V>
  void fields(V& v) {
    v.group("data", data, "texts and tokenizer; no inputs: the built-in world");
    v("contenders", contenders, "families and what they learn from");
    v("seeds", seeds, "runs of each contender; 0: 3, fewer where the budget is too small for it");
    v("preset", preset, "what the models follow: world, llama, gpt2, ...; empty: by the data");
    v("width", width, "width of all models; 0: by the budget");
    v("layers", layers, "layers of each stack; 0: by the budget");
    v("precision", precision, "float32, bfloat16, float64 or auto; one for all");
    v("context", context, "longest piece of a document, in tokens; 0: by the data");
    v("step_tokens", step_tokens, "tokens of text that a step shows; 0: by the data");
    v("seconds", seconds, "time of the whole comparison; turned into tokens once, at the start");
    v("tokens", tokens, "tokens that each run sees; 0: by the seconds");
    v("match", match, "what runs are given equally: tokens, flops, parameters or time");
    v("primer_tokens", primer_tokens,
      "built-in world: tokens of refrains that come first; -1: a quarter, at most 100k");
    v.group("optimizer", optimizer, "AdamW, or Muon for matrices");
    v.group("schedule", schedule, "learning rate over a run");
    v("sweep", sweep, "find each contender's learning rates first: five runs of each");
    v("swept", swept, "learning rates that were tried");
    v("suffix_items", suffix_items, "held-out texts that the suffix loss is measured on");
    v("finetune_tokens", finetune_tokens,
      "tokens of multitask finetuning, where there are tasks to train; -1: three for every eight of pretraining; 0: "
      "none");
    v("finetune_rate", finetune_rate, "learning rates of finetuning, as a share of pretraining's");
    v("rehearsal", rehearsal, "share of finetuning that is text as in pretraining");
    v("task_items", task_items, "questions of each kind under each prompt template; 0: none");
    v("asked_items", asked_items, "of them, those that are asked; 0: all, or fewer where the budget is too short");
    v("ranking", ranking,
      "candidates by the sum of their tokens' log-probabilities, or by the mean per_token or per_byte");
    v("tasks", tasks,
      "JSONL files of questions with candidates; those not held out are also trained, if there are many");
    v("minimal_pairs", minimal_pairs, "folders of minimal pairs: BLiMP, Zorro");
    v("shots", shots,
      "questions with their answers before each question, as far as there is room, beside questions without; -1: 2 "
      "with a budget of 10 minutes or more; 0: none");
    v("heads", heads,
      "finetune heads for classification and tagging; null: with a budget of 10 minutes or more, in the built-in "
      "world");
    v("classify", classify, "files of texts with a class each, to finetune heads on");
    v("tag", tag, "files of texts with a tag for each word, to finetune heads on");
    v("head_tokens", head_tokens,
      "tokens that each head learns from; -1: a sixteenth of pretraining's, of files of your own eight passes");
    v("adapt", adapt,
      "begin families with the weights of others, and count tokens to the same loss; null: with a budget of 10 minutes "
      "or more");
    v("adaptations", adaptations, "from which family to which");
    v("serving", serving, "measure what each contender costs to serve; null: with a budget of 10 minutes or more");
    v("hash", hash, "of the texts");
  }
};

// "3m", "90s", "1h", "500k tokens", "2M tokens" into seconds or tokens. Usage error for anything else.
void set_budget(CompareConfig& config, const std::string& budget);

// What all contenders learn from and are measured on.
struct CompareData {
  Tokenizer tokenizer;
  Vocabulary vocabulary;
  std::vector<TokenizedCorpus> stages;
  std::vector<int64_t> stage_tokens;
  TokenizedCorpus validation;
  SuffixSet suffixes;
  std::vector<ChoiceTask> tasks;
  TokenizedCorpus instructions;  // of multitask finetuning; empty: none
  int64_t instruction_tokens = 0;
  std::vector<HeadTask> heads;
  std::vector<std::string> references;  // pairs: the outputs of the first suffix items, as text
  std::vector<std::string> notes;       // what was left out, in words for the user
  bool world = false, pairs = false;
  std::optional<double> entropy_floor;  // of the next token of the held-out texts, in nats, where it is known
  uint64_t hash = 0;
  std::string name, description;
};

// What a comparison tells while it works.
struct CompareEvents {
  struct State {
    int64_t done = 0, trials = 0;
    double share = 0;           // of all work
    int64_t tokens = 0;         // seen by all trials
    std::string running, best;  // "causal decoder 2"; "causal decoder 1.42"
    bool finished_one = false;
  };
  std::function<void(const State&)> progress;
  std::function<void(const std::string&)> note;
};

class Comparison {
 public:
  // Resolves the configuration, prepares the data and makes the folder: `folder`, or runs/compare-<text>-NNNN. With a
  // budget in seconds it times every contender for a moment, on `jobs` threads as later. `dry`: without the folder.
  // `sweeping` is told the share of a sweep that is done; false ends all, with nothing made and no comparison.
  static std::unique_ptr<Comparison> create(CompareConfig config, std::filesystem::path folder, int jobs,
                                            bool dry = false, const std::function<bool(double)>& sweeping = {});
  static std::unique_ptr<Comparison> open(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  const CompareConfig& config() const { return config_; }
  const CompareData& data() const { return data_; }
  const std::vector<TrialCost>& costs() const { return costs_; }  // by contender
  // "causal-next_token.1", in the order in which they are tried: all contenders with seed 1, then seed 2 ..., and then
  // adaptations in the same way: "causal-next_token-to-prefix-span_corruption.1".
  const std::vector<std::string>& trials() const { return trials_; }
  TrialInputs inputs() const;
  // Of adaptations: an eighth of the tokens for each of their three runs, at a constant rate.
  TrialInputs adaptation_inputs() const;

  // Works on what is left, each trial on one of `jobs` threads; waits for trials that other processes have claimed.
  // False if a signal stopped it (base/signals.h).
  bool work(int jobs, const CompareEvents& events);
  // What each contender costs to serve, one after the other on all threads: measured once, then kept in the folder.
  // Weights do not matter to it, so models as they begin are measured. False if a signal stopped it.
  bool measure_serving();
  // By contender; empty: not measured.
  std::vector<ServingCost> serving() const;
  // Of the contender with each seed, in order; empty places where there is none yet.
  std::vector<std::optional<TrialResult>> results(const Contender& contender) const;
  std::vector<std::optional<Adaptation>> results(const AdaptationPlan& plan) const;

 private:
  Comparison(CompareConfig config, CompareData data);
  // What a trial is of.
  struct Job {
    std::string name;
    const Contender* contender = nullptr;
    const AdaptationPlan* adaptation = nullptr;
    uint64_t seed = 0;
    double flops = 0;  // about
    int64_t tokens = 0;
  };
  std::vector<Job> all_jobs() const;
  template <class Result>
  std::vector<std::optional<Result>> results_of(const std::string& name) const;
  void plan(int jobs, bool timed);
  // Matches contenders at the configuration's tokens and shape, and fills the stages for them.
  void match(int jobs, bool timed);

  CompareConfig config_;
  CompareData data_;
  std::filesystem::path folder_;
  std::vector<TrialCost> costs_;
  std::vector<std::string> trials_;
};

}  // namespace triarch
