#include "triarch/study/compare.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/base/signals.h"
#include "triarch/study/compare_board.h"
#include "triarch/study/compare_data.h"
#include "triarch/study/compare_report.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class CompareTest : public ::testing::Test {
 protected:
  const Scratch scratch_;
  const fs::path folder_ = scratch_.path();
};

// The built-in world at a hundredth of the tokens.
CompareConfig small_world() {
  CompareConfig config;
  config.tokens = 4000;
  config.seeds = 2;
  config.suffix_items = 40;
  config.task_items = 2;
  return config;
}

// Without what may differ: times, and the name of the folder.
json essence(json report) {
  if (report.is_object()) {
    report.erase("seconds");
    if (report.contains("trials")) report.erase("name");
  }
  if (report.is_structured()) {
    for (json& child : report) child = essence(child);
  }
  return report;
}

json report_json(const Comparison& c) { return essence(json::parse(to_json(report_of(c)))); }

TEST_F(CompareTest, SameResultForAnyNumberOfJobs) {
  const auto one = Comparison::create(small_world(), folder_ / "one", 1);
  const auto two = Comparison::create(small_world(), folder_ / "two", 2);
  ASSERT_TRUE(one->work(1, {}));
  ASSERT_TRUE(two->work(2, {}));
  const json report = report_json(*one);
  EXPECT_EQ(report, report_json(*two));

  EXPECT_EQ(report["finished"], 8);
  ASSERT_EQ(report["contenders"].size(), 4u);
  for (const json& c : report["contenders"]) {
    SCOPED_TRACE(c["title"].dump());
    // Equal by construction.
    ASSERT_EQ(c["stages"].size(), 2u);
    for (int stage : {0, 1}) {
      EXPECT_EQ(c["stages"][stage]["tokens"], report["contenders"][0]["stages"][stage]["tokens"]);
      EXPECT_EQ(c["stages"][stage]["steps"], report["contenders"][0]["stages"][stage]["steps"]);
      EXPECT_NEAR(c["stages"][stage]["tokens"].get<double>(), stage == 0 ? 4000 : 1500, 64);
      EXPECT_EQ(c["stages"][stage]["tasks"].size(), 26u);
      // Nothing is learnt in 4,000 tokens.
      EXPECT_EQ(c["stages"][stage]["above"], 0);
      EXPECT_EQ(c["stages"][stage]["scores"].size(), 6u);
    }
    // Answers have few tokens.
    EXPECT_LT(c["stages"][1]["targets"].get<double>(), 800);
    EXPECT_GT(c["own_loss"].get<double>(), 1);
    EXPECT_GT(c["unigram_entropy"].get<double>(), 2);
    EXPECT_GE(c["samples"].size(), 1u);
    EXPECT_EQ(c["curves"].size(), 2u);
    const bool encoder = c["name"] == "encoder-masked_lm";
    EXPECT_EQ(c["stages"][0]["suffix"].size(), encoder ? 0u : 1u);
    if (!encoder) {
      const json& f = c["stages"][0]["suffix"][0];
      EXPECT_LE(f["low"].get<double>(), f["mean"].get<double>());
      EXPECT_GE(f["high"].get<double>(), f["mean"].get<double>());
    }
  }
  // Three pairs of generators, and six of contenders on either kind of task.
  EXPECT_EQ(report["differences"].size(), 3u + 6u + 6u);
  ASSERT_EQ(report["uses"].size(), 3u);
  EXPECT_EQ(report["uses"][0]["name"], "generate");
  EXPECT_EQ(report["uses"][0]["best"].get<std::string>().find("encoder-"), std::string::npos);
}

