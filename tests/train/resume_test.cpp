// What a resumed run may be told anew, what is moved aside for it, what a kill in an evaluation costs, and which
// checkpoints stay.
#include <cmath>

#include "tests/train/run_problem.h"
#include "triarch/base/machine.h"
#include "triarch/checkpoint/weights.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;
using testing::data_for;
using testing::RunTest;
using testing::small_corpus;

class ResumeTest : public RunTest {
 protected:
  static Assignment set(const std::string& key, const std::string& value) { return {key, value, "--" + key}; }
  // As `triarch train --resume folder` with flags does.
  static std::unique_ptr<triarch::Run> resume_with(const fs::path& folder, const std::vector<Assignment>& flags) {
    const StoredRun stored = read_run(folder, flags);
    const Tokenizer tokenizer = Tokenizer::load(stored.checkpoint / model_file::tokenizer);
    return std::make_unique<triarch::Run>(stored.checkpoint, stored.config,
                                          data_for(stored.config, small_corpus(), &tokenizer));
  }
};

TEST_F(ResumeTest, KeepsTheSettingsThatMakeTheRun) {
  train(*begin(config("run")), 3);
  const fs::path run = root_ / "run";
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{{"seed", "7"},
                                                                                   {"data.validation", "0.2"},
                                                                                   {"context", "32"},
                                                                                   {"objectives", "prefix_lm"},
                                                                                   {"optimizer.kind", "adamw"},
                                                                                   {"batch_rows", "96"},
                                                                                   {"model.dropout", "0"},
                                                                                   {"output_dir", "elsewhere"}}) {
    const std::string message = error_of([&] { read_run(run, {set(key, value)}); }, ExitCode::usage);
    EXPECT_NE(message.find(key + ":"), std::string::npos) << message;
    EXPECT_NE(message.find(value), std::string::npos) << message;
  }
  // The same again, and what makes no other run.
  const TrainConfig kept = read_run(run, {set("seed", "1"), set("output_dir", (run / ".").string())}).config;
  EXPECT_EQ(kept.seed, 1u);
  const TrainConfig changed = read_run(run, {set("eval_steps", "3"), set("optimizer.learning_rate", "1e-4"),
                                             set("budget.steps", "20"), set("data.inputs", "/moved/text.txt")})
                                  .config;
  EXPECT_EQ(changed.eval_steps, 3);
  EXPECT_EQ(changed.optimizer.learning_rate, 1e-4);
  EXPECT_EQ(changed.budget.steps, 20);
}

TEST_F(ResumeTest, BudgetsHaveToBeMore) {
  train(*begin(config("run")), 3);
  for (const char* steps : {"0", "-1", "2", "3"}) {
    const std::string message =
        error_of([&] { read_run(root_ / "run", {set("budget.steps", steps)}); }, ExitCode::usage);
    EXPECT_NE(message.find("budget"), std::string::npos) << message;
  }
  error_of([&] { read_run(root_ / "run", {set("budget.tokens", "5")}); }, ExitCode::usage);
  error_of([&] { read_run(root_ / "run", {set("budget.flops", "5")}); }, ExitCode::usage);
  EXPECT_EQ(read_run(root_ / "run", {set("budget.steps", "4")}).config.budget.steps, 4);
  // FLOPs are of the whole run, as steps are.
  const double done = resume(root_ / "run")->counters().flops;
  const auto run = resume_with(root_ / "run", {set("budget.flops", fmt::format("{}", 2 * done))});
  run->plan(false);
  EXPECT_EQ(run->config().budget.steps, 6);
}

TEST_F(ResumeTest, SecondsCountFromNow) {
  train(*begin(config("run", Family::causal, 200)), 100);
  const auto run = resume_with(root_ / "run", {set("budget.seconds", "0.05")});
  const RunPlan plan = run->plan(true);
  const int64_t steps = run->config().budget.steps - 100;
  EXPECT_GT(steps, 0);
  EXPECT_NEAR(plan.seconds, 0.05, plan.seconds / double(steps) + 1e-6);
  EXPECT_FALSE(run->finished());
}

