// The loop of a run: steps, logs, evaluations, checkpoints, and how it goes on from one.
#include <algorithm>
#include <cmath>
#include <optional>

#include "triarch/autograd/context.h"
#include "triarch/base/clock.h"
#include "triarch/base/error.h"
#include "triarch/base/files.h"
#include "triarch/base/human.h"
#include "triarch/base/machine.h"
#include "triarch/base/signals.h"
#include "triarch/checkpoint/checkpoint.h"
#include "triarch/checkpoint/weights.h"
#include "triarch/kernels/isa.h"
#include "triarch/kernels/update.h"
#include "triarch/train/record.h"
#include "triarch/train/run.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

constexpr double kLastSamples = 0.95;  // after that share of a run the sample at its end says as much

// state.json of a training run.
struct SavedRun : RunCounters {
  std::string precision, instruction_set;
  RecordPosition record;

  template <class V>
  void fields(V& v) {
    RunCounters::fields(v);
    v("precision", precision, "float32, bfloat16 or float64");
    v("instruction_set", instruction_set, "which kernels ran");
    v("metrics_bytes", record.metrics_bytes, "length of metrics.jsonl");
    v("events_file", record.events_file, "name of the TensorBoard file");
    v("events_bytes", record.events_bytes, "length of it");
  }
};
struct SavedState {
  SavedRun run;
  LogSums since;
  bool pending = false;
  LoaderState loader;
  int64_t phase = 0;
  uint64_t data_hash = 0;
  int64_t optimizer_steps = 0;

  template <class V>
  void fields(V& v) {
    v.group("run", run, "where the run was and what it had done");
    v.group("since", since, "sums since its last log line");
    v("pending", pending, "an evaluation or sample due at this step was still to be made");
    v.group("loader", loader, "its place in the data");
    v("phase", phase, "phases entered");
    v("data_hash", data_hash, "of the texts");
    v("optimizer_steps", optimizer_steps, "updates made");
  }
};

// What a run may be told anew on a resume; all else would make it another run.
bool may_change(std::string_view key) {
  static constexpr std::string_view keys[] = {"logging_steps",
                                              "eval_steps",
                                              "eval_rows",
                                              "save_steps",
                                              "save_total_limit",
                                              "sample_steps",
                                              "precision",
                                              "recompute",
                                              "data.inputs",
                                              "optimizer.learning_rate",
                                              "optimizer.muon_learning_rate"};
  return key.starts_with("budget.") || std::ranges::find(keys, key) != std::end(keys);
}

// The folder of a run that a checkpoint lies in.
fs::path run_of(const fs::path& checkpoint) {
  const fs::path name = checkpoint.filename();
  const bool plain = !name.empty() && name != "." && name != ".." && checkpoint.has_parent_path();
  return (plain ? checkpoint : fs::canonical(checkpoint)).parent_path();
}

// A new run writes over nothing.
void refuse_full(const fs::path& folder) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (entry.path().filename() == FolderLock::kFile) continue;
    fail(ExitCode::usage,
         "train: the folder '{}' is not empty; go on with a run that is there with --resume {}, or choose another "
         "--output-dir",
         folder.string(), folder.string());
  }
}

void refuse_without_memory(double bytes, const char* what, const std::string& instead) {
  const double available = double(available_memory());  // 0: the system does not tell
  if (available <= 0 || bytes <= available) return;
  fail(ExitCode::out_of_memory, "train: the {} need {} and {} is free; take {}", what, human_bytes(bytes),
       human_bytes(available), instead);
}

std::string precision_name(Precision p) { return name_of(p.operand); }

// Moments as "first.<parameter>" and "second.<parameter>".
std::vector<NamedTensor> moments_of(const Parameters& parameters, const Optimizer& optimizer) {
  std::vector<NamedTensor> out;
  for (const Parameter& p : parameters.all()) {
    out.emplace_back("first." + p.name, p.part_of(optimizer.first()), is_vector(p));
    out.emplace_back("second." + p.name, p.part_of(optimizer.second()), is_vector(p));
  }
  return out;
}