// What longer comparisons have, and another precision of "equal".
TEST_F(CompareTest, FewShotHeadsAndAdaptation) {
  CompareConfig config = small_world();
  config.seeds = 1;
  config.tokens = 6000;
  config.shots = 2;
  config.heads = config.adapt = true;
  config.match = Match::flops;
  const auto c = Comparison::create(config, folder_ / "all", 2);
  ASSERT_EQ(c->trials().size(), 4u + 3u);
  ASSERT_TRUE(c->work(2, {}));
  const CompareReport r = report_of(*c);
  EXPECT_EQ(r.finished, 7);
  ASSERT_EQ(r.adaptations.size(), 3u);
  for (const AdaptationReport& a : r.adaptations) {
    EXPECT_EQ(a.runs, 1);
    EXPECT_NEAR(double(a.tokens), 6000 / 8, 300);
    EXPECT_GT(a.target_loss, 1);
  }
  std::vector<double> flops;
  for (const ContenderReport& x : r.contenders) {
    SCOPED_TRACE(x.title);
    flops.push_back(x.stages[0].flops);
    // Tags are not for encoder-decoders.
    ASSERT_EQ(x.heads.size(), x.name.starts_with("encoder_decoder") ? 1u : 2u);
    for (const HeadReport& h : x.heads) {
      EXPECT_GT(h.majority, 0.45);
      EXPECT_LT(h.majority, 0.9);
      EXPECT_GT(h.accuracy.mean, 0.3);
    }
    std::vector<std::string> groups;
    for (const GroupReport& g : x.stages[0].scores) groups.push_back(g.name);
    EXPECT_NE(std::ranges::find(groups, "few_shot"), groups.end());
    EXPECT_NE(std::ranges::find(groups, "few_shot_without"), groups.end());
    EXPECT_EQ(x.stages[0].tasks.size(), 26u);
    ASSERT_FALSE(x.attention.empty());
    EXPECT_EQ(x.attention[0].rows.size(), x.attention[0].queries.size());
    EXPECT_EQ(x.attention[0].rows[0].size(), 2 * x.attention[0].keys.size());
  }
  const auto [least, most] = std::ranges::minmax(flops);
  EXPECT_LT(most, 1.1 * least);
  std::vector<std::string> uses;
  for (const MeasureReport& m : r.uses) uses.push_back(m.name);
  EXPECT_EQ(uses, (std::vector<std::string>{"generate", "understand", "transform", "classify", "tag"}));

  write_board(*c);
  EXPECT_TRUE(fs::is_directory(folder_ / "all" / "tensorboard" / "causal-next_token.1"));
}

TEST(Match, SharesTheBudgetAndFindsWidths) {
  std::vector<Contender> all = {parse_contender("causal"), parse_contender("encoder_decoder"),
                                parse_contender("encoder_decoder/half")};
  std::vector<TrialCost> costs(3);
  costs[0].flops_per_token = 1, costs[1].flops_per_token = 2, costs[2].flops_per_token = 3;
  share_tokens(Match::flops, all, costs);
  EXPECT_EQ(all[0].token_share, 2);
  EXPECT_EQ(all[1].token_share, 1);
  EXPECT_NEAR(all[2].token_share, 2. / 3, 1e-3);
  for (int64_t width : {64, 128}) {
    match_parameters(all, "llama", width, 4, 2048, 128);
    std::vector<double> counts;
    for (const Contender& c : all) {
      const ModelSpec spec = model_of(c, "llama", width, 4, 2048, 128);
      EXPECT_EQ(spec.heads * spec.head_dim, spec.width);
      counts.push_back(double(Model(spec, Precision::float32(), false).parameters().count()));
    }
    EXPECT_EQ(all[0].width, 0);
    EXPECT_LT(all[1].width, width);
    for (double n : counts) EXPECT_NEAR(n / counts[0], 1, 0.12);
  }
}

TEST_F(CompareTest, ResumesAfterAnInterruptToTheSameReport) {
  const auto whole = Comparison::create(small_world(), folder_ / "whole", 2);
  ASSERT_TRUE(whole->work(2, {}));
  const fs::path folder = folder_ / "interrupted";
  {
    const auto first = Comparison::create(small_world(), folder, 2);
    const StopSignals signals;
    CompareEvents events;
    bool raised = false;
    events.progress = [&](const CompareEvents::State& s) {
      if (s.done >= 3 && !raised) std::raise(SIGTERM);
      raised = raised || s.done >= 3;
    };
    ::testing::internal::CaptureStderr();
    EXPECT_FALSE(first->work(2, events));
    ::testing::internal::GetCapturedStderr();
    const int64_t finished = report_of(*first).finished;
    EXPECT_GE(finished, 3);
    EXPECT_LT(finished, 8);
  }
  WorkQueue queue(folder);
  EXPECT_TRUE(fs::is_empty(folder / "working"));
  ASSERT_GT(queue.waiting(), 0u);
  const StopSignals fresh;  // forgets the signal
  const auto second = Comparison::open(folder);
  // A worker of this machine that died: its claim is taken back.
  const fs::path waiting = fs::directory_iterator(folder / "queue")->path();
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  fs::rename(waiting, folder / "working" / (waiting.filename().string() + "@" + host + "-999999999"));
  ASSERT_TRUE(second->work(2, {}));
  EXPECT_EQ(report_json(*second), report_json(*whole));
  EXPECT_TRUE(fs::is_empty(folder / "working"));
}