// By Tab, and from inside.
TEST_F(ResumeTest, ACheckpointWithASlash) {
  train(*begin(config("run")), 3);
  const fs::path path = newest_checkpoint(root_ / "run")->path;
  EXPECT_EQ(resume_with(path.string() + "/", {})->folder(), fs::canonical(root_ / "run"));
  EXPECT_EQ(resume_with(path / ".", {})->folder(), fs::canonical(root_ / "run"));
}

TEST_F(ResumeTest, LaterCheckpointsAreMovedAside) {
  TrainConfig c = config("run");
  c.save_total_limit = 0;
  train(*begin(c));
  const auto whole = outcome("run");
  const auto steps = [](const fs::path& folder) {
    std::vector<int64_t> found;
    for (const CheckpointPlace& place : list_checkpoints(folder)) found.push_back(place.step);
    return found;
  };
  const std::vector<int64_t> all = steps(root_ / "run");
  {
    const auto planned = resume(root_ / "run" / "checkpoint-4");
    planned->plan(false);
  }
  EXPECT_EQ(steps(root_ / "run"), all) << "a plan changes nothing";
  EXPECT_TRUE(outcome("run") == whole);
  {
    const auto again = resume(root_ / "run" / "checkpoint-4");
    const std::string remark = again->begin();
    EXPECT_NE(remark.find("set-aside-0001"), std::string::npos) << remark;
    EXPECT_EQ(again->begin(), "");
    EXPECT_EQ(newest_checkpoint(root_ / "run")->step, 4);
    train(*again);
  }
  EXPECT_TRUE(outcome("run") == whole);
  EXPECT_EQ(steps(root_ / "run"), all);
  // Nothing is lost: it is a run.
  EXPECT_TRUE(outcome("run/set-aside-0001") == whole);
  EXPECT_TRUE(resume(root_ / "run" / "set-aside-0001")->finished());
}

TEST_F(ResumeTest, AKillInTheLastEvaluationLosesNothing) {
  train(*begin(config("whole")));
  {
    const auto run = begin(config("killed"));
    RunEvents events;
    events.evaluated = [](const RunCounters&, const Evaluation&, bool last) {
      if (last) throw std::runtime_error("power cut");
    };
    EXPECT_THROW(run->train(events), std::runtime_error);
  }
  EXPECT_EQ(newest_checkpoint(root_ / "killed")->step, 12);
  const auto again = resume(root_ / "killed");
  EXPECT_TRUE(again->finished());
  train(*again);
  EXPECT_GT(again->result().tally.weight, 0);
  EXPECT_TRUE(outcome("whole") == outcome("killed"));
}

TEST_F(ResumeTest, ALogLineIsTheSameAcrossAStop) {
  TrainConfig c = config("whole");
  c.logging_steps = 5;
  train(*begin(c));
  c.output_dir = (root_ / "stopped").string();
  train(*begin(c), 3);
  train(*resume(root_ / "stopped"), 7);
  train(*resume(root_ / "stopped"));
  EXPECT_TRUE(outcome("whole") == outcome("stopped"));
}

TEST_F(ResumeTest, TheBestCheckpointStays) {
  TrainConfig c = config("run");
  c.eval_steps = c.save_steps = 2;
  c.save_total_limit = 1;
  c.optimizer.kind = OptimizerKind::adamw;
  c.optimizer.learning_rate = 1e-3;
  c.schedule.kind = ScheduleKind::constant;
  train(*begin(c), 7);
  // From here on it gets worse.
  const auto run = resume_with(root_ / "run", {set("optimizer.learning_rate", "0.5")});
  train(*run);
  const RunCounters& done = run->counters();
  EXPECT_LE(done.best_step, 8);
  EXPECT_GT(done.best_step, 0);
  EXPECT_LT(done.best_validation, done.last_validation);
  std::vector<int64_t> steps;
  for (const CheckpointPlace& place : list_checkpoints(root_ / "run")) steps.push_back(place.step);
  EXPECT_EQ(steps, (std::vector<int64_t>{done.best_step, 12}));
}

TEST_F(ResumeTest, AHeldOutLossThatIsNoNumberIsDivergence) {
  const auto run = begin(config("run"));
  RunEvents events;
  events.pausing = [&] {
    if (run->counters().step != 5) return;
    const Tensor weights = run->learner().model().parameters().flat_values();
    std::fill_n(weights.data<float>(), run->learner().model().parameters().flat_size(), std::nanf(""));
  };
  const std::string message = error_of([&] { run->train(events); }, ExitCode::diverged);
  EXPECT_NE(message.find("held-out loss"), std::string::npos) << message;
  EXPECT_NE(message.find("checkpoint-4"), std::string::npos) << message;
}