void load_moments(const SafetensorsFile& file, Parameters& parameters, Optimizer& optimizer) {
  for (Parameter& p : parameters.all()) {
    load_tensor(file, "first." + p.name, p, p.part_of(optimizer.first()));
    load_tensor(file, "second." + p.name, p, p.part_of(optimizer.second()));
  }
}

bool finite(const Parameters& parameters) {
  double sum = 0;
  dispatch(parameters.precision(), [&]<class S, class T>() {
    kernels::SumOfSquares<S> s;
    s.count = parameters.flat_size();
    s.x = parameters.flat_values().data<S>();
    s.sum = &sum;
    kernels::sum_of_squares(s);
  });
  return std::isfinite(sum);
}

}  // namespace

// The run's folder, held.
struct Run::Record {
  Record(const fs::path& folder) : lock(folder, "train") {}
  FolderLock lock;
  std::optional<RecordPosition> position;  // of a resumed run, where the checkpoint left it
  std::unique_ptr<RunRecord> files;        // from begin() on
};

Run::Run(TrainConfig config, RunData data) : config_(std::move(config)), data_(std::move(data)) {
  folder_ = config_.output_dir;
  if (!folder_.empty()) refuse_full(folder_);
  resolve(config_, data_);
  make_learner();
  Parameters& parameters = learner_->model().parameters();
  parameters.initialise(config_.seed);
  if (!config_.init_from.empty()) {
    const fs::path model = find_model(config_.init_from);
    load_known_parameters(SafetensorsFile(model / model_file::weights, "finetune"), parameters,
                          read_spec(model).labels == config_.model.labels);
  }
  task_ = std::make_unique<Task>(config_, config_.objectives, data_);
  loader_ = std::make_unique<Loader>(task_->train_loader());
}

Run::Run(const fs::path& checkpoint_path, TrainConfig config, RunData data)
    : config_(std::move(config)), data_(std::move(data)) {
  folder_ = run_of(checkpoint_path);
  config_.output_dir = folder_.string();
  record_ = std::make_unique<Record>(folder_);
  remove_leftovers(folder_);  // of a save that was killed
  const Checkpoint checkpoint(checkpoint_path);
  SavedState saved;
  checkpoint.state(saved);
  if (saved.data_hash != data_.hash) {
    fail(
        "resume: the texts have changed since the run began (their hash was {:016x}, now it is {:016x}); bring the "
        "old ones back, or start a new run",
        saved.data_hash, data_.hash);
  }
  const std::string now_isa = kernels::name_of(kernels::active_isa());
  const std::string now_precision = precision_name(triarch::resolve(config_.precision));
  if (saved.run.instruction_set != now_isa || saved.run.precision != now_precision) {
    remark_ = fmt::format("began in {} with kernels for {} and goes on in {} with kernels for {}: not bit for bit",
                          saved.run.precision, saved.run.instruction_set, now_precision, now_isa);
  }
  make_learner();
  load_parameters(checkpoint.tensors(checkpoint_file::model), learner_->model().parameters());
  load_moments(checkpoint.tensors(checkpoint_file::optimizer), learner_->model().parameters(), learner_->optimizer());
  learner_->optimizer().set_steps(saved.optimizer_steps);
  task_ = std::make_unique<Task>(config_, config_.objectives, data_);
  while (phase_ < size_t(saved.phase)) enter_phase();
  loader_ = std::make_unique<Loader>(task_->train_loader());
  loader_->restore(saved.loader);
  counters_ = saved.run;
  since_ = saved.since;
  pending_ = saved.pending;
  record_->position = saved.run.record;
}

void Run::make_learner() {
  const Precision precision = triarch::resolve(config_.precision);
  refuse_without_memory(Learner::state_bytes(config_.model, precision), "weights, gradients and moments",
                        "a smaller model");
  learner_ = std::make_unique<Learner>(config_.model, precision, config_.optimizer, config_.loss);
  learner_->model().recompute = config_.recompute;
}

Run::~Run() = default;

