// A run that is killed at any moment (SIGKILL) and resumed ends as the one that was never interrupted: the same bytes
// of model and optimizer, and every step exactly once in its record.
//
// $TRIARCH_SOAK_KILLS: the number of kills, instead of a few (`./dev soak`). $TRIARCH_SOAK_SEED: of their moments.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/scratch.h"
#include "tests/train/event_reader.h"
#include "triarch/base/clock.h"
#include "triarch/base/files.h"
#include "triarch/base/random.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSteps = 40;
constexpr int kKillsPerRun = 4;

int64_t number_from(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text && *text ? std::atoll(text) : otherwise;
}

// Small enough to train in a second, with all that a resume has to bring back: dropout, accumulation, a shuffled
// text of several epochs, evaluations.
std::vector<std::string> arguments(const fs::path& text, const fs::path& run, const std::string& family) {
  if (fs::exists(run)) {
    for (const auto& entry : fs::directory_iterator(run)) {
      if (fs::exists(entry.path() / "manifest.json") &&
          entry.path().filename().string().find(".tmp-") == std::string::npos)
        return {"train", "--resume", run};
    }
    fs::remove_all(run);  // killed before its first checkpoint
  }
  return {"train",           text,   "--output-dir", run,
          "--arch",          family, "--size",       "tiny",
          "--dropout",       "0.1",  "--tokenizer",  "bytes",
          "--context",       "32",   "--batch-rows", "128",
          "--accumulation",  "2",    "--steps",      std::to_string(kSteps),
          "--logging-steps", "1",    "--eval-steps", "20",
          "--eval-rows",     "256",  "--save-steps", "3",
          "--sample-steps",  "-1",   "--precision",  "float32"};
}

std::string sample_text() {
  const std::vector<std::string> words = {"the", "a", "cat", "dog", "house", "tree", "sees", "likes", "finds", "red"};
  Draw draw(Key(1, Purpose::test));
  std::string text;
  for (int line = 0; line < 800; ++line) {
    for (int i = 0; i < 12; ++i) text += words[draw.below(words.size())] + (i < 11 ? " " : ".\n");
  }
  return text;
}