TEST_F(ResumeTest, AFolderWithOtherFilesIsLeftAlone) {
  const fs::path mine = root_ / "mine";
  fs::create_directories(mine);
  for (const char* name : {"config.yaml", "metrics.jsonl", "events.out.tfevents.1", "a.tmp-b"}) {
    write_file(mine / name, "mine", "test");
  }
  const std::string message = error_of([&] { begin(config("mine")); }, ExitCode::usage);
  EXPECT_NE(message.find("not empty"), std::string::npos) << message;
  EXPECT_EQ(read_file(mine / "config.yaml", "test"), "mine");
  // Also if it is filled between the plan and the beginning.
  const auto run = begin(config("later"));
  run->plan(false);
  fs::rename(mine, root_ / "later");
  error_of([&] { run->begin(); }, ExitCode::usage);
  for (const char* name : {"config.yaml", "metrics.jsonl", "events.out.tfevents.1", "a.tmp-b"}) {
    EXPECT_EQ(read_file(root_ / "later" / name, "test"), "mine") << name;
  }
}

TEST_F(ResumeTest, WhatIsWrongWithALaterPhaseIsSaidFirst) {
  const auto with = [&](double begins, const std::string& visibility, std::vector<ObjectiveKind> kinds,
                        Family family = Family::causal) {
    TrainConfig c = config("run", family);
    PhaseConfig p;
    p.begin = begins;
    p.visibility = visibility;
    for (ObjectiveKind kind : kinds) p.objectives.emplace_back().kind = kind;
    c.phases = {p};
    return c;
  };
  error_of([&] { begin(with(0.5, "full", {})); }, ExitCode::usage);
  error_of([&] { begin(with(0.5, "causal", {}, Family::encoder)); }, ExitCode::usage);
  error_of([&] { begin(with(1.5, "causal", {})); }, ExitCode::usage);
  error_of([&] { begin(with(0.5, "", {ObjectiveKind::masked_lm})); }, ExitCode::usage);
  TrainConfig c = with(0.5, "causal", {});
  c.phases.push_back(c.phases[0]);
  error_of([&] { begin(c); }, ExitCode::usage);
  EXPECT_THROW(begin(with(0.5, "", {ObjectiveKind::classification}))->train({}), Error);
  EXPECT_FALSE(fs::exists(root_ / "run")) << "before anything is written";
}

// A phase with the same objectives reads on where the last one stopped: with the same visibility it changes nothing.
TEST_F(ResumeTest, APhaseWithoutObjectivesReadsOn) {
  train(*begin(config("plain")));
  TrainConfig c = config("phases");
  c.phases.resize(1);
  c.phases[0].begin = 0.5;
  c.phases[0].visibility = "causal";
  train(*begin(c));
  EXPECT_EQ(losses("plain"), losses("phases"));
}

TEST_F(ResumeTest, MemoryIsAskedForBeforeItIsTaken) {
  for (Family family : {Family::encoder, Family::causal, Family::encoder_decoder, Family::permutation}) {
    for (const std::string& name : {std::string(kDefaultPreset), std::string("gpt2")}) {
      ModelSpec spec = preset(name, family, 64, 3);
      spec.vocabulary = 500;
      for (Precision precision : {Precision::float32(), Precision::bfloat16(), Precision::float64()}) {
        Learner learner(spec, precision, {});
        const Parameters& w = learner.model().parameters();
        const double copies = double(4 * size_of(precision.stream)) + (precision.operand == DType::bf16 ? 2 : 0);
        const double state = double(w.flat_size()) * copies;
        EXPECT_EQ(Learner::state_bytes(spec, precision), state) << name << " " << enum_name(family);
      }
    }
  }
  if (available_memory() == 0) GTEST_SKIP() << "the system does not tell";
  TrainConfig c = config("run");
  c.model = preset("llama", Family::causal, 1 << 16, 100);  // some 80 TB
  const std::string message = error_of([&] { begin(c); }, ExitCode::out_of_memory);
  EXPECT_NE(message.find("weights"), std::string::npos) << message;
}

}  // namespace
}  // namespace triarch