double Run::share() const {
  const BudgetConfig& b = config_.budget;
  if (b.steps > 0) return double(counters_.step) / double(b.steps);
  if (b.tokens > 0) return double(counters_.tokens) / double(b.tokens);
  return 0;
}

double Run::factor() const {
  const BudgetConfig& b = config_.budget;
  Schedule s = config_.schedule;
  if (b.steps > 0) return s.factor(counters_.step, b.steps);
  // By tokens; a warm-up in steps is one in tokens of full batches.
  if (s.warmup >= 1) s.warmup *= double(config_.batch_rows * config_.accumulation);
  return s.factor(counters_.tokens, b.tokens);
}

void Run::enter_phase() {
  const PhaseConfig& p = config_.phases[phase_++];
  if (!p.visibility.empty()) learner_->model().set_visibility(*enum_value<Visibility>(p.visibility));
  counters_.best_step = 0;  // losses of another task
  if (p.objectives.empty()) return;
  task_ = std::make_unique<Task>(config_, p.objectives, data_);
  if (!loader_) return;
  // Its pieces may be cut at other places, so that a place among the last ones' says nothing: another epoch begins.
  LoaderState next;
  next.epoch = loader_->state().epoch + 1;
  counters_.truncated = truncated();
  loader_ = std::make_unique<Loader>(task_->train_loader());
  loader_->restore(next);
}

// Counts a step of each phase to come, so that what is wrong with one is said before the first step. Their largest
// activations.
size_t Run::plan_phases() {
  Model& model = learner_->model();
  const Visibility now = model.spec().decoder.visibility;
  std::unique_ptr<Task> own;
  size_t peak = 0;
  for (size_t i = phase_; i < config_.phases.size(); ++i) {
    const PhaseConfig& p = config_.phases[i];
    if (!p.visibility.empty()) model.set_visibility(*enum_value<Visibility>(p.visibility));
    if (!p.objectives.empty()) own = std::make_unique<Task>(config_, p.objectives, data_);
    Loader loader = (own ? *own : *task_).train_loader();
    peak = std::max(peak, learner_->plan({&loader.next(), 1}).activation_peak);
  }
  if (model.spec().has_decoder()) model.set_visibility(now);
  return peak;
}

RunPlan Run::plan(bool timed) {
  RunPlan p;
  p.parameters = learner_->model().parameters().count();
  // What a step costs, from a few real batches.
  Loader loader = task_->train_loader();
  constexpr int kBatches = 3;
  std::vector<Batch> batches;
  double rows_tokens = 0;
  for (int i = 0; i < kBatches; ++i) {
    batches.push_back(loader.next());
    rows_tokens += double(batches.back().tokens);
  }
  const double step_tokens = rows_tokens / kBatches * double(config_.accumulation);
  double step_flops = 0;
  size_t activations = plan_phases(), state = 0;
  for (const Batch& b : batches) {
    const Learner::Plan each = learner_->plan({&b, 1});
    step_flops += (each.flops - learner_->optimizer().flops()) / kBatches;
    activations = std::max(activations, each.activation_peak);
    state = each.state_bytes;
  }
  p.peak_bytes = double(activations + state);
  step_flops = step_flops * double(config_.accumulation) + learner_->optimizer().flops();
  // The state is there already.
  refuse_without_memory(double(activations), "activations of a step",
                        config_.recompute ? fmt::format("a new run with --batch-rows {} or a smaller --size",
                                                        std::max(config_.context, config_.batch_rows / 2))
                                          : "--recompute");

  BudgetConfig& b = config_.budget;
  const auto steps_for = [&](double steps) { b.steps = counters_.step + std::max<int64_t>(1, std::llround(steps)); };
  if (b.steps <= 0 && b.tokens <= 0 && b.flops > 0) steps_for((b.flops - counters_.flops) / step_flops);
  double step_seconds = 0;
  if (timed || (b.steps <= 0 && b.tokens <= 0)) {
    // On a copy; where there is no room for one, without the update, which leaves the run as it is too.
    std::unique_ptr<Learner> copy;
    const double available = double(available_memory());
    if (available <= 0 || p.peak_bytes < available) {
      const Precision precision = learner_->model().parameters().precision();
      copy = std::make_unique<Learner>(learner_->model().spec(), precision, config_.optimizer, config_.loss);
      copy->model().recompute = config_.recompute;
      copy->model().parameters().initialise(config_.seed);
    }
    std::vector<double> seconds;
    for (const Batch& batch : batches) {
      Stopwatch watch;
      if (copy) {
        copy->step({&batch, 1}, 0);
      } else {
        learner_->gradients({&batch, 1});
      }
      seconds.push_back(watch.seconds());
      if (watch.seconds() > 5) break;  // long enough to tell
    }
    // The first step warms up.
    step_seconds =
        *std::min_element(seconds.begin() + (seconds.size() > 1), seconds.end()) * double(config_.accumulation);
  }
  if (b.steps <= 0 && b.tokens <= 0 && b.seconds > 0) steps_for(b.seconds / step_seconds);
  if (b.steps > 0) {
    p.steps = b.steps;
    p.tokens = int64_t(double(b.steps) * step_tokens);
  } else {
    p.tokens = b.tokens;
    p.steps = std::max<int64_t>(1, std::llround(double(b.tokens) / step_tokens));
  }
  p.flops = double(p.steps) * step_flops;
  p.seconds = double(p.steps - counters_.step) * step_seconds;
  if (config_.logging_steps <= 0) config_.logging_steps = std::max<int64_t>(1, p.steps / 50);
  if (config_.eval_steps <= 0) config_.eval_steps = std::max<int64_t>(1, p.steps / 10);
  if (config_.save_steps <= 0) config_.save_steps = 2 * config_.eval_steps;  // each with an evaluation
  if (config_.sample_steps == 0) config_.sample_steps = 2 * config_.eval_steps;
  plan_ = p;
  return p;
}

