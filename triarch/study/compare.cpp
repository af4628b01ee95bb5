#include "triarch/study/compare.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "triarch/base/error.h"
#include "triarch/base/files.h"
#include "triarch/base/human.h"
#include "triarch/evaluate/statistics.h"
#include "triarch/study/compare_data.h"
#include "triarch/study/parts.h"
#include "triarch/study/workers.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

constexpr double kDefaultSeconds = 180;
constexpr double kLongSeconds = 600;
// Of a comparison's tokens, what each of the three runs of an adaptation takes, and all three.
constexpr double kAdaptationShare = 0.125, kAdaptationRuns = 3 * kAdaptationShare;
constexpr int64_t kWorldTokens = 400'000;
constexpr int64_t kWorldWidth = 64, kWorldLayers = 2;  // where nothing else decides
// Of a time budget, what is left for evaluations, reading and the report.
constexpr double kTrainingShare = 0.8;
constexpr int64_t kFewestItems = 20;  // questions of a kind, where the budget is too short for more
// A model learns from about this many tokens per weight before a larger one would have done better (Hoffmann et al.
// 2022 say 20 at the end; small models on small texts are better off somewhat larger).
constexpr double kTokensPerWeight = 8;

constexpr char kServing[] = "serving";  // its name beside the trials'

std::string trial_name(const std::string& what, int64_t seed) { return fmt::format("{}.{}", what, seed); }

struct ServingTable {
  std::vector<ServingCost> contenders;

  template <class V>
  void fields(V& v) {
    v("contenders", contenders, "in their order");
  }
};

// What answering all questions once costs each contender, in tokens learnt from: a row costs a quarter (measured).
std::vector<double> answering_costs(std::span<const Contender> contenders, const CompareData& data) {
  const auto cost = [&](Family family) {
    double rows = 0;
    for (const ChoiceTask& task : data.tasks) rows += double(rows_to_answer(task, data.tokenizer, family));
    return rows / 4;
  };
  const double encoder = cost(Family::encoder), others = cost(Family::causal);
  std::vector<double> out;
  for (const Contender& c : contenders) out.push_back(c.family == Family::encoder ? encoder : others);
  return out;
}

double head_tokens(std::span<const HeadTask> heads) {
  double sum = 0;
  for (const HeadTask& t : heads) sum += double(t.tokens);
  return sum;
}

// Larger models first.
struct Shape {
  int64_t width, layers;
};
constexpr Shape kShapes[] = {{512, 8}, {256, 6}, {192, 4}, {128, 4}, {128, 2}, {64, 2}};

}  // namespace

CompareConfig::CompareConfig() {
  // Measured on the built-in world (docs/log.md): Muon makes copying form within the budget, AdamW does not.
  optimizer.kind = OptimizerKind::muon;
  optimizer.muon_learning_rate = 0.01;
  optimizer.learning_rate = 5e-3;
  optimizer.beta1 = 0.9;
  optimizer.beta2 = 0.98;
  optimizer.eps = 1e-9;
  optimizer.weight_decay = 0.01;
  schedule.kind = ScheduleKind::linear;
}

