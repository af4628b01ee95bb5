// triarch train: from a text to a model.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "apps/cli/command.h"
#include "apps/cli/loaded.h"
#include "apps/cli/sample.h"
#include "triarch/base/human.h"
#include "triarch/base/signals.h"
#include "triarch/checkpoint/weights.h"
#include "triarch/inference/load.h"
#include "triarch/train/progress.h"
#include "triarch/train/run.h"

namespace triarch::cli {
namespace {

struct TrainFlags {
  std::vector<std::string> inputs, files;
  FieldFlags flags;
  std::string init_from, resume;
  bool dry_run = false, dump_config = false, json = false;
};

// Before the plan, whose timing takes a minute where the model is large.
void print_run(Run& run) {
  const TrainConfig& c = run.config();
  const ModelSpec& m = c.model;
  const RunData& d = run.data();
  say("data", fmt::format("{}: {}, {}", d.name, human_bytes(double(d.bytes)), d.split.text()));
  say("tokens", fmt::format("{}; {} to train on", d.tokenizer.description(), human_count(double(d.train.tokens()))));
  std::string layers;
  if (m.has_encoder()) layers += fmt::format("{} encoder ", m.encoder.layers);
  if (m.has_decoder())
    layers += fmt::format(
        "{}{} ", m.has_encoder() ? "+ " : "",
        m.has_encoder() ? fmt::format("{} decoder", m.decoder.layers) : fmt::format("{}", m.decoder.layers));
  say("model", fmt::format("{} ({}), {}layers, width {}, {} heads, {} parameters", enum_name(m.family), m.preset,
                           layers, m.width, m.heads, human_count(double(run.learner().model().parameters().count()))));
  std::string objectives;
  for (const ObjectiveSpec& o : c.objectives)
    objectives += (objectives.empty() ? "" : " + ") + std::string(enum_name(o.kind));
  const std::string rates = c.optimizer.kind == OptimizerKind::muon
                                ? fmt::format("learning rates {:g} of matrices and {:g} of the rest",
                                              c.optimizer.muon_learning_rate, c.optimizer.learning_rate)
                                : fmt::format("learning rate {:g}", c.optimizer.learning_rate);
  say("learns", fmt::format("{}, {} {}, {}, {}", objectives, enum_name(c.optimizer.kind), enum_name(c.schedule.kind),
                            rates, name_of(triarch::resolve(c.precision).operand)));
  if (!d.skipped.empty()) {
    const std::vector<std::string> shown(d.skipped.begin(),
                                         d.skipped.begin() + std::min<ptrdiff_t>(3, std::ssize(d.skipped)));
    say("skipped", fmt::format("{} of other kinds, or hidden, in the given folders: {}{}",
                               d.skipped.size() == 1 ? "a file" : fmt::format("{} files", d.skipped.size()),
                               fmt::join(shown, ", "), shown.size() < d.skipped.size() ? " ..." : ""));
  }
}

void print_plan(const RunPlan& p) {
  say("plan",
      fmt::format("{} steps, {} tokens, {}FLOP, {}peak memory {}", p.steps, human_count(double(p.tokens)),
                  human_count(p.flops), p.seconds > 0 ? fmt::format("about {}, ", human_duration(p.seconds)) : "",
                  human_bytes(p.peak_bytes)));
}

// What pairs are read as.
ObjectiveKind first_kind(const TrainConfig& c) {
  return c.objectives.empty() ? ObjectiveKind::next_token : c.objectives.front().kind;
}

ExitCode train(const TrainFlags& o) {
  std::unique_ptr<Run> run;
  if (!o.resume.empty()) {
    for (const auto* given : {&o.inputs, &o.files}) {
      if (given->empty()) continue;
      fail(ExitCode::usage, "train: --resume goes on with the run's own texts and settings; leave out '{}'",
           given->front());
    }
    if (!o.init_from.empty()) {
      fail(ExitCode::usage, "train: --resume goes on with the run's own model; leave out '{}'", o.init_from);
    }
    const StoredRun stored = read_run(o.resume, o.flags.assignments());
    const Tokenizer tokenizer = Tokenizer::load(stored.checkpoint / model_file::tokenizer);
    RunData data = prepare_data(stored.config.data, stored.config.seed, first_kind(stored.config), &tokenizer,
                                stored.config.model.labels);
    run = std::make_unique<Run>(stored.checkpoint, stored.config, std::move(data));
    say("resumes", fmt::format("{} at step {}", run->folder().string(), run->counters().step));
    if (!run->remark().empty()) say("remark", run->remark());
    if (run->finished()) {
      const BudgetConfig& b = run->config().budget;
      say("remark", fmt::format("the run is finished; it goes on with {} above {}",
                                b.steps > 0 ? "--steps" : "--max-tokens", b.steps > 0 ? b.steps : b.tokens));
    }
  } else {
    std::vector<Assignment> assignments = o.flags.assignments();
    if (!o.init_from.empty()) assignments.push_back({"init_from", o.init_from, "MODEL"});
    TrainConfig config = configure(o.files, assignments);
    // The settings of an earlier run make a new one.
    const bool named =
        std::ranges::any_of(assignments, [](const Assignment& a) { return same_key(a.key, "output_dir"); });
    std::error_code none;
    if (!named && !config.output_dir.empty() && !std::filesystem::is_empty(config.output_dir, none) && !none) {
      say("remark", fmt::format("'{}' is not empty: the new run of these settings goes to a folder of its own",
                                config.output_dir));
      config.output_dir.clear();
    }
    // In place of those of the files; as absolute paths, so that a run can be resumed from any folder.
    if (!o.inputs.empty()) config.data.inputs.clear();
    for (const std::string& input : o.inputs) config.data.inputs.push_back(std::filesystem::absolute(input).string());
    std::optional<Tokenizer> known;
    if (!config.init_from.empty()) known = Tokenizer::load(open_model(config.init_from) / model_file::tokenizer);
    RunData data = prepare_data(config.data, config.seed, first_kind(config), known ? &*known : nullptr);
    run = std::make_unique<Run>(std::move(config), std::move(data));
  }
  const bool finished = run->finished();
  if (!o.dump_config && !finished) print_run(*run);
  if (o.dump_config || !finished) {
    const RunPlan plan = run->plan(!o.dump_config);
    if (!o.dump_config) print_plan(plan);
  }
  if (o.dump_config) std::cout << to_yaml(run->config());
  if (o.dump_config || o.dry_run) return ExitCode::ok;
  if (!finished) {
    const std::string remark = run->begin();
    say("folder", run->folder().string());
    if (!remark.empty()) say("remark", remark);
  }

  Progress line(run->config().budget.steps);
  RunEvents events;
  // Where a loss is one of all the text, and can be told in bits per byte.
  const auto has_bits = [&](const Evaluation& e) {
    return run->config().model.family == Family::causal && run->data().labels.empty() && e.tally.bytes > 0;
  };
  double last_validation = run->counters().last_validation;
  events.step = [&](const RunEvents::Step& s) {
    Progress::Items items = {{"loss", short_number(s.loss)}};
    if (last_validation > 0) items.push_back({"val", short_number(last_validation)});
    items.push_back({"lr", short_rate(s.learning_rate)});
    items.push_back({"|g|", short_number(s.gradient_norm)});
    const bool logged = s.counters.step % run->config().logging_steps == 0 || s.share >= 1;
    line.update(s.counters.step, s.share, s.counters.tokens, std::move(items), logged);
  };
  events.pausing = [&] { line.pause(); };
  events.going_on = [&] { line.resume(); };
  events.evaluated = [&](const RunCounters&, const Evaluation& e, bool last) {
    last_validation = e.tally.mean_nll();
    if (!last) return;
    line.finish();
    if (!run->data().labels.empty()) {
      say("held out", fmt::format("{:.1f} % right; always saying the most frequent of {}: {:.1f} %", 100 * e.accuracy(),
                                  run->data().labels.size(), 100 * e.majority));
      return;
    }
    say("held out",
        fmt::format("loss {:.4f} nats per target{}; knowing only how often each occurs: {:.4f}", e.tally.mean_nll(),
                    has_bits(e) ? fmt::format(", {:.3f} bits per byte", e.tally.bits_per_byte()) : "",
                    e.unigram_entropy));
    if (e.unigram_entropy > 0 && e.tally.mean_nll() >= e.unigram_entropy) {
      say("remark", "that is no better than counting: train longer (--max-tokens, --max-seconds) or a smaller --size");
    }
  };
  events.sample = sampler(*run);
  events.sampled = [&](const std::string& text) { line.print(fmt::format("{:<10}{}", "sample", text)); };
  run->train(events);
  line.finish();
  if (!run->finished()) {
    say("stopped", fmt::format("at step {}, saved; go on with: triarch train --resume {}", run->counters().step,
                               run->folder().string()));
    return stop_exit_code();
  }
  say(finished ? "run" : "saved", fmt::format("{} ({} steps, {})", run->folder().string(), run->counters().step,
                                              human_duration(run->counters().seconds)));
  const RunCounters& c = run->counters();
  if (c.best_step > 0 && c.best_step != c.step) {
    say("best", fmt::format("{} has the lowest held-out loss, {:.4f}; give that folder in place of the run's",
                            (run->folder() / fmt::format("checkpoint-{}", c.best_step)).string(), c.best_validation));
  }
  if (run->truncated() > 0) {
    say("remark",
        fmt::format("examples longer than --context {} were cut: {}", run->config().context, run->truncated()));
  }
  if (o.json) {
    const Evaluation& e = run->result();
    print_json({{"run", run->folder().string()},
                {"steps", c.step},
                {"tokens", c.tokens},
                {"flops", c.flops},
                {"seconds", c.seconds},
                {"loss", e.tally.mean_nll()},
                {"unigram_entropy", e.unigram_entropy},
                {"bits_per_byte", has_bits(e) ? nlohmann::ordered_json(e.tally.bits_per_byte()) : nullptr},
                {"accuracy", e.accuracy()},
                {"majority", e.majority},
                {"best_step", c.best_step}});
  }
  return ExitCode::ok;
}

}  // namespace

Action declare_training(Arguments& app, bool finetune) {
  auto o = std::make_shared<TrainFlags>();
  if (finetune) app.add_option("MODEL", o->init_from, "the model to start from: a run's folder or a checkpoint");
  app.add_option("INPUT", o->inputs, "texts: .txt, .jsonl, .tsv, folders or globs, also .gz and .zst");
  app.add_option("-c,--config", o->files, "YAML files of the fields below, later over earlier").group("General");
  app.add_option("--resume,--resume-from-checkpoint", o->resume,
                 "go on with a run: its folder, or a checkpoint, whose later ones are moved aside")
      .group("General");
  app.add_flag("--dry-run", o->dry_run, "print the plan and stop").group("General");
  app.add_flag("--dump-config", o->dump_config, "print the resolved configuration and stop").group("General");
  app.add_flag("--json", o->json, "print the result as one line of JSON").group("General");
  static TrainConfig defaults;
  o->flags.declare(app, fields_of(defaults), train_aliases(),
                   {"init_from",
                    "output_dir",
                    "seed",
                    "precision",
                    "size",
                    "depth",
                    "objectives",
                    "context",
                    "batch_rows",
                    "data.tokenizer",
                    "data.vocabulary",
                    "data.input_field",
                    "data.target_field",
                    "model.family",
                    "model.preset",
                    "model.dropout",
                    "optimizer.kind",
                    "optimizer.learning_rate",
                    "schedule.kind",
                    "schedule.warmup",
                    "optimizer.muon_learning_rate",
                    "budget.steps",
                    "budget.tokens",
                    "budget.flops",
                    "budget.seconds"});
  return [o, finetune] {
    if (finetune && o->init_from.empty() && o->resume.empty()) {
      fail(ExitCode::usage, "finetune: expected a model to start from (a run's folder or a checkpoint), found none");
    }
    return train(*o);
  };
}

Action declare_train(Arguments& app) {
  Action action = declare_training(app, false);
  app.footer(
      "--help-all shows every setting: of data, model, optimizer, schedule, loss and logging. They are keys of a YAML\n"
      "file (-c) too; --dump-config prints one. Examples:\n"
      "  triarch train emma.txt\n"
      "  triarch train emma.txt --family encoder --size tiny --max-seconds 1m\n"
      "  triarch train emma.txt --family encoder_decoder --preset t5 --dry-run\n"
      "  triarch train reviews.tsv --family encoder --objective classification\n"
      "  triarch train --resume runs/emma-causal-0001");
  return action;
}

}  // namespace triarch::cli