Evaluation Run::evaluate_now(bool all) {
  return evaluate(*learner_, task_->validation_loader(), config_.eval_rows, all);
}

void Run::save(const RunEvents& events) {
  CheckpointWriter writer(folder_, counters_.step);
  const Parameters& parameters = learner_->model().parameters();
  writer.tensors(checkpoint_file::model, tensors_of(parameters));
  writer.tensors(checkpoint_file::optimizer, moments_of(parameters, learner_->optimizer()));
  writer.text(checkpoint_file::config, to_yaml(config_));
  writer.text(model_file::spec, to_yaml(learner_->model().spec()));
  writer.text(model_file::tokenizer, data_.tokenizer.serialize());
  SavedState s;
  static_cast<RunCounters&>(s.run) = counters_;
  s.run.truncated = truncated();
  s.run.precision = precision_name(parameters.precision());
  s.run.instruction_set = kernels::name_of(kernels::active_isa());
  s.run.record = record_->files->sync();
  s.since = since_;
  s.pending = pending_;
  s.loader = loader_->state();
  s.phase = int64_t(phase_);
  s.data_hash = data_.hash;
  s.optimizer_steps = learner_->optimizer().steps();
  writer.state(s);
  const auto path = writer.commit();
  // Until it is evaluated, it is not known to be good.
  if (!pending_) prune_checkpoints(folder_, config_.save_total_limit, counters_.best_step);
  if (events.saved) events.saved(path);
}

void Run::diverged(const std::string& what, int64_t good_step) const {
  std::string kept = "there is no checkpoint from before";
  for (const CheckpointPlace& c : list_checkpoints(folder_)) {
    if (c.step <= good_step) kept = fmt::format("the last good checkpoint is '{}'", c.path.string());
  }
  fail(ExitCode::diverged, "{}; {}", what, kept);
}