// The program, running; its messages go to a file.
class Process {
 public:
  Process(const std::vector<std::string>& arguments, const fs::path& messages) {
    std::vector<const char*> argv = {TRIARCH_BINARY};
    for (const std::string& a : arguments) argv.push_back(a.c_str());
    argv.push_back(nullptr);
    const std::string log = messages.string();
    pid_ = ::fork();
    if (pid_ == 0) {
      const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
      ::dup2(out, STDOUT_FILENO);
      ::dup2(out, STDERR_FILENO);
      ::execv(argv[0], const_cast<char* const*>(argv.data()));
      ::_exit(127);
    }
  }
  ~Process() { kill(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running() {
    if (!ended_) ended_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
    return !ended_;
  }
  // True if it was still running.
  bool kill() {
    if (!running()) return false;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
    ended_ = true;
    return WIFSIGNALED(status_);
  }
  int exit_status() const { return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_); }

 private:
  pid_t pid_ = -1;
  bool ended_ = false;
  int status_ = 0;
};

// A checkpoint that this process has begun to write.
bool saving(const fs::path& run, pid_t pid) {
  std::error_code ignored;
  const std::string ending = ".tmp-" + std::to_string(pid) + "-";
  for (const auto& entry : fs::directory_iterator(run, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("checkpoint-", 0) == 0 && name.find(ending) != std::string::npos) return true;
  }
  return false;
}

// What two runs must agree on.
struct Outcome {
  std::string model, optimizer;
  std::vector<std::string> metrics;                     // lines, without their speeds
  std::vector<std::pair<int64_t, std::string>> events;  // step and tag
};

Outcome outcome(const fs::path& run) {
  const fs::path last = run / fmt::format("checkpoint-{}", kSteps);
  Outcome o;
  o.model = read_file(last / "model.safetensors", "soak");
  o.optimizer = read_file(last / "optimizer.safetensors", "soak");
  std::istringstream metrics(read_file(run / "metrics.jsonl", "soak"));
  std::vector<int64_t> steps, expected;
  for (std::string line; std::getline(metrics, line);) {
    nlohmann::json record = nlohmann::json::parse(line);
    if (record.contains("loss")) steps.push_back(record["step"]);
    record.erase("train/tok_per_sec");
    o.metrics.push_back(record.dump());
  }
  for (int64_t step = 1; step <= kSteps; ++step) expected.push_back(step);
  EXPECT_EQ(steps, expected) << "steps of metrics.jsonl";
  int files = 0;
  for (const auto& entry : fs::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(name.find(".tmp-"), std::string::npos) << "left over: " << name;
    if (name.rfind("events.out.tfevents.", 0) != 0) continue;
    ++files;
    for (const auto& event : testing::decode(read_file(entry.path(), "soak"))) {
      for (const auto& [tag, value] : event.values) o.events.emplace_back(event.step, tag);
    }
  }
  EXPECT_EQ(files, 1) << "TensorBoard files";
  std::vector<int64_t> event_steps;
  for (const auto& [step, tag] : o.events) {
    if (tag == "train/loss") event_steps.push_back(step);
  }
  EXPECT_EQ(event_steps, expected) << "steps of the TensorBoard file";
  return o;
}

struct Kills {
  int64_t all = 0, after_first_step = 0, in_save = 0;
};

class Soak : public ::testing::Test {
 protected:
  void SetUp() override { scratch_.write("text.txt", sample_text()); }
  // The runs of a failure are kept.
  void TearDown() override {
    if (!HasFailure()) return;
    scratch_.keep();
    std::cout << "kept: " << folder_.string() << "\n";
  }
  // Starts or resumes until the run is complete, with at most `limit` kills on the way.
  void train(const fs::path& run, const std::string& family, int64_t limit, double seconds, Draw& draw, Kills& kills) {
    const fs::path log = folder_ / "messages.txt";
    for (int64_t here = 0;;) {
      Process process(arguments(folder_ / "text.txt", run, family), log);
      if (here < limit) {
        // In a save as often as at any moment: both are equally likely to be drawn.
        const bool in_save = draw.uniform() < 0.4;
        const double wait = draw.uniform() * seconds * 0.6, into_save = draw.uniform() * 0.006;
        Stopwatch watch;
        while (process.running() && watch.seconds() < wait) {
          std::this_thread::sleep_for(std::chrono::microseconds(300));
        }
        while (in_save && process.running() && !saving(run, process.pid())) {
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
        if (in_save) std::this_thread::sleep_for(std::chrono::duration<double>(into_save));
        if (process.kill()) {
          ++here;
          ++kills.all;
          std::error_code none;
          const auto recorded = fs::file_size(run / "metrics.jsonl", none);
          kills.after_first_step += !none && recorded > 0;
          kills.in_save += saving(run, process.pid());
          continue;
        }
      }
      while (process.running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ASSERT_EQ(process.exit_status(), 0) << read_file(log, "soak");
      return;
    }
  }
  Scratch scratch_;
  const fs::path folder_ = scratch_.path();
};

TEST_F(Soak, KilledAndResumedEqualsUninterrupted) {
  const int64_t wanted = number_from("TRIARCH_SOAK_KILLS", 10);
  Draw draw(Key(uint64_t(number_from("TRIARCH_SOAK_SEED", 1)), Purpose::test));
  const std::vector<std::string> families = {"causal", "encoder_decoder", "permutation"};
  Kills kills;
  std::vector<Outcome> expected;
  std::vector<double> seconds;
  for (const std::string& family : families) {
    Stopwatch watch;
    ASSERT_NO_FATAL_FAILURE(train(folder_ / family, family, 0, 0, draw, kills));
    seconds.push_back(watch.seconds());
    expected.push_back(outcome(folder_ / family));
  }
  int64_t runs = 0;
  for (; kills.all < wanted; ++runs) {
    const size_t f = size_t(runs) % families.size();
    const fs::path run = folder_ / "run";
    fs::remove_all(run);
    const int64_t limit = std::min<int64_t>(kKillsPerRun, wanted - kills.all);
    ASSERT_NO_FATAL_FAILURE(train(run, families[f], limit, seconds[f], draw, kills));
    const Outcome found = outcome(run);
    EXPECT_TRUE(found.model == expected[f].model) << families[f] << ": another model";
    EXPECT_TRUE(found.optimizer == expected[f].optimizer) << families[f] << ": another optimizer state";
    EXPECT_EQ(found.metrics, expected[f].metrics) << families[f];
    EXPECT_EQ(found.events, expected[f].events) << families[f];
    ASSERT_FALSE(HasFailure());
  }
  std::cout << fmt::format(
      "soak: {} kills ({} after the first step, {} inside a save), {} runs, all equal to the uninterrupted ones\n",
      kills.all, kills.after_first_step, kills.in_save, runs);
  // A few kills may fall anywhere; many must have been where it hurts.
  if (wanted >= 200) {
    EXPECT_GE(kills.after_first_step, wanted * 3 / 4);
    EXPECT_GE(kills.in_save, wanted / 10);
  }
}

}  // namespace
}  // namespace triarch
