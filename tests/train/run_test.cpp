// A run: the same bytes on any number of threads and after any stop, phases, budgets, divergence, what a resume
// refuses, and what a plan promises.
#include "triarch/train/run.h"

#include <cmath>

#include "tests/train/run_problem.h"
#include "triarch/base/signals.h"

namespace triarch {
namespace {

using testing::data_for;
using testing::RunTest;
using testing::small_corpus;

const std::vector<Family> kFamilies = {Family::encoder, Family::causal, Family::prefix, Family::encoder_decoder,
                                       Family::permutation};

TEST_F(RunTest, SameBytesOnOneAndTwoThreads) {
  const int threads = thread_count();
  for (Family family : kFamilies) {
    for (PrecisionChoice precision : {PrecisionChoice::float32, PrecisionChoice::bfloat16}) {
      const std::string name = fmt::format("{}-{}", enum_name(family), enum_name(precision));
      for (int n : {1, 2}) {
        TrainConfig c = config(fmt::format("{}-{}", name, n), family, 3);
        c.precision = precision;
        c.model.attention_dropout = 0.1;
        set_thread_count(n);
        train(*begin(c));
      }
      EXPECT_TRUE(outcome(name + "-1") == outcome(name + "-2")) << name;
    }
  }
  set_thread_count(threads);
}

TEST_F(RunTest, AnotherSeedIsAnotherRun) {
  TrainConfig c = config("one");
  c.budget.steps = 2;
  train(*begin(c));
  c.output_dir = (root_ / "two").string();
  c.seed = 2;
  train(*begin(c));
  EXPECT_NE(losses("one"), losses("two"));
}

TEST_F(RunTest, LearnsAndRecords) {
  TrainConfig c = config("run", Family::causal, 150);
  c.model.dropout = 0;
  c.eval_steps = 50;
  const auto run = begin(c);
  train(*run);
  EXPECT_TRUE(run->finished());
  EXPECT_EQ(stop_exit_code(), ExitCode::ok);
  const std::vector<double> all = losses("run");
  ASSERT_EQ(all.size(), 150u);
  EXPECT_NEAR(all.front(), std::log(double(run->config().model.vocabulary)), 1);
  EXPECT_LT(all.back(), 0.6 * all.front());
  const Evaluation& e = run->result();
  EXPECT_LT(e.tally.mean_nll(), 0.75 * e.unigram_entropy);
  EXPECT_NEAR(e.tally.bits_per_byte(), e.tally.mean_nll() / std::log(2.0), 0.1);
  // The last evaluation saw all of the held-out text; the ones before a part.
  EXPECT_GE(e.tally.tokens, int64_t(run->data().validation.ids.size()));
  // Complete checkpoints, no more than asked for and the best.
  const int64_t best = run->counters().best_step;
  EXPECT_EQ(list_checkpoints(root_ / "run").size(), best == 150 ? 2u : 3u);
  EXPECT_EQ(newest_checkpoint(root_ / "run")->step, 150);
}

TEST_F(RunTest, AFinishedRunIsEvaluatedAgain) {
  double once = 0;
  {
    const auto run = begin(config("run"));
    train(*run);
    once = run->result().tally.mean_nll();
  }
  const auto before = outcome("run");
  // Killed in its last save, when the checkpoint had its name and the one it replaced was not gone yet.
  const auto leftover = root_ / "run" / "checkpoint-12.tmp-1-0123abcd";
  std::filesystem::create_directory(leftover);
  const auto again = resume(root_ / "run");
  EXPECT_FALSE(std::filesystem::exists(leftover));
  double told = 0;
  RunEvents events;
  events.evaluated = [&](const RunCounters&, const Evaluation& e, bool last) { told = last ? e.tally.mean_nll() : 0; };
  again->train(events);
  EXPECT_EQ(again->result().tally.mean_nll(), once);
  EXPECT_EQ(told, once);
  EXPECT_TRUE(outcome("run") == before);
}

TEST_F(RunTest, StoppedAndResumedEqualsUninterrupted) {
  for (Family family : kFamilies) {
    const std::string name = enum_name(family);
    train(*begin(config(name, family)));
    // Between saves, on one, and twice in a row.
    {
      const auto run = begin(config(name + "-stopped", family));
      train(*run, 3);
      EXPECT_FALSE(run->finished());
      EXPECT_EQ(stop_exit_code(), ExitCode::interrupted);
    }
    EXPECT_EQ(newest_checkpoint(root_ / (name + "-stopped"))->step, 3);
    for (int64_t stop : {4, 5, 0}) {
      const auto again = resume(root_ / (name + "-stopped"));
      train(*again, stop);
      EXPECT_EQ(again->finished(), stop == 0);
    }
    EXPECT_TRUE(outcome(name) == outcome(name + "-stopped")) << name;
    EXPECT_EQ(losses(name), losses(name + "-stopped")) << name;
  }
}

// A run that never stopped the way it was asked to: the record of what came after its checkpoint is cut off.
TEST_F(RunTest, AbandonedAndResumedEqualsUninterrupted) {
  train(*begin(config("whole")));
  {
    const auto run = begin(config("crashed"));
    RunEvents events;
    events.step = [](const RunEvents::Step& s) {
      if (s.counters.step == 7) throw std::runtime_error("power cut");
    };
    EXPECT_THROW(run->train(events), std::runtime_error);
  }
  EXPECT_EQ(newest_checkpoint(root_ / "crashed")->step, 4);
  train(*resume(root_ / "crashed"));
  EXPECT_TRUE(outcome("whole") == outcome("crashed"));
}

TEST_F(RunTest, PhasesSwitchObjectiveAndVisibility) {
  const auto with_phases = [&](const std::string& name) {
    TrainConfig c = config(name, Family::causal);
    PhaseConfig adapt, back;
    adapt.begin = 0.4;  // before step 6 of 12
    adapt.visibility = "prefix";
    adapt.objectives.resize(1);
    adapt.objectives[0].kind = ObjectiveKind::prefix_lm;
    back.begin = 0.75;  // before step 10
    back.visibility = "causal";
    back.objectives.resize(2);
    back.objectives[1].kind = ObjectiveKind::span_corruption;
    c.phases = {adapt, back};
    return c;
  };
  train(*begin(config("plain")));
  {
    const auto run = begin(with_phases("phases"));
    RunEvents events;
    std::vector<Visibility> seen;
    events.step = [&](const RunEvents::Step&) { seen.push_back(run->learner().model().spec().decoder.visibility); };
    run->train(events);
    for (int64_t step = 1; step <= 12; ++step) {
      const bool prefix = step > 5 && step <= 9;
      EXPECT_EQ(seen[size_t(step - 1)], prefix ? Visibility::prefix : Visibility::causal) << "step " << step;
    }
  }
  // The same up to the switch, another task from there on.
  const std::vector<double> plain = losses("plain"), phases = losses("phases");
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(plain[i], phases[i]) << i;
  for (size_t i = 5; i < 12; ++i) EXPECT_NE(plain[i], phases[i]) << i;

  // Stopped before, at and after each switch.
  for (int64_t stop : {3, 5, 6, 9, 10}) {
    const std::string name = "stopped-" + std::to_string(stop);
    train(*begin(with_phases(name)), stop);
    train(*resume(root_ / name));
    EXPECT_TRUE(outcome("phases") == outcome(name)) << stop;
  }
}

TEST_F(RunTest, SecondsBecomeStepsOnce) {
  TrainConfig c = config("run");
  c.budget = {};
  c.budget.seconds = 0.5;
  auto run = begin(c);
  const RunPlan plan = run->plan(true);
  const int64_t steps = run->config().budget.steps;
  EXPECT_GE(steps, 3);
  EXPECT_EQ(plan.steps, steps);
  EXPECT_NEAR(plan.seconds, 0.5, 0.5 / double(steps) + 1e-6);
  // Asked again, on another day, it is no longer measured.
  EXPECT_EQ(run->plan(true).steps, steps);
  train(*run, 2);
  EXPECT_EQ(read_run(root_ / "run").config.budget.steps, steps);
  run.reset();  // it holds the folder
  run = resume(root_ / "run");
  EXPECT_EQ(run->plan(true).steps, steps);
  EXPECT_EQ(run->config().budget.steps, steps);
  train(*run);
  EXPECT_EQ(run->counters().step, steps);
}

TEST_F(RunTest, TokenAndFlopBudgets) {
  TrainConfig c = config("tokens");
  c.budget = {};
  c.budget.tokens = 3000;
  const auto tokens = begin(c);
  const RunPlan plan = tokens->plan(false);
  EXPECT_EQ(plan.tokens, 3000);
  train(*tokens);
  const double step_tokens = double(tokens->counters().tokens) / double(tokens->counters().step);
  EXPECT_GE(tokens->counters().tokens, 3000);
  EXPECT_LT(double(tokens->counters().tokens), 3000 + 1.5 * step_tokens);
  EXPECT_NEAR(double(plan.steps), double(tokens->counters().step), 1);

  c = config("flops");
  c.budget = {};
  c.budget.flops = 4 * tokens->counters().flops;
  const auto flops = begin(c);
  flops->plan(false);
  train(*flops);
  EXPECT_NEAR(flops->counters().flops, c.budget.flops, 0.05 * c.budget.flops);

  // Stopped and resumed by tokens too.
  c = config("stopped");
  c.budget = {};
  c.budget.tokens = 3000;
  train(*begin(c), 3);
  train(*resume(root_ / "stopped"));
  EXPECT_TRUE(outcome("tokens") == outcome("stopped"));
}

bool all_finite(const Parameters& parameters) {
  const float* w = parameters.flat_values().data<float>();
  for (int64_t i = 0; i < parameters.flat_size(); ++i) {
    if (!std::isfinite(w[i])) return false;
  }
  return true;
}

TEST_F(RunTest, DivergenceKeepsTheLastGoodCheckpoint) {
  // Far too large; or infinite, by which the weights are no numbers before any loss says so.
  for (double rate : {1e30, 1e60}) {
    const std::string name = fmt::format("rate-{:g}", rate);
    TrainConfig c = config(name, Family::causal, 40);
    c.optimizer.kind = OptimizerKind::adamw;
    c.optimizer.learning_rate = 1e-3;
    c.save_steps = 1;
    c.save_total_limit = 1;
    train(*begin(c), 5);
    StoredRun stored = read_run(root_ / name);
    stored.config.optimizer.learning_rate = rate;
    const Tokenizer tokenizer = Tokenizer::load(stored.checkpoint / "tokenizer.bin");
    std::string message;
    {
      triarch::Run run(stored.checkpoint, stored.config, data_for(stored.config, small_corpus(), &tokenizer));
      message = error_of([&] { run.train({}); }, ExitCode::diverged);
    }
    const auto kept = newest_checkpoint(root_ / name);
    ASSERT_TRUE(kept);
    EXPECT_NE(message.find(kept->path.string()), std::string::npos) << message;
    EXPECT_TRUE(all_finite(resume(root_ / name)->learner().model().parameters()));
  }
}

TEST_F(RunTest, AFolderHoldsOneRun) {
  train(*begin(config("run", Family::causal, 2)));
  const std::string message = error_of([&] { begin(config("run")); }, ExitCode::usage);
  EXPECT_NE(message.find("--resume"), std::string::npos) << message;
}

TEST_F(RunTest, ResumeRefusesOtherTexts) {
  train(*begin(config("run")), 3);
  const std::string message = error_of([&] { resume(root_ / "run", 2); }, ExitCode::failure);
  EXPECT_NE(message.find("texts have changed"), std::string::npos) << message;
  train(*resume(root_ / "run"));
}

TEST_F(RunTest, CheckpointsOfOtherModelsAreRefused) {
  train(*begin(config("run")), 3);
  const auto refused = [&](const ModelSpec& spec) {
    TrainConfig c = config("finetuned", spec.family);
    c.model = spec;
    c.init_from = (root_ / "run").string();
    try {
      begin(c);
      return std::string();
    } catch (const Error& e) {
      return std::string(e.what());
    }
  };
  for (Family family : kFamilies) {
    const std::string message = refused(preset("llama", family, 32, 2));
    // Decoder-only families share their weights: a causal model may go on as a prefix or permutation LM.
    const bool same = family != Family::encoder && family != Family::encoder_decoder;
    EXPECT_EQ(message.empty(), same) << enum_name(family) << ": " << message;
    EXPECT_EQ(message.find("family") != std::string::npos, !same) << message;
  }
  EXPECT_NE(refused(preset("llama", Family::causal, 64, 2)), "");
  EXPECT_NE(refused(preset("llama", Family::causal, 32, 3)), "");
  EXPECT_NE(refused(preset("llama", Family::causal, 32, 1)), "");
  EXPECT_NE(refused(preset("gpt2", Family::causal, 32, 2)), "");

  // And on a resume.
  StoredRun stored = read_run(root_ / "run");
  const int64_t vocabulary = stored.config.model.vocabulary;
  stored.config.model = preset("llama", Family::encoder, 32, 2);
  stored.config.model.vocabulary = vocabulary;
  stored.config.objectives[0].kind = ObjectiveKind::masked_lm;
  const std::string message =
      error_of([&] { triarch::Run(stored.checkpoint, stored.config, data_for(stored.config, small_corpus())); },
               ExitCode::corrupt);
  EXPECT_NE(message.find("family"), std::string::npos) << message;
}

TEST_F(RunTest, PlanEqualsExecution) {
  for (Family family : kFamilies) {
    for (PrecisionChoice precision : {PrecisionChoice::float32, PrecisionChoice::bfloat16}) {
      for (bool recompute : {false, true}) {
        TrainConfig c = config("run", family);
        c.precision = precision;
        c.recompute = recompute;
        c.batch_rows = 512;
        const std::string name = fmt::format("{} {} {}", enum_name(family), enum_name(precision), recompute);
        const auto run = begin(c);
        Loader loader = Task(run->config(), run->config().objectives, run->data()).train_loader();
        const std::vector<Batch> batches = {loader.next(), loader.next()};
        Learner& learner = run->learner();
        const Learner::Plan plan = learner.plan(batches);
        EXPECT_EQ(learner.arena().used(), 0u) << name;
        learner.arena().reset_peak();
        EXPECT_EQ(plan.flops, learner.step(batches, 1).flops) << name;
        const double peak = double(learner.arena().peak());
        EXPECT_NEAR(double(plan.activation_peak), peak, 0.05 * peak) << name;
        // After the first step nothing is taken from the system.
        const int growths = learner.arena().growths();
        learner.step(batches, 1);
        EXPECT_EQ(learner.arena().growths(), growths) << name;
      }
    }
  }
}

TEST_F(RunTest, PlanOfARun) {
  for (Family family : kFamilies) {
    const std::string name = enum_name(family);
    const auto run = begin(config(name, family));
    const RunPlan plan = run->plan(true);
    EXPECT_EQ(plan.parameters, run->learner().model().parameters().count());
    EXPECT_EQ(plan.steps, 12);
    EXPECT_GT(plan.seconds, 0);
    train(*run);
    EXPECT_NEAR(plan.flops, run->counters().flops, 0.1 * plan.flops) << name;
    EXPECT_NEAR(double(plan.tokens), double(run->counters().tokens), 0.1 * double(plan.tokens)) << name;
    const Parameters& w = run->learner().model().parameters();
    const double state = 4.0 * 4.0 * double(w.flat_size());
    EXPECT_NEAR(plan.peak_bytes, state + double(run->learner().arena().peak()), 0.05 * plan.peak_bytes) << name;
    // Planning has no effect on the run.
    const auto unplanned = begin(config(name + "-unplanned", family));
    train(*unplanned);
    EXPECT_TRUE(outcome(name) == outcome(name + "-unplanned")) << name;
  }
}

}  // namespace
}  // namespace triarch