void set_budget(CompareConfig& config, const std::string& budget) {
  std::string text;
  for (char c : budget) {
    if (c != ' ') text += c;
  }
  size_t used = 0;
  double number = 0;
  try {
    number = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const std::string unit = text.substr(used);
  static const std::map<std::string, double> tokens = {
      {"tokens", 1}, {"ktokens", 1e3}, {"Mtokens", 1e6}, {"mtokens", 1e6}, {"Gtokens", 1e9}};
  if (const std::optional<double> seconds = parse_duration(text); seconds && *seconds > 0) {
    config.seconds = *seconds;
    config.tokens = 0;
    return;
  }
  if (used > 0 && number > 0 && std::isfinite(number)) {
    if (const auto t = tokens.find(unit); t != tokens.end()) {
      config.tokens = std::llround(number * t->second);
      config.seconds = 0;
      return;
    }
  }
  fail(ExitCode::usage,
       "budget: expected a time for the whole comparison (90s, 3m, 1h) or tokens for each run (500k tokens, 2M "
       "tokens), found '{}'",
       budget);
}

Comparison::Comparison(CompareConfig config, CompareData data) : config_(std::move(config)), data_(std::move(data)) {}

TrialInputs Comparison::inputs() const {
  TrialInputs in;
  in.tokenizer = &data_.tokenizer;
  in.vocabulary = &data_.vocabulary;
  for (size_t i = 0; i < data_.stages.size(); ++i) in.stages.push_back({&data_.stages[i], data_.stage_tokens[i]});
  in.validation = &data_.validation;
  in.suffixes = &data_.suffixes;
  in.tasks = data_.tasks;
  if (data_.instruction_tokens > 0) in.instructions = &data_.instructions;
  in.instruction_tokens = data_.instruction_tokens;
  in.finetune_rate = config_.finetune_rate;
  in.ranking = config_.ranking;
  in.heads = data_.heads;
  in.translations = data_.references.size();
  in.preset = config_.preset;
  in.width = config_.width;
  in.layers = config_.layers;
  in.context = config_.context;
  if (data_.pairs) {
    for (const TokenizedCorpus& t : data_.stages) {
      for (int64_t d = 0; d < t.documents(); ++d) {
        in.context = std::max(in.context, t.begins[size_t(d + 1)] - t.begins[size_t(d)] +
                                              t.target_begins[size_t(d + 1)] - t.target_begins[size_t(d)]);
      }
    }
  }
  in.step_tokens = config_.step_tokens;
  // Looking should cost less than learning.
  in.validation_tokens = std::clamp<int64_t>(config_.tokens / 32, 1024, 8192);
  in.cut = !data_.pairs;
  in.precision = triarch::resolve(config_.precision);
  in.optimizer = config_.optimizer;
  in.schedule = config_.schedule;
  return in;
}

TrialInputs Comparison::adaptation_inputs() const {
  TrialInputs in = inputs();
  for (Curriculum::Stage& s : in.stages) s.tokens = std::llround(kAdaptationShare * double(s.tokens));
  in.schedule.kind = ScheduleKind::constant;
  in.points = 32;
  return in;
}

void Comparison::plan(int jobs, bool timed) {
  TrialInputs in = inputs();
  costs_.assign(config_.contenders.size(), {});
  // A longer budget deserves a steadier figure: what else the machine does for a moment should not decide the tokens.
  const double seconds_to_time = timed ? std::clamp(config_.seconds / 300, 0.4, 3.0) : 0;
  each_on_a_thread(std::min<int>(jobs, int(costs_.size())), int64_t(costs_.size()), [&](int64_t i) {
    costs_[size_t(i)] = trial_cost(config_.contenders[size_t(i)], in, seconds_to_time);
  });
}

void Comparison::match(int jobs, bool timed) {
  CompareConfig& k = config_;
  for (Contender& c : k.contenders) c.token_share = 1, c.width = 0;
  fill_stages(k, data_);
  if (k.match == Match::parameters) {
    match_parameters(k.contenders, k.preset, k.width, k.layers, data_.vocabulary.size, inputs().context);
  }
  plan(jobs, timed || k.match == Match::time);
  if (k.match == Match::flops || k.match == Match::time) {
    share_tokens(k.match, k.contenders, costs_);
    fill_stages(k, data_);
  }
}

std::unique_ptr<Comparison> Comparison::create(CompareConfig config, fs::path folder, int jobs, bool dry,
                                               const std::function<bool(double)>& sweeping) {
  // What a short comparison has no time for.
  const bool long_enough = config.seconds >= kLongSeconds;
  if (config.shots < 0) config.shots = long_enough ? 2 : 0;
  if (!config.serving) config.serving = long_enough;
  if (!config.heads) config.heads = long_enough || !config.classify.empty() || !config.tag.empty();
  CompareData data = read_compare_data(config, nullptr);
  if (!config.adapt) config.adapt = long_enough && !data.pairs;
  if (*config.adapt && data.pairs) {
    fail(ExitCode::usage, "compare: expected a text to adapt families on, found pairs; leave out --adapt");
  }
  if (*config.adapt && config.adaptations.empty()) config.adaptations = default_adaptations();
  config.hash = data.hash;
  // All who share it compute alike, whatever processor they have.
  if (config.precision == PrecisionChoice::automatic) {
    const bool narrow = resolve(config.precision).operand == DType::bf16;
    config.precision = narrow ? PrecisionChoice::bfloat16 : PrecisionChoice::float32;
  }
  std::unique_ptr<Comparison> c(new Comparison(std::move(config), std::move(data)));
  CompareConfig& k = c->config_;
  if (k.seeds <= 0) k.seeds = 3;
  if (k.tokens <= 0 && k.seconds <= 0) {
    if (c->data_.world) {
      k.tokens = kWorldTokens;
    } else {
      k.seconds = kDefaultSeconds;
    }
  }
  if (k.tokens > 0) {
    k.width = k.width > 0 ? k.width : kWorldWidth;
    k.layers = k.layers > 0 ? k.layers : kWorldLayers;
    c->match(jobs, false);
  } else {
    // The largest shape whose models see enough tokens in the time; in the world, more tokens before a larger shape.
    const int64_t width = k.width > 0 || !c->data_.world ? k.width : kWorldWidth;
    const int64_t layers = k.layers > 0 || !c->data_.world ? k.layers : kWorldLayers;
    std::vector<double> answering = answering_costs(k.contenders, c->data_);
    for (const Shape& shape : kShapes) {
      k.width = width > 0 ? width : shape.width;
      k.layers = layers > 0 ? layers : shape.layers;
      k.tokens = 64 * k.step_tokens;
      const bool last = &shape == std::end(kShapes) - 1 || (width > 0 && layers > 0);
      // Counting is cheap: a shape that could not be fast enough on any machine of today is not timed.
      c->match(jobs, false);
      double flops = 0, smallest = 1e300;
      for (const TrialCost& cost : c->costs_) {
        flops += cost.flops_per_token;
        smallest = std::min(smallest, double(cost.parameters));
      }
      const double most = k.seconds * jobs * 4e11 / (flops * double(k.seeds));
      if (!last && most < kTokensPerWeight * smallest) continue;
      c->match(jobs, true);
      double seconds = 0;  // of a token in every contender
      for (size_t i = 0; i < c->costs_.size(); ++i) {
        seconds += c->costs_[i].seconds_per_token * k.contenders[i].token_share;
      }
      const auto asking_all = [&] {  // in such tokens, of all questions
        double sum = 0;
        for (size_t i = 0; i < c->costs_.size(); ++i) sum += c->costs_[i].seconds_per_token * answering[i];
        return sum / seconds;
      };
      double asking = asking_all();
      const double runs = double(k.seeds) + (k.sweep ? double(std::size(kSweptRates)) : 0);
      const double share = k.seconds * kTrainingShare * jobs / runs;
      // Questions are answered after each stage, and finetuning is learning, too.
      const bool finetuned = c->data_.instruction_tokens > 0;
      const int times = finetuned ? 2 : 1;
      const double asked = times * asking, affordable = share / seconds / 2;
      if (last && asked > affordable && k.asked_items == 0) {
        size_t items = 0;
        for (const ChoiceTask& t : c->data_.tasks) items = std::max(items, t.choices.size());
        k.asked_items = std::max<int64_t>(kFewestItems, std::llround(double(items) * affordable / asked));
        ask_fewer(k, c->data_);
        answering = answering_costs(k.contenders, c->data_);
        asking = asking_all();
      }
      double tokens = double(k.tokens);
      for (int round = 0; round < 3; ++round) {  // what heads learn from depends on the tokens, which depend on it
        k.tokens = std::max(64 * k.step_tokens, int64_t(tokens));
        fill_lengths(k, c->data_);
        const double learnt =
            1 + (double(finetuned ? c->data_.instruction_tokens : 0) + head_tokens(c->data_.heads)) / double(k.tokens) +
            kAdaptationRuns * double(k.adaptations.size()) / double(k.contenders.size());
        tokens = (share / seconds - times * asking) / learnt;
      }
      if (!last && tokens < kTokensPerWeight * smallest) continue;
      // To whole steps, and to two digits: the number is kept, and people read it.
      const double digits = std::pow(10, std::floor(std::log10(std::max(tokens, 100.0))) - 1);
      k.tokens = std::max<int64_t>(k.step_tokens * 16, int64_t(std::floor(tokens / digits) * digits));
      break;
    }
    fill_stages(k, c->data_);
  }
  for (Contender& contender : k.contenders) {
    if (contender.rate <= 0) contender.rate = swept_rate(contender, contender.width > 0 ? contender.width : k.width);
  }
  for (const Job& job : c->all_jobs()) c->trials_.push_back(job.name);
  if (dry) return c;
  if (!folder.empty() && fs::exists(folder) && !fs::is_empty(folder)) {
    fail(ExitCode::usage, "compare: the folder '{}' is not empty; go on with --resume {}, or name another",
         folder.string(), folder.string());
  }
  if (k.sweep && k.swept.empty()) {
    k.swept = triarch::sweep(k.contenders, c->inputs(), jobs, sweeping);
    if (k.swept.empty()) return nullptr;
  }
  for (AdaptationPlan& a : k.adaptations) {
    for (Contender* x : {&a.from, &a.to}) {
      const auto swept = std::ranges::find(k.contenders, x->name, &Contender::name);
      if (x->rate <= 0) x->rate = swept != k.contenders.end() ? swept->rate : swept_rate(*x, k.width);
    }
  }
  if (folder.empty()) {
    folder = new_folder("runs/compare-" + c->data_.name, "compare");
  } else {
    make_folders(folder, "compare");
  }
  c->folder_ = folder;
  c->data_.tokenizer.save(folder / "tokenizer.bin");
  WorkQueue::create(folder, c->trials_);
  // Last: who finds it finds all else.
  write_file(folder / "config.yaml", to_yaml(k), "compare");
  return c;
}

std::unique_ptr<Comparison> Comparison::open(const fs::path& folder) {
  CompareConfig config;
  if (!fs::exists(folder / "config.yaml") || !fs::exists(folder / "queue") || !fs::exists(folder / "tokenizer.bin")) {
    fail(ExitCode::usage, "compare: expected the folder of a comparison, found {} in '{}'",
         fs::exists(folder / "metrics.jsonl") ? "a training run (see triarch inspect)" : "none", folder.string());
  }
  load_yaml(folder / "config.yaml", config);
  const Tokenizer tokenizer = Tokenizer::load(folder / "tokenizer.bin");
  CompareData data = read_compare_data(config, &tokenizer);
  require(
      data.hash == config.hash,
      "compare: the texts, questions or labels are not those that '{}' was begun with, or an earlier version began it; "
      "begin a new comparison",
      folder.string());
  std::unique_ptr<Comparison> c(new Comparison(std::move(config), std::move(data)));
  fill_stages(c->config_, c->data_);
  c->folder_ = folder;
  c->plan(1, false);
  for (const Job& job : c->all_jobs()) c->trials_.push_back(job.name);
  return c;
}

bool Comparison::measure_serving() {
  // By one of the processes that share the comparison, when nothing else runs.
  const Part all[] = {{kServing, 1, 0}};
  return work_on_parts(folder_, all, 1,
                       [&](size_t, const PartProgress& going) -> std::optional<std::string> {
                         ServingTable table;
                         for (const Contender& c : config_.contenders) {
                           if (!going(double(table.contenders.size()) / double(config_.contenders.size()), 0))
                             return std::nullopt;
                           const TrialInputs in = inputs();
                           Model model(model_of(c, in.preset, in.width, in.layers, in.vocabulary->size, in.context),
                                       in.precision, false);
                           model.parameters().initialise(1);
                           table.contenders.push_back(serving_cost(model, data_.tokenizer));
                         }
                         return to_json(table);
                       },
                       {});
}

std::vector<ServingCost> Comparison::serving() const {
  ServingTable table;
  if (const auto text = WorkQueue(folder_).result(kServing)) parse_json(*text, kServing, table);
  return table.contenders;
}

template <class Result>
std::vector<std::optional<Result>> Comparison::results_of(const std::string& name) const {
  const WorkQueue queue(folder_);
  std::vector<std::optional<Result>> out;
  for (int64_t seed = 1; seed <= config_.seeds; ++seed) {
    const std::string trial = trial_name(name, seed);
    out.emplace_back();
    if (const auto text = queue.result(trial)) parse_json(*text, trial + ".json", out.back().emplace());
  }
  return out;
}

std::vector<std::optional<TrialResult>> Comparison::results(const Contender& contender) const {
  return results_of<TrialResult>(contender.name);
}

std::vector<std::optional<Adaptation>> Comparison::results(const AdaptationPlan& plan) const {
  return results_of<Adaptation>(plan.name());
}

std::vector<Comparison::Job> Comparison::all_jobs() const {
  std::vector<Job> jobs;
  const CompareConfig& k = config_;
  double mean = 0;
  for (const TrialCost& c : costs_) mean += c.flops_per_token / double(costs_.size());
  for (int64_t seed = 1; seed <= k.seeds; ++seed) {
    for (size_t i = 0; i < k.contenders.size(); ++i) {
      const Contender& c = k.contenders[i];
      const double tokens = c.token_share * double(k.tokens + data_.instruction_tokens) + head_tokens(data_.heads);
      jobs.push_back(
          {trial_name(c.name, seed), &c, nullptr, uint64_t(seed), costs_[i].flops_per_token * tokens, int64_t(tokens)});
    }
  }
  for (int64_t seed = 1; seed <= k.seeds; ++seed) {
    for (const AdaptationPlan& a : k.adaptations) {
      const double tokens = kAdaptationRuns * double(k.tokens);
      jobs.push_back({trial_name(a.name(), seed), nullptr, &a, uint64_t(seed), mean * tokens, int64_t(tokens)});
    }
  }
  return jobs;
}

bool Comparison::work(int jobs, const CompareEvents& events) {
  const TrialInputs in = inputs();
  const TrialInputs adapting = adaptation_inputs();
  const std::vector<Job> all = all_jobs();
  std::vector<Part> parts;
  for (const Job& job : all) parts.push_back({job.name, job.flops, job.tokens});

  std::map<const Contender*, std::vector<double>> suffix;  // of finished trials
  double suffix_tokens = 0;
  for (double t : data_.suffixes.tokens) suffix_tokens += t;
  PartEvents told;
  told.finished = [&](size_t i, const std::string& result) {
    const Job& job = all[i];
    const auto note = [&](const std::string& title, const std::string& failure) {
      if (!failure.empty() && events.note) events.note(fmt::format("{}, seed {}: {}", title, job.seed, failure));
    };
    if (!job.contender) {
      Adaptation a;
      parse_json(result, job.name + ".json", a);
      return note(fmt::format("{} to {}", job.adaptation->from.title(), job.adaptation->to.title()), a.failure);
    }
    TrialResult r;
    parse_json(result, job.name + ".json", r);
    note(job.contender->title(), r.failure);
    if (!r.suffix_losses.empty()) {
      suffix[job.contender].push_back(std::accumulate(r.suffix_losses.begin(), r.suffix_losses.end(), 0.0) /
                                      suffix_tokens);
    }
  };
  told.progress = [&](const PartsState& state) {
    if (!events.progress) return;
    CompareEvents::State s{state.done, state.parts, state.share, state.tokens, {}, {}, state.finished_one};
    for (const size_t i : state.running) {
      const Job& job = all[i];
      const std::string title = job.contender ? title_of(job.contender->family)
                                              : fmt::format("{} to {}", title_of(job.adaptation->from.family),
                                                            title_of(job.adaptation->to.family));
      s.running += fmt::format("{}{} {}", s.running.empty() ? "" : ", ", title, job.seed);
    }
    double best = 1e300;
    for (const auto& [contender, losses] : suffix) {
      if (mean(losses) >= best) continue;
      best = mean(losses);
      s.best = fmt::format("{} {:.3f}", title_of(contender->family), best);
    }
    events.progress(s);
  };
  const auto trial = [&](size_t i, const PartProgress& going) -> std::optional<std::string> {
    const Job& job = all[i];
    const TrialEvents told_by_trial{going};
    if (job.contender) {
      const auto r = run_trial(*job.contender, job.seed, in, told_by_trial);
      return r ? std::optional(to_json(*r)) : std::nullopt;
    }
    const auto r = run_adaptation(*job.adaptation, job.seed, adapting, told_by_trial);
    return r ? std::optional(to_json(*r)) : std::nullopt;
  };
  return work_on_parts(folder_, parts, jobs, trial, told);
}

}  // namespace triarch
