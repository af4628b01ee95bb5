// The loop of a run: steps, logs, evaluations, checkpoints, and how it goes on from one.
#include <algorithm>
#include <cmath>

#include "triarch/autograd/context.h"
#include "triarch/base/clock.h"
#include "triarch/base/error.h"
#include "triarch/base/files.h"
#include "triarch/base/human.h"
#include "triarch/base/memory.h"
#include "triarch/base/signals.h"
#include "triarch/checkpoint/checkpoint.h"
#include "triarch/checkpoint/weights.h"
#include "triarch/kernels/isa.h"
#include "triarch/kernels/update.h"
#include "triarch/train/record.h"
#include "triarch/train/run.h"

namespace triarch {
namespace {

constexpr double kLastSamples = 0.95;  // after that share of a run the sample at its end says as much

// state.json of a training run.
struct SavedState {
  RunState run;
  RunCounters counters;
  LoaderState loader;
  int64_t phase = 0;
  uint64_t data_hash = 0;
  int64_t optimizer_steps = 0;

  template <class V>
  void fields(V& v) {
    v.group("run", run, "where the run was");
    v.group("counters", counters, "what it has done");
    v.group("loader", loader, "its place in the data");
    v("phase", phase, "phases entered");
    v("data_hash", data_hash, "of the texts");
    v("optimizer_steps", optimizer_steps, "updates made");
  }
};

std::filesystem::path fresh_folder(const TrainConfig& config, const RunData& data) {
  if (!config.output_dir.empty()) return config.output_dir;
  for (int i = 1;; ++i) {
    const auto path =
        std::filesystem::path("runs") / fmt::format("{}-{}-{:04}", data.name, enum_name(config.model.family), i);
    if (!std::filesystem::exists(path)) return path;
  }
}

std::string precision_name(Precision p) { return name_of(p.operand); }

// The part of a flat buffer that belongs to a parameter.
Tensor part(const Tensor& flat, const Parameter& p) {
  return Tensor(static_cast<char*>(flat.raw()) + p.offset * size_of(flat.dtype()), flat.dtype(), p.rows, p.cols);
}

// Moments as "first.<parameter>" and "second.<parameter>".
std::vector<NamedTensor> moments_of(const Parameters& parameters, const Optimizer& optimizer) {
  std::vector<NamedTensor> out;
  for (const Parameter& p : parameters.all()) {
    out.emplace_back("first." + p.name, part(optimizer.first(), p), is_vector(p));
    out.emplace_back("second." + p.name, part(optimizer.second(), p), is_vector(p));
  }
  return out;
}

void load_moments(const SafetensorsFile& file, Parameters& parameters, Optimizer& optimizer) {
  for (Parameter& p : parameters.all()) {
    load_tensor(file, "first." + p.name, p, part(optimizer.first(), p));
    load_tensor(file, "second." + p.name, p, part(optimizer.second(), p));
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

struct Run::Record {
  Record(const std::filesystem::path& folder) : lock(folder, "train") {}
  FolderLock lock;
  std::unique_ptr<RunRecord> files;
};

Run::Run(TrainConfig config, RunData data) : config_(std::move(config)), data_(std::move(data)) {
  resolve(config_, data_);
  folder_ = fresh_folder(config_, data_);
  if (newest_checkpoint(folder_)) {
    fail(ExitCode::usage,
         "train: the folder '{}' holds a run already; resume it with --resume {} or choose another --output-dir",
         folder_.string(), folder_.string());
  }
  config_.output_dir = folder_.string();
  learner_ =
      std::make_unique<Learner>(config_.model, triarch::resolve(config_.precision), config_.optimizer, config_.loss);
  learner_->model().recompute = config_.recompute;
  Parameters& parameters = learner_->model().parameters();
  parameters.initialise(config_.seed);
  if (!config_.init_from.empty()) {
    const SafetensorsFile file(find_model(config_.init_from) / model_file::weights, "finetune");
    load_known_parameters(file, parameters);
  }
  task_ = std::make_unique<Task>(config_, config_.objectives, data_);
  loader_ = std::make_unique<Loader>(task_->train_loader());
}

Run::Run(const std::filesystem::path& checkpoint_path, TrainConfig config, RunData data)
    : config_(std::move(config)), data_(std::move(data)) {
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
  folder_ = checkpoint.path().parent_path();
  config_.output_dir = folder_.string();
  learner_ =
      std::make_unique<Learner>(config_.model, triarch::resolve(config_.precision), config_.optimizer, config_.loss);
  learner_->model().recompute = config_.recompute;
  load_parameters(checkpoint.tensors(checkpoint_file::model), learner_->model().parameters());
  load_moments(checkpoint.tensors(checkpoint_file::optimizer), learner_->model().parameters(), learner_->optimizer());
  learner_->optimizer().set_steps(saved.optimizer_steps);
  counters_ = saved.counters;
  task_ = std::make_unique<Task>(config_, config_.objectives, data_);
  while (phase_ < size_t(saved.phase)) enter_phase();
  loader_ = std::make_unique<Loader>(task_->train_loader());
  loader_->restore(saved.loader);
  record_ = std::make_unique<Record>(folder_);
  record_->files = std::make_unique<RunRecord>(
      folder_, RecordPosition{saved.run.metrics_bytes, saved.run.events_file, saved.run.events_bytes});
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
  if (!p.objectives.empty()) task_ = std::make_unique<Task>(config_, p.objectives, data_);
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
  for (const Batch& b : batches) {
    const Learner::Plan each = learner_->plan({&b, 1});
    step_flops += (each.flops - learner_->optimizer().flops()) / kBatches;
    p.peak_bytes = std::max(p.peak_bytes, double(each.activation_peak + each.state_bytes));
  }
  step_flops = step_flops * double(config_.accumulation) + learner_->optimizer().flops();

  BudgetConfig& b = config_.budget;
  if (b.steps <= 0 && b.tokens <= 0 && b.flops > 0) b.steps = std::max<int64_t>(1, std::llround(b.flops / step_flops));
  double step_seconds = 0;
  if (timed || (b.steps <= 0 && b.tokens <= 0)) {
    const double available = double(available_memory());  // 0: the system does not tell
    if (available > 0 && p.peak_bytes > available) {
      fail(ExitCode::out_of_memory, "train: the run needs {} and {} is free; take --batch-rows {} or a smaller --size",
           human_bytes(p.peak_bytes), human_bytes(available), std::max(config_.context, config_.batch_rows / 2));
    }
    Learner scratch(config_.model, triarch::resolve(config_.precision), config_.optimizer, config_.loss);
    scratch.model().recompute = config_.recompute;
    scratch.model().parameters().initialise(config_.seed);
    std::vector<double> seconds;
    for (const Batch& batch : batches) {
      Stopwatch watch;
      scratch.step({&batch, 1}, 0);
      seconds.push_back(watch.seconds());
      if (watch.seconds() > 5) break;  // long enough to tell
    }
    // The first step warms up.
    step_seconds =
        *std::min_element(seconds.begin() + (seconds.size() > 1), seconds.end()) * double(config_.accumulation);
  }
  if (b.steps <= 0 && b.tokens <= 0 && b.seconds > 0) {
    b.steps = std::max<int64_t>(1, std::llround(b.seconds / step_seconds));
  }
  if (b.steps > 0) {
    p.steps = b.steps;
    p.tokens = int64_t(double(b.steps) * step_tokens);
  } else {
    p.tokens = b.tokens;
    p.steps = std::max<int64_t>(1, std::llround(double(b.tokens) / step_tokens));
  }
  p.flops = double(p.steps) * step_flops;
  p.seconds = double(p.steps) * step_seconds;
  if (config_.logging_steps <= 0) config_.logging_steps = std::max<int64_t>(1, p.steps / 50);
  if (config_.eval_steps <= 0) config_.eval_steps = std::max<int64_t>(1, p.steps / 10);
  if (config_.save_steps <= 0) config_.save_steps = std::max<int64_t>(1, p.steps / 5);
  if (config_.sample_steps == 0) config_.sample_steps = 2 * config_.eval_steps;
  plan_ = p;
  return p;
}

Evaluation Run::evaluate_now(bool all) {
  return evaluate(*learner_, task_->validation_loader(), all ? 0 : config_.eval_rows);
}

void Run::save(const RunEvents& events) {
  CheckpointWriter writer(folder_, counters_.step);
  const Parameters& parameters = learner_->model().parameters();
  writer.tensors(checkpoint_file::model, tensors_of(parameters));
  writer.tensors(checkpoint_file::optimizer, moments_of(parameters, learner_->optimizer()));
  writer.text(checkpoint_file::config, to_yaml(config_));
  writer.text(model_file::spec, to_yaml(learner_->model().spec()));
  writer.text(model_file::tokenizer, data_.tokenizer.serialize());
  const RecordPosition at = record_->files->sync();
  SavedState s;
  s.run.step = counters_.step;
  s.run.tokens = counters_.tokens;
  s.run.flops = counters_.flops;
  s.run.seconds = counters_.seconds;
  s.run.seed = config_.seed;
  s.run.precision = precision_name(parameters.precision());
  s.run.instruction_set = kernels::name_of(kernels::active_isa());
  s.run.metrics_bytes = at.metrics_bytes;
  s.run.events_file = at.events_file;
  s.run.events_bytes = at.events_bytes;
  s.counters = counters_;
  s.loader = loader_->state();
  s.phase = int64_t(phase_);
  s.data_hash = data_.hash;
  s.optimizer_steps = learner_->optimizer().steps();
  writer.state(s);
  const auto path = writer.commit();
  prune_checkpoints(folder_, config_.save_total_limit);
  if (events.saved) events.saved(path);
}

void Run::diverged(const std::string& what) const {
  const auto kept = newest_checkpoint(folder_);
  fail(ExitCode::diverged, "{}; {}", what,
       kept ? fmt::format("the last good checkpoint is '{}'", kept->path.string())
            : "there is no checkpoint from before");
}

void Run::train(const RunEvents& events) {
  if (finished()) {
    result_ = evaluate_now(true);
    if (events.evaluated) events.evaluated(counters_, result_, true);
    return;
  }
  if (plan_.steps == 0) plan(false);
  if (!record_) {
    record_ = std::make_unique<Record>(folder_);
    record_->files = std::make_unique<RunRecord>(folder_);
    write_file(folder_ / "config.yaml", to_yaml(config_), "train");
  }
  StopSignals signals;
  std::vector<Batch> batches;
  Tally since;
  double since_seconds = 0;
  const auto due = [&](int64_t every) { return every > 0 && counters_.step % every == 0; };
  while (share() < 1) {
    while (phase_ < config_.phases.size() && share() >= config_.phases[phase_].begin) {
      const LoaderState place = loader_->state();
      enter_phase();
      loader_ = std::make_unique<Loader>(task_->train_loader());
      // The next phase reads on where the last one stopped; what waited for room is read again.
      LoaderState next;
      next.epoch = place.epoch + 1;
      loader_->restore(next);
    }
    Stopwatch watch;
    batches.clear();
    for (int64_t i = 0; i < config_.accumulation; ++i) batches.push_back(loader_->next());
    const double rate = factor();
    Tally t;
    try {
      t = learner_->step(batches, rate);
    } catch (const Error& e) {
      if (e.code == ExitCode::diverged) diverged(e.what());
      throw;
    }
    const double seconds = watch.seconds();
    counters_.step += 1;
    counters_.tokens += t.tokens;
    counters_.targets += int64_t(t.weight);
    counters_.flops += t.flops;
    counters_.seconds += seconds;
    since.add(t);
    since.gradient_norm = t.gradient_norm;
    since_seconds += seconds;
    const bool last = share() >= 1;
    if (events.step) {
      events.step({counters_, plan_, share(), t.mean_nll(), config_.optimizer.learning_rate * rate, t.gradient_norm,
                   double(t.tokens) / std::max(1e-9, seconds)});
    }
    if (due(config_.logging_steps) || last) {
      log(since, since_seconds, config_.optimizer.learning_rate * rate);
      since = {};
      since_seconds = 0;
    }
    const bool stop = stop_signal() != 0;
    const bool evaluates = due(config_.eval_steps) || last;
    const bool samples =
        events.sample && config_.sample_steps > 0 && ((due(config_.sample_steps) && share() < kLastSamples) || last);
    const bool saves = due(config_.save_steps) || last || stop;
    if (!evaluates && !samples && !saves) continue;
    // Only the next step's loss would show it, and a checkpoint has to be good.
    if (!finite(learner_->model().parameters())) {
      diverged(fmt::format("train: the weights are no longer finite after step {}; lower the learning rate",
                           counters_.step));
    }
    if (events.pausing) events.pausing();
    if (evaluates) {
      const Evaluation e = evaluate_now(last);
      counters_.last_validation = e.tally.mean_nll();
      if (last) result_ = e;
      record_->files->log(counters_.step, {{"eval_loss", e.tally.mean_nll()},
                                           {"eval_unigram_entropy", e.unigram_entropy},
                                           {"eval_accuracy", e.accuracy()},
                                           {"eval_majority", e.majority},
                                           {"val/bpb", e.tally.bits_per_byte()}});
      if (events.evaluated) events.evaluated(counters_, e, last);
    }
    if (samples) {
      const std::string text = events.sample(learner_->model(), counters_);
      record_->files->text(counters_.step, "sample", text);
      if (events.sampled) events.sampled(text);
    }
    if (saves) save(events);
    if (events.going_on) events.going_on();
    if (stop && !last) return;
  }
}

void Run::log(const Tally& since, double seconds, double learning_rate) {
  record_->files->log(counters_.step, {{"loss", since.mean_nll()},
                                       {"learning_rate", learning_rate},
                                       {"grad_norm", since.gradient_norm},
                                       {"tokens", double(counters_.tokens)},
                                       {"targets", double(counters_.targets)},
                                       {"flops", counters_.flops},
                                       {"train/tok_per_sec", double(since.tokens) / std::max(1e-9, seconds)}});
}

StoredRun read_run(const std::filesystem::path& folder_or_checkpoint) {
  StoredRun run;
  run.checkpoint = resolve_checkpoint(folder_or_checkpoint);
  const auto path = run.checkpoint / checkpoint_file::config;
  load_yaml(path, run.config);
  return run;
}

}  // namespace triarch