std::string Run::begin() {
  if (record_ && record_->files) return "";
  if (record_) {
    const std::string remark = set_aside();
    const auto kept = list_checkpoints(folder_);
    if (std::ranges::find(kept, counters_.best_step, &CheckpointPlace::step) == kept.end()) counters_.best_step = 0;
    record_->files = std::make_unique<RunRecord>(folder_, *record_->position);
    return remark;
  }
  if (folder_.empty()) {
    folder_ = new_folder(fmt::format("runs/{}-{}", data_.name, enum_name(config_.model.family)), "train");
    config_.output_dir = folder_.string();
  }
  auto record = std::make_unique<Record>(folder_);
  refuse_full(folder_);  // now that nobody else can fill it
  record->files = std::make_unique<RunRecord>(folder_);
  write_file(folder_ / "config.yaml", to_yaml(config_), "train");
  record_ = std::move(record);
  return "";
}

std::string Run::set_aside() {
  std::vector<fs::path> later;
  for (const CheckpointPlace& c : list_checkpoints(folder_)) {
    if (c.step > counters_.step) later.push_back(c.path);
  }
  if (later.empty()) return "";
  const fs::path aside = new_folder((folder_ / "set-aside").string(), "resume");
  std::error_code error;
  const std::vector<std::string> record = {"config.yaml", "metrics.jsonl", record_->position->events_file};
  for (const std::string& name : record) {
    if (fs::is_regular_file(folder_ / name)) fs::copy_file(folder_ / name, aside / name, error);
    if (error) fail("resume: cannot copy '{}' to '{}': {}", (folder_ / name).string(), aside.string(), error.message());
  }
  for (const fs::path& path : later) {
    fs::rename(path, aside / path.filename(), error);
    if (error) fail("resume: cannot move '{}' to '{}': {}", path.string(), aside.string(), error.message());
  }
  return fmt::format("goes on from step {}; {} of later steps moved to '{}', which can be resumed, too", counters_.step,
                     later.size() == 1 ? "a checkpoint" : fmt::format("{} checkpoints", later.size()), aside.string());
}

void Run::train(const RunEvents& events) {
  if (finished() && !pending_) {
    result_ = evaluate_now(true);
    if (events.evaluated) events.evaluated(counters_, result_, true);
    return;
  }
  if (plan_.steps == 0) plan(false);
  begin();
  StopSignals signals;
  if (pending_) after_step(events, false);
  std::vector<Batch> batches;
  while (!finished()) {
    while (phase_ < config_.phases.size() && share() >= config_.phases[phase_].begin) enter_phase();
    Stopwatch watch;
    batches.clear();
    for (int64_t i = 0; i < config_.accumulation; ++i) batches.push_back(loader_->next());
    const double rate = factor();
    Tally t;
    try {
      t = learner_->step(batches, rate);
    } catch (const Error& e) {
      if (e.code == ExitCode::diverged) diverged(e.what(), counters_.step);
      throw;
    }
    const double seconds = watch.seconds();
    counters_.step += 1;
    counters_.tokens += t.tokens;
    counters_.targets += int64_t(t.weight);
    counters_.flops += t.flops;
    counters_.seconds += seconds;
    since_.nll += t.nll;
    since_.weight += t.weight;
    since_.tokens += t.tokens;
    since_.seconds += seconds;
    since_.gradient_norm = t.gradient_norm;
    if (events.step) {
      events.step({counters_, plan_, share(), t.mean_nll(), config_.optimizer.learning_rate * rate, t.gradient_norm,
                   double(t.tokens) / std::max(1e-9, seconds)});
    }
    if (counters_.step % config_.logging_steps == 0 || finished()) log(config_.optimizer.learning_rate * rate);
    const bool stop = stop_signal() != 0;
    after_step(events, stop);
    if (stop) return;
  }
}

