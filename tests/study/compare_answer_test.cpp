#include "triarch/study/compare_answer.h"

#include <gtest/gtest.h>

namespace triarch {
namespace {

// Contenders a, b, c ... of three seeds, each of whose items all have the seed's value.
class Answer : public ::testing::Test {
 protected:
  void add(const char* name, const std::vector<double>& runs) {
    ContenderReport& c = report_.contenders.emplace_back();
    c.name = c.label = name;
    c.runs = int64_t(runs.size());
    c.own_loss = 1;
    c.unigram_entropy = 2;
    Measurements m;
    for (double run : runs) m.values.push_back(std::vector<double>(20, run));
    estimates_.push_back(estimate(m));
  }
  std::string of(bool lower = false, const Guess& guess = {}) {
    report_.seeds = 3;
    rank(report_, {"understand", "score", lower}, estimates_, {" of 1"}, guess);
    return report_.uses.back().answer;
  }
  CompareReport report_;
  std::vector<Estimate> estimates_;
};

TEST_F(Answer, BestTiesAndWorse) {
  add("a", {0.50, 0.51, 0.52});
  add("b", {0.20, 0.21, 0.22});
  EXPECT_EQ(of(),
            "To understand: take the a, 0.510 of 1 (95 % 0.485 to 0.535), significantly better than the b (0.210).");
  EXPECT_EQ(of(true),
            "To understand: take the b, 0.210 of 1 (95 % 0.185 to 0.235), significantly better than the a (0.510).");
}

TEST_F(Answer, IntervalsStayWithinWhatAFigureCanBe) {
  report_.seeds = 3;
  add("a", {0.98, 0.99, 1.00});
  rank(report_, {"understand", "score", false}, estimates_, {" of 1", 3, {0, 1}});
  EXPECT_NE(report_.uses.back().answer.find("to 1.000)"), std::string::npos) << report_.uses.back().answer;
}

// c is not told apart from a, whose seeds vary, but is worse than b, which is not told apart from a either.
TEST_F(Answer, WorseThanOneOfTheBest) {
  add("a", {0.30, 0.10, 0.29});
  add("b", {0.16, 0.15, 0.17});
  add("c", {0.10, 0.09, 0.11});
  const std::string answer = of();
  EXPECT_NE(answer.find("no significant difference between the a, 0.230 of 1"), std::string::npos) << answer;
  EXPECT_NE(answer.find(", and the b (0.160)."), std::string::npos) << answer;
  EXPECT_NE(answer.find("Significantly worse: the c (0.100) than the b."), std::string::npos) << answer;
  EXPECT_EQ(report_.uses[0].ties, std::vector<std::string>{"b"});
}

TEST_F(Answer, SaysWhatItIsWorth) {
  add("a", {0.31, 0.30, 0.32});
  add("b", {0.30, 0.31, 0.30});
  EXPECT_EQ(of().find("Not even"), std::string::npos);
  EXPECT_NE(of(false, {0.305, "guessing"}).find("Not even the best is clearly above guessing."), std::string::npos);
  report_.contenders[0].own_loss = 2.5;
  EXPECT_NE(of().find("has not learnt even how often each token occurs"), std::string::npos);
  add("d", {0.9, 0.9});
  report_.contenders.back().failures = {"seed 3: diverged"};
  EXPECT_NE(of().find("Not ranked: the d (1 of 3 seeds failed)."), std::string::npos);
  add("c", {0.9, 0.9});
  const std::string answer = of();
  EXPECT_EQ(answer.rfind("To understand, so far: ", 0), 0u) << answer;
  EXPECT_NE(answer.find("Not finished: the c (2 of 3 seeds)."), std::string::npos) << answer;
}

}  // namespace
}  // namespace triarch