TEST_F(CompareTest, LearnsFromATextAndFromPairs) {
  const fs::path text = folder_ / "text.txt";
  {
    std::ofstream out(text);
    for (int i = 0; i < 400; ++i) {
      out << "line " << i % 7 << " of a song that has " << i % 5 << " verses and goes on\n";
    }
  }
  CompareConfig config;
  config.data.inputs = {text.string()};
  config.tokens = 6000;
  config.seeds = 1;
  config.suffix_items = 20;
  config.contenders = {parse_contender("causal"), parse_contender("encoder_decoder:span_corruption"),
                       parse_contender("permutation")};
  const auto c = Comparison::create(config, folder_ / "text", 2);
  EXPECT_NE(report_of(*c).uses.at(0).answer.find("so far"), std::string::npos);
  EXPECT_NE(report_of(*c).uses.at(0).answer.find("(0 of 1 seeds)"), std::string::npos);
  ASSERT_TRUE(c->work(2, {}));
  const CompareReport r = report_of(*c);
  const ContenderReport& best = *std::ranges::find(r.contenders, r.uses.at(0).best, &ContenderReport::name);
  EXPECT_EQ(r.uses[0].answer.find("not learnt even") != std::string::npos, best.own_loss >= best.unigram_entropy);
  EXPECT_EQ(r.contenders[0].suffix_format, "continuation");
  EXPECT_EQ(r.contenders[1].suffix_format, "span");
  // One seed claims nothing.
  for (const DifferenceReport& d : r.differences) EXPECT_FALSE(d.significant);
  ASSERT_EQ(r.uses.size(), 1u);
  EXPECT_NE(r.uses[0].answer.find("no significant difference"), std::string::npos);
  // The text has changed: no resuming.
  std::ofstream(text, std::ios::app) << "and on\n";
  EXPECT_THROW(Comparison::open(folder_ / "text"), Error);

  const fs::path pairs = folder_ / "pairs.tsv";
  {
    std::ofstream out(pairs);
    for (int i = 0; i < 200; ++i) out << "number " << i << "\t" << i << " number, " << i % 10 << "\n";
  }
  CompareConfig paired;
  paired.data.inputs = {pairs.string()};
  paired.tokens = 4000;
  paired.seeds = 1;
  const auto p = Comparison::create(paired, folder_ / "pairs", 2);
  ASSERT_TRUE(p->work(2, {}));
  EXPECT_EQ(report_of(*p).contenders.size(), 3u);
  EXPECT_EQ(report_of(*p).finished, 3);
}

TEST_F(CompareTest, SweepsLearningRates) {
  CompareConfig config = small_world();
  config.contenders = {parse_contender("causal"), parse_contender("encoder")};
  config.sweep = true;
  config.optimizer.muon_learning_rate = 1;  // far too high: lower ones win
  config.optimizer.learning_rate = 0.1;
  EXPECT_EQ(Comparison::create(config, folder_ / "stopped", 2, false, [](double) { return false; }), nullptr);
  EXPECT_FALSE(fs::exists(folder_ / "stopped"));
  const auto c = Comparison::create(config, folder_ / "swept", 2);
  const CompareConfig& k = c->config();
  ASSERT_EQ(k.swept.size(), 2 * std::size(kSweptRates));
  for (size_t i = 0; i < 2; ++i) {
    for (const SweepPoint& p : k.swept) {
      if (p.contender != k.contenders[i].name) continue;
      const auto best = std::ranges::find_if(
          k.swept, [&](const SweepPoint& q) { return q.contender == p.contender && q.rate == k.contenders[i].rate; });
      if (!p.loss) continue;  // it diverged
      EXPECT_LE(*best->loss, *p.loss);
      EXPECT_GT(*p.loss, 0);
    }
    EXPECT_LT(k.contenders[i].rate, 1);
  }
  // Resumed without sweeping again.
  EXPECT_EQ(Comparison::open(folder_ / "swept")->config().contenders[0].rate, k.contenders[0].rate);
}

