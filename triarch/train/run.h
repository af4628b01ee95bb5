// A training run: from a configuration and data to a folder with a trained model, its record and its
// checkpoints; interruptible at any moment and resumed bit for bit.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "triarch/data/loader.h"
#include "triarch/objective/objective.h"
#include "triarch/train/config.h"
#include "triarch/train/data.h"
#include "triarch/train/learner.h"

namespace triarch {

// Fills what a configuration leaves open: vocabulary, table sizes, objectives, intervals. Throws usage errors for
// what does not fit together. The result is what config.yaml records.
void resolve(TrainConfig& config, const RunData& data);

// The examples of a family under a mixture of objectives: what a loader draws from.
class Task {
 public:
  Task(const TrainConfig& config, const std::vector<ObjectiveSpec>& objectives, const RunData& data);
  Loader train_loader() const;
  Loader validation_loader() const;
  const Objective& objective() const { return *objective_; }

 private:
  Loader loader(const Documents& documents, bool shuffle) const;
  const RunData& data_;
  std::shared_ptr<const Objective> objective_;
  LoaderOptions options_;
};

// Held-out losses, and what knowing only the frequencies of the same targets would give.
struct Evaluation {
  Tally tally;
  Tally beginning;             // of it, what every evaluation of a run sees: by this they are compared
  double unigram_entropy = 0;  // nats per target, of the targets' own frequencies
  double majority = 0;         // share of the most frequent target: what always saying it would get right
  double accuracy() const { return tally.weight > 0 ? double(tally.correct) / tally.weight : 0; }
};
// Over a fresh validation loader: about `rows` rows (0: all), which are the beginning, or `all`.
Evaluation evaluate(Learner& learner, Loader loader, int64_t rows, bool all);

// What a run has done so far; saved in its checkpoints.
struct RunCounters {
  int64_t step = 0, tokens = 0, targets = 0;
  double flops = 0, seconds = 0;
  double last_validation = 0;
  int64_t best_step = 0;  // 0: none yet
  double best_validation = 0;
  int64_t truncated = 0;

  template <class V>
  void fields(V& v) {
    v("step", step, "optimizer steps done");
    v("tokens", tokens, "tokens seen");
    v("targets", targets, "tokens with a loss");
    v("flops", flops, "floating-point operations executed");
    v("seconds", seconds, "wall time in steps");
    v("last_validation", last_validation, "last held-out loss, nats per target");
    v("best_step", best_step, "step of the checkpoint with the lowest held-out loss of this phase");
    v("best_validation", best_validation, "that loss");
    v("truncated", truncated, "examples cut because they were longer than the context");
  }
};

// Sums over the steps since the last log line; saved, so that a resumed run writes the same line.
struct LogSums {
  double nll = 0, weight = 0, seconds = 0, gradient_norm = 0;
  int64_t tokens = 0;

  template <class V>
  void fields(V& v) {
    v("nll", nll, "sum of the negative log-likelihoods");
    v("weight", weight, "sum of the targets' weights");
    v("seconds", seconds, "wall time");
    v("gradient_norm", gradient_norm, "of the last step");
    v("tokens", tokens, "tokens seen");
  }
};

// What a run will cost, known before it starts.
struct RunPlan {
  int64_t parameters = 0;
  int64_t tokens = 0;     // to be seen
  int64_t steps = 0;      // about as many
  double flops = 0;       // to be executed
  double seconds = 0;     // to come, from timing a few steps; 0 if not timed
  double peak_bytes = 0;  // weights, gradients, moments and activations
};

// What a run tells while it works. All may be empty.
struct RunEvents {
  struct Step {
    const RunCounters& counters;
    const RunPlan& plan;
    double share = 0;  // of the run done
    double loss = 0, learning_rate = 0, gradient_norm = 0, tokens_per_second = 0;
  };
  std::function<void(const Step&)> step;    // every step
  std::function<void()> pausing, going_on;  // around what is no training: evaluation, samples, saving
  std::function<void(const RunCounters&, const Evaluation&, bool last)> evaluated;
  std::function<void(const std::filesystem::path& checkpoint)> saved;
  // Text of the model's own making, from its present weights; shown and recorded.
  std::function<std::string(Model&)> sample;
  std::function<void(const std::string&)> sampled;
};

class Run {
 public:
  // A new run. Resolves the configuration, makes the model; nothing is written yet. Usage error if its folder holds
  // anything. ExitCode::out_of_memory, before the model is made, where its weights and moments need more than is free.
  Run(TrainConfig config, RunData data);
  // Goes on from a checkpoint, and holds the run's folder. `config` as read_run says, `data` as prepared from it and
  // the stored tokenizer: an error if its hash is another.
  Run(const std::filesystem::path& checkpoint, TrainConfig config, RunData data);
  ~Run();