void Run::after_step(const RunEvents& events, bool stop) {
  const auto due = [&](int64_t every) { return every > 0 && counters_.step % every == 0; };
  const bool last = finished();
  const bool evaluates = due(config_.eval_steps) || last;
  const bool samples =
      events.sample && config_.sample_steps > 0 && ((due(config_.sample_steps) && share() < kLastSamples) || last);
  const bool saves = due(config_.save_steps) || last;
  if (!evaluates && !samples && !saves && !stop) return;
  // Only the next step's loss would show it, and a checkpoint has to be good.
  if (!finite(learner_->model().parameters())) {
    diverged(
        fmt::format("train: the weights are no longer finite after step {}; lower the learning rate", counters_.step),
        counters_.step - 1);
  }
  if (events.pausing) events.pausing();
  pending_ = evaluates || samples;
  // First what a kill would lose: an evaluation of all the text may take long, and who stops a run waits for it.
  if (last || stop) save(events);
  if (last || !stop) {
    if (evaluates) evaluate_and_tell(events, saves, last);
    if (samples) {
      const std::string text = events.sample(learner_->model());
      record_->files->text(counters_.step, "sample", text);
      if (events.sampled) events.sampled(text);
    }
    pending_ = false;
    if (saves) save(events);
  }
  if (events.going_on) events.going_on();
}

void Run::evaluate_and_tell(const RunEvents& events, bool saves, bool last) {
  const Evaluation e = evaluate_now(last);
  const double loss = e.tally.mean_nll();
  if (!std::isfinite(loss)) {
    diverged(fmt::format("train: the held-out loss is {} after step {}; lower the learning rate", loss, counters_.step),
             counters_.step - 1);
  }
  counters_.last_validation = loss;
  if (last) result_ = e;
  const double compared = e.beginning.mean_nll();
  if (saves && (counters_.best_step == 0 || compared < counters_.best_validation)) {
    counters_.best_step = counters_.step;
    counters_.best_validation = compared;
  }
  record_->files->log(counters_.step, {{"eval_loss", loss},
                                       {"eval_unigram_entropy", e.unigram_entropy},
                                       {"eval_accuracy", e.accuracy()},
                                       {"eval_majority", e.majority},
                                       {"val/bpb", e.tally.bits_per_byte()}});
  if (events.evaluated) events.evaluated(counters_, e, last);
}

void Run::log(double learning_rate) {
  record_->files->log(counters_.step, {{"loss", since_.weight > 0 ? since_.nll / since_.weight : 0},
                                       {"learning_rate", learning_rate},
                                       {"grad_norm", since_.gradient_norm},
                                       {"tokens", double(counters_.tokens)},
                                       {"targets", double(counters_.targets)},
                                       {"flops", counters_.flops},
                                       {"train/tok_per_sec", double(since_.tokens) / std::max(1e-9, since_.seconds)}});
  since_ = {};
}

StoredRun read_run(const fs::path& folder_or_checkpoint, const std::vector<Assignment>& assignments) {
  StoredRun run;
  run.checkpoint = resolve_checkpoint(folder_or_checkpoint);
  load_yaml(run.checkpoint / checkpoint_file::config, run.config);
  const TrainConfig stored = run.config;
  assign(run.config, assignments);
  for (const std::string& d : differences(stored, run.config)) {
    const std::string key = d.substr(0, d.find(':'));
    std::error_code none;
    const bool here = key == "output_dir" && fs::equivalent(run.config.output_dir, run_of(run.checkpoint), none);
    if (here || may_change(key)) continue;
    fail(
        ExitCode::usage,
        "train: --resume keeps the run's settings, found a different {} (the run's, and what was asked); leave it out, "
        "or begin a new run",
        d);
  }
  run.config.check();
  const BudgetConfig& b = run.config.budget;
  if (b.empty()) fail(ExitCode::usage, "train: expected a budget of more than 0 for the resumed run, found 0");
  if (differences(stored.budget, b).empty()) return run;
  SavedState s;
  Checkpoint(run.checkpoint, {checkpoint_file::state}).state(s);
  const auto expect_more = [](const char* key, double asked, double done) {
    if (asked > done) return;
    fail(ExitCode::usage, "train: budget.{} is of the whole run, expected more than the {} that it has done, found {}",
         key, done, asked);
  };
  if (b.steps > 0) {
    expect_more("steps", double(b.steps), double(s.run.step));
  } else if (b.tokens > 0) {
    expect_more("tokens", double(b.tokens), double(s.run.tokens));
  } else if (b.flops > 0) {
    expect_more("flops", b.flops, s.run.flops);
  }
  return run;
}

}  // namespace triarch