TEST_F(CompareTest, SweepSaysWhatDivergesEverywhere) {
  CompareConfig config = small_world();
  config.contenders = {parse_contender("causal")};
  config.sweep = true;
  config.optimizer.muon_learning_rate = config.optimizer.learning_rate = 1e9;
  try {
    Comparison::create(config, folder_ / "none", 2);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code, ExitCode::diverged);
    EXPECT_NE(std::string(e.what()).find("diverged at all learning rates"), std::string::npos) << e.what();
  }
}

// What finetuning on a file of questions shows is what they are asked in, with some text as before.
TEST_F(CompareTest, FinetunesOnOwnTasksInTheTokensThatAreAsked) {
  const fs::path text = folder_ / "text.txt", tasks = folder_ / "tasks.jsonl";
  {
    std::ofstream out(text), questions(tasks);
    for (int i = 0; i < 400; ++i)
      out << "verse " << i * i % 97 << " of a song that goes on, verse " << i % 89 << ".\n\n";
    for (int i = 0; i < 300; ++i) {
      questions << json{{"prompt", "verse " + std::to_string(i) + " comes before"},
                        {"candidates", {"verse " + std::to_string(i + 1), "song"}},
                        {"answer", 0}}
                << "\n";
    }
  }
  CompareConfig config;
  config.data.inputs = {text.string()};
  config.data.tokenizer = "bytes";
  config.tasks = {tasks.string()};
  config.task_items = 20;
  config.context = 64;
  config.rehearsal = 0.25;
  const CompareData d = read_compare_data(config, nullptr);
  const TokenizedCorpus& x = d.instructions;
  int64_t rehearsed = 0;
  for (int64_t i = 0; i < x.documents(); ++i) {
    const auto begin = size_t(x.target_begins[size_t(i)]), end = size_t(x.target_begins[size_t(i) + 1]);
    if (begin == end) {
      rehearsed += x.begins[size_t(i) + 1] - x.begins[size_t(i)];
    } else {
      EXPECT_EQ(d.tokenizer.decode({x.target_ids.begin() + ptrdiff_t(begin), x.target_ids.begin() + ptrdiff_t(end)})[0],
                ' ');
    }
  }
  EXPECT_NEAR(double(rehearsed) / double(x.tokens()), 0.25, 0.01);
  // Other questions are another comparison's.
  config.tasks = {};
  EXPECT_NE(read_compare_data(config, nullptr).hash, d.hash);
}

TEST(CompareBudget, InWords) {
  CompareConfig c;
  set_budget(c, "3m");
  EXPECT_EQ(c.seconds, 180);
  set_budget(c, "500k tokens");
  EXPECT_EQ(c.tokens, 500000);
  EXPECT_EQ(c.seconds, 0);
  set_budget(c, "2.5Mtokens");
  EXPECT_EQ(c.tokens, 2500000);
  for (const char* wrong : {"", "3", "m", "-3m", "3 parsecs", "0s", "inf s"}) {
    EXPECT_THROW(set_budget(c, wrong), Error) << wrong;
  }
}