  const TrainConfig& config() const { return config_; }
  const RunData& data() const { return data_; }
  const RunCounters& counters() const { return counters_; }
  int64_t phase() const { return int64_t(phase_); }  // phases entered
  // Examples cut so far because they were longer than the context.
  int64_t truncated() const { return counters_.truncated + loader_->truncated(); }
  Learner& learner() { return *learner_; }
  // Empty before begin() where a new run was given none.
  const std::filesystem::path& folder() const { return folder_; }
  // What a person should know about a resumed run; empty if nothing.
  const std::string& remark() const { return remark_; }

  // Counts a step of every phase to come and, if `timed` or the budget is in seconds, times a few. Throws
  // ExitCode::out_of_memory, before that, where the activations need more than is free.
  RunPlan plan(bool timed);

  // Takes the folder: makes it, or cuts the record back to the checkpoint that the run goes on from. Later checkpoints
  // of the run are moved to a folder inside it, with the record as it was: a run of its own. Returns a remark on
  // that, or "". train() begins a run that was not begun.
  std::string begin();

  // Trains to the end of the budget. Stops early, after saving, when a signal asks for it (base/signals.h): then
  // finished() is false; what was due at that step is done first when it goes on. The checkpoints kept are the newest
  // and the one of the lowest held-out loss. A run that is finished already is evaluated only. Throws
  // ExitCode::diverged, naming the last good checkpoint, which is kept.
  void train(const RunEvents& events);
  bool finished() const { return share() >= 1; }
  // The last, complete evaluation; after a finished train().
  const Evaluation& result() const { return result_; }

 private:
  double share() const;  // of the budget done
  double factor() const;
  void make_learner();
  void enter_phase();
  size_t plan_phases();
  std::string set_aside();
  void after_step(const RunEvents& events, bool stop);
  void evaluate_and_tell(const RunEvents& events, bool saves, bool last);
  void save(const RunEvents& events);
  [[noreturn]] void diverged(const std::string& what, int64_t good_step) const;
  void log(double learning_rate);
  Evaluation evaluate_now(bool all);

  TrainConfig config_;
  RunData data_;
  std::filesystem::path folder_;
  std::string remark_;
  std::unique_ptr<Learner> learner_;
  std::unique_ptr<Task> task_;
  std::unique_ptr<Loader> loader_;
  size_t phase_ = 0;
  RunCounters counters_;
  LogSums since_;
  bool pending_ = false;  // an evaluation or sample due at this step is still to be made
  RunPlan plan_;
  Evaluation result_;
  struct Record;
  std::unique_ptr<Record> record_;
};

// The stored configuration of a run's folder or checkpoint, and the checkpoint to resume from: the newest of a folder.
struct StoredRun {
  TrainConfig config;
  std::filesystem::path checkpoint;
};
// With assignments to what may change in mid-run: budget, logging, evaluation, saving, learning rates, precision, where
// the same texts are. A usage error for any other, and for a budget that is used up.
StoredRun read_run(const std::filesystem::path& folder_or_checkpoint, const std::vector<Assignment>& assignments = {});

}  // namespace triarch
