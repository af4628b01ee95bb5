// Small runs in temporary folders, shared by the tests of Run.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/base/files.h"
#include "triarch/base/random.h"
#include "triarch/base/threads.h"
#include "triarch/checkpoint/checkpoint.h"
#include "triarch/train/run.h"

namespace triarch::testing {

namespace fs = std::filesystem;

// Forty documents of a few words each, in a loose grammar: something to learn within some steps.
inline Corpus small_corpus(uint64_t seed = 1) {
  const std::vector<std::string> who = {"the cat", "a dog", "the old man", "my sister", "one bird", "nobody"};
  const std::vector<std::string> does = {"sees", "likes", "finds", "follows", "paints", "hears"};
  const std::vector<std::string> what = {"a tree", "the house", "red paint", "small stones", "the sea", "it"};
  Draw draw(Key(seed, Purpose::test));
  Corpus corpus;
  for (int i = 0; i < 40; ++i) {
    Document d;
    for (int line = 0; line < 8; ++line) {
      for (const auto* words : {&who, &does, &what}) d.text += (*words)[draw.below(words->size())] + " ";
      d.text.back() = '\n';
    }
    d.source = "small:" + std::to_string(i);
    corpus.documents.push_back(d);
  }
  return corpus;
}

inline RunData data_for(const TrainConfig& config, Corpus corpus, const Tokenizer* known = nullptr) {
  const ObjectiveKind kind = config.objectives.empty() ? ObjectiveKind::next_token : config.objectives.front().kind;
  return prepare_data(std::move(corpus), config.data, config.seed, kind, known, config.model.labels);
}

class RunTest : public ::testing::Test {
 protected:
  // A model of a few thousand weights, with dropout; `name` is the run's folder.
  TrainConfig config(const std::string& name, Family family = Family::causal, int64_t steps = 12) {
    TrainConfig c;
    c.output_dir = (root_ / name).string();
    c.model = preset("llama", family, 32, 2);
    c.model.dropout = 0.1;
    c.precision = PrecisionChoice::float32;
    c.data.tokenizer = "bytes";
    c.context = 48;
    c.batch_rows = 192;
    c.accumulation = 2;
    c.budget.steps = steps;
    c.logging_steps = 1;
    c.eval_steps = 5;
    c.eval_rows = 200;
    c.save_steps = 4;
    c.sample_steps = -1;
    return c;
  }
  static std::unique_ptr<triarch::Run> begin(const TrainConfig& c) {
    return std::make_unique<triarch::Run>(c, data_for(c, small_corpus()));
  }
  static std::unique_ptr<triarch::Run> resume(const fs::path& folder, uint64_t corpus_seed = 1) {
    const StoredRun stored = read_run(folder);
    const Tokenizer tokenizer = Tokenizer::load(stored.checkpoint / "tokenizer.bin");
    return std::make_unique<triarch::Run>(stored.checkpoint, stored.config,
                                          data_for(stored.config, small_corpus(corpus_seed), &tokenizer));
  }
  // Trains until after step `stop` (0: to the end), as Ctrl-C would stop it.
  static void train(triarch::Run& run, int64_t stop = 0) {
    RunEvents events;
    events.step = [stop](const RunEvents::Step& s) {
      if (s.counters.step == stop) std::raise(SIGINT);
    };
    ::testing::internal::CaptureStderr();  // the acknowledgement
    run.train(events);
    ::testing::internal::GetCapturedStderr();
  }

  // What two runs must agree on: the bytes of the last checkpoint, and all that was recorded, apart from speeds.
  struct Outcome {
    std::string model, optimizer, spec;
    std::vector<std::string> record;
    bool operator==(const Outcome&) const = default;
  };
  Outcome outcome(const std::string& name) {
    const Checkpoint last(newest_checkpoint(root_ / name)->path);
    Outcome o{last.text("model.safetensors"), last.text("optimizer.safetensors"), last.text("model.yaml"), {}};
    for (nlohmann::json& line : record(name)) {
      line.erase("train/tok_per_sec");
      o.record.push_back(line.dump());
    }
    return o;
  }
  std::vector<nlohmann::json> record(const std::string& name) {
    std::vector<nlohmann::json> lines;
    std::istringstream file(read_file(root_ / name / "metrics.jsonl", "test"));
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }
  // The training loss of every step.
  std::vector<double> losses(const std::string& name) {
    std::vector<double> found;
    for (const nlohmann::json& line : record(name)) {
      if (line.contains("loss")) found.push_back(line["loss"]);
    }
    return found;
  }
  // The message of the error that f throws.
  template <class F>
  static std::string error_of(F f, ExitCode code) {
    try {
      f();
    } catch (const Error& e) {
      EXPECT_EQ(e.code, code) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "expected an error";
    return "";
  }

  const Scratch scratch_;
  const fs::path root_ = scratch_.path();
};

}  // namespace triarch::testing