TEST(Contenders, InWords) {
  EXPECT_EQ(parse_contender("causal").name, "causal-next_token");
  EXPECT_EQ(parse_contender("encoder_decoder:span_corruption+prefix_lm").title(),
            "encoder-decoder (span corruption + prefix LM)");
  EXPECT_EQ(parse_contender("causal@0.25").text(), "causal:next_token@0.25");
  EXPECT_EQ(parse_contender("encoder_decoder").text(), "encoder_decoder:span_corruption+prefix_lm");
  for (const char* wrong : {"causal@", "causal@0", "causal@-1", "causal@fast", "causal@1e9"}) {
    EXPECT_THROW(parse_contender(wrong), Error) << wrong;
  }
  EXPECT_EQ(parse_contender("encoder_decoder/shared:prefix_lm").text(), "encoder_decoder/shared:prefix_lm");
  EXPECT_EQ(parse_contender("encoder/forward_backward").title(), "forward-backward encoder (masked LM)");
  EXPECT_EQ(parse_contender("encoder_decoder/causal:prefix_lm").title(), "encoder-decoder, causal encoder (prefix LM)");
  const auto stack = [](const char* text) {
    const ModelSpec spec = model_of(parse_contender(text), "world", 64, 2, 222, 64);
    return spec.has_encoder() ? spec.encoder : spec.decoder;
  };
  EXPECT_EQ(stack("encoder/causal").visibility, Visibility::causal);
  EXPECT_FALSE(stack("encoder_decoder/forward_backward").alternate);
  for (const char* by_layers : {"encoder", "encoder_decoder", "prefix"}) {
    const StackSpec s = stack((std::string(by_layers) + "/forward_backward_layers").c_str());
    EXPECT_EQ(s.visibility, Visibility::forward_backward) << by_layers;
    EXPECT_TRUE(s.alternate) << by_layers;
  }
  for (const char* wrong : {"causal/shared", "prefix/causal", "causal/forward_backward", "encoder/", "encoder/none"}) {
    EXPECT_THROW(parse_contender(wrong), Error) << wrong;
  }
  EXPECT_EQ(swept_rate(parse_contender("prefix"), 64), 0.6);
  EXPECT_EQ(swept_rate(parse_contender("prefix"), 80), 0.6);
  EXPECT_EQ(swept_rate(parse_contender("prefix"), 4096), 0.36);
  EXPECT_EQ(swept_rate(parse_contender("prefix:span_corruption"), 64), 1);
  EXPECT_EQ(wang_contenders().size(), 6u);
  EXPECT_EQ(all_contenders().size(), 12u);
  for (const Contender& c : all_contenders()) {
    EXPECT_EQ(parse_contender(c.text()).name, c.name);
    const ModelSpec spec = model_of(c, "world", 64, 2, 222, 64);
    EXPECT_EQ(spec.share_stacks, c.variant == Variant::shared);
    EXPECT_EQ(spec.encoder.layers, !spec.has_encoder() ? 0 : c.variant == Variant::half ? 1 : 2);
  }
  EXPECT_THROW(parse_contender("causl"), Error);
  EXPECT_THROW(parse_contender("encoder:next_token"), Error);
  EXPECT_THROW(parse_contender("causal:next_tokn"), Error);
}

TEST(Curriculum, ShowsEveryTokenOnceInAnEpochAndCutsByTokens) {
  const Tokenizer bytes;
  std::vector<Document> documents;
  for (int i = 0; i < 31; ++i) documents.push_back({std::string(size_t(1 + i * 3), char('a' + i % 26)), "", false, ""});
  const TokenizedCorpus corpus = tokenize(documents, bytes);
  const Curriculum c({{&corpus, corpus.tokens()}}, 33, 67, 5);
  std::vector<int> seen(corpus.ids.size(), 0);
  int64_t total = 0;
  for (int64_t s = 0; s < c.steps(); ++s) {
    int64_t in_step = 0;
    for (const Curriculum::Shown& shown : c.step(s)) {
      const Piece& p = shown.piece;
      EXPECT_LE(p.end - p.begin, 33);
      in_step += p.end - p.begin;
      for (int64_t t = p.begin; t < p.end; ++t) ++seen[size_t(corpus.begins[size_t(p.document)] + t)];
    }
    EXPECT_GT(in_step, 0);
    EXPECT_LE(in_step, 67);
    total += in_step;
  }
  EXPECT_EQ(total, corpus.tokens());
  EXPECT_EQ(c.tokens(), total);
  for (int n : seen) EXPECT_EQ(n, 1);
  // Another seed is another order; more epochs begin with the same.
  const Curriculum more({{&corpus, 2 * corpus.tokens()}}, 33, 67, 5), other({{&corpus, corpus.tokens()}}, 33, 67, 6);
  EXPECT_GE(more.tokens(), 2 * corpus.tokens());
  EXPECT_EQ(more.step(0)[0].piece, c.step(0)[0].piece);
  EXPECT_NE(other.step(0)[0].piece, c.step(0)[0].piece);
}

}  // namespace
}  // namespace triarch
