#include "triarch/study/reasons.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <span>

namespace triarch {
namespace {

// A contender with a score of held-out tasks, by seed, in both stages.
ContenderReport contender(const std::string& family, int64_t parameters, std::vector<double> pretrained,
                          std::vector<double> finetuned) {
  ContenderReport c;
  c.name = family + "-objective";
  c.label = family;
  c.runs = 3;
  c.parameters = parameters;
  const auto stage = [](const char* name, const char* group, std::vector<double> seeds) {
    StageReport s;
    s.stage = name;
    GroupReport g;
    g.name = group;
    g.score.seeds = std::move(seeds);
    s.scores.push_back(g);
    return s;
  };
  c.stages = {stage("pretrained", "seen", std::move(pretrained)), stage("finetuned", "held_out", std::move(finetuned))};
  return c;
}

DifferenceReport difference(const char* a, const char* b, double mean) {
  DifferenceReport d;
  d.measure = "generate";
  d.a = a, d.b = b;
  d.mean = mean, d.low = mean - 0.1, d.high = mean + 0.1;
  d.same_direction = d.significant = true;
  return d;
}

CompareReport comparison() {
  CompareReport r;
  r.contenders = {contender("causal", 100, {.50, .51, .52}, {.30, .31, .29}),
                  contender("prefix", 100, {.30, .31, .32}, {.50, .51, .50}),
                  contender("encoder_decoder", 160, {.10, .11, .12}, {.29, .33, .28})};
  r.uses.push_back({"generate", "suffix loss", true});
  r.differences = {difference("causal-objective", "prefix-objective", -.2),
                   difference("encoder_decoder-objective", "causal-objective", .4)};
  return r;
}

Verdict verdict(const std::vector<Evidence>& all, const char* reason) {
  return std::ranges::find(all, reason, &Evidence::reason)->verdict;
}

TEST(Reasons, OfAComparison) {
  CompareReport r = comparison();
  const auto all = evidence_of(r);
  EXPECT_EQ(verdict(all, "zero_shot"), Verdict::supported);
  EXPECT_EQ(verdict(all, "finetuned"), Verdict::supported);  // the prefix decoder is ahead
  EXPECT_EQ(verdict(all, "one_stack"), Verdict::supported);
  r.contenders[0].stages[0].suffix.emplace_back();
  EXPECT_EQ(verdict(evidence_of(r), "prediction"), Verdict::supported);

  // The same with seeds that disagree, and with the other sign.
  r = comparison();
  r.contenders[1].stages[0].scores[0].score.seeds = {.6, .2, .6};
  EXPECT_EQ(verdict(evidence_of(r), "zero_shot"), Verdict::undecided);
  r.contenders[1].stages[0].scores[0].score.seeds = {.7, .71, .72};
  EXPECT_EQ(verdict(evidence_of(r), "zero_shot"), Verdict::contradicted);
  r.differences[1].mean = -.4;  // the encoder-decoder has the lower loss
  EXPECT_EQ(verdict(evidence_of(r), "one_stack"), Verdict::contradicted);
  // Nothing is shown: that is no equality. Nor is it enough by one measure of two.
  r.differences[1].significant = false;
  EXPECT_EQ(verdict(evidence_of(r), "one_stack"), Verdict::undecided);
  r = comparison();
  r.uses.push_back({"understand", "score", false});
  r.differences.push_back(r.differences[1]);
  r.differences[2].measure = "understand", r.differences[2].significant = false;
  EXPECT_EQ(verdict(evidence_of(r), "one_stack"), Verdict::undecided);
  // Prompts that do not occur in the text are no zero-shot, as in a comparison's tables.
  r = comparison();
  for (ContenderReport& c : r.contenders) c.stages[0].scores[0].name = "all";
  const auto without = evidence_of(r);
  EXPECT_EQ(std::ranges::find(without, "zero_shot", &Evidence::reason), without.end());
}

// A difference that one rival shows by chance does not contradict.
TEST(Reasons, CorrectForSeveralRivals) {
  CompareReport r = comparison();
  r.contenders[0].stages[0].scores[0].score.seeds = {.50, .50, .50};
  r.contenders[1].stages[0].scores[0].score.seeds = {.52, .526, .514};
  r.contenders[2].stages[0].scores[0].score.seeds = {.50, .51, .49};
  EXPECT_EQ(verdict(evidence_of(r), "zero_shot"), Verdict::undecided);
  r.contenders.pop_back();
  EXPECT_EQ(verdict(evidence_of(r), "zero_shot"), Verdict::contradicted);
}

TEST(Reasons, WithoutMeasurementsThereIsNoEvidence) {
  EXPECT_TRUE(evidence_of({}).empty());
  const StudyReport r = reasons_study({});
  ASSERT_EQ(r.tables.size(), 3u);
  size_t listed = 0;
  for (const StudyTable& t : std::span(r.tables).first(2)) {
    for (const auto& row : t.rows) {
      ++listed;
      EXPECT_EQ(row.back(), "not measured");
    }
  }
  EXPECT_EQ(listed, reasons().size());
}

TEST(Reasons, CollectsVerdictsOfTheRightStudy) {
  const Found found[] = {{"rank", "rank/study.html", "triarch study rank", {{"rank", Verdict::contradicted, "Less."}}},
                         {"cost", "cost/study.html", "", {{"collapse", Verdict::supported, "Not its business."}}}};
  const StudyReport r = reasons_study(found);
  size_t contradicted = 0, measured = 0;
  for (const auto& row : r.tables[0].rows) {
    contradicted += row.back() == "contradicted";
    measured += row.back() != "not measured";
  }
  EXPECT_EQ(contradicted, 1u);
  EXPECT_EQ(measured, 1u);
  EXPECT_EQ(r.findings.size(), 2u);  // how many of each verdict, and this one
  // The last table says how each is judged.
  const StudyTable& judged = r.tables.back();
  EXPECT_EQ(judged.head[1], "judged by");
  EXPECT_EQ(judged.rows.size(), reasons().size());
  for (const auto& row : judged.rows) EXPECT_FALSE(row[1].empty()) << row[0];
}

TEST(Reasons, EachHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (const Reason& r : reasons()) EXPECT_TRUE(names.insert(r.name).second) << r.name;
}

}  // namespace
}  // namespace triarch
