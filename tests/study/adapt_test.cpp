#include "triarch/study/adapt.h"

#include <gtest/gtest.h>

#include "triarch/base/error.h"
#include "triarch/base/fields.h"
#include "triarch/data/vocabulary.h"

namespace triarch {
namespace {

TEST(Adapt, TokensToALossByHand) {
  const std::vector<LossPoint> curve = {{0, 5}, {100, 4}, {300, 2}, {400, 3}, {500, 1}};
  EXPECT_EQ(tokens_to(curve, 6), 0);
  EXPECT_EQ(tokens_to(curve, 5), 0);
  EXPECT_EQ(tokens_to(curve, 4.25), 75);
  EXPECT_EQ(tokens_to(curve, 3.5), 150);
  EXPECT_EQ(tokens_to(curve, 2), 300);
  EXPECT_EQ(tokens_to(curve, 1.5), 475);
  EXPECT_FALSE(tokens_to(curve, 0.9));
  EXPECT_FALSE(tokens_to({}, 1));
}

// Verses that are easy to learn, by bytes.
class AdaptTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<Document> learnt, held_out;
    for (int i = 0; i < 240; ++i) {
      const std::string text = "verse " + std::to_string(i * i % 97) + " of a song that goes on and on, verse " +
                               std::to_string(i * 7 % 89) + " comes next.";
      (i % 8 == 0 ? held_out : learnt).push_back({text, "", false, ""});
    }
    train_ = tokenize(learnt, tokenizer_);
    validation_ = tokenize(held_out, tokenizer_);
    vocabulary_ = vocabulary_of(tokenizer_);
    inputs_.tokenizer = &tokenizer_;
    inputs_.vocabulary = &vocabulary_;
    inputs_.validation = &validation_;
    inputs_.stages = {{&train_, 24000}};
    inputs_.preset = "llama";
    inputs_.width = 32;
    inputs_.layers = 2;
    inputs_.context = 48;
    inputs_.step_tokens = 384;
    inputs_.schedule.kind = ScheduleKind::constant;
    inputs_.points = 6;
    inputs_.validation_tokens = 1000;
  }
  Tokenizer tokenizer_;
  Vocabulary vocabulary_;
  TokenizedCorpus train_, validation_;
  TrialInputs inputs_;
};

TEST_F(AdaptTest, WhatIsLearntIsNotLearntAgain) {
  const AdaptationPlan plan{parse_contender("causal:next_token@1"), parse_contender("prefix:prefix_lm@1")};
  const auto a = run_adaptation(plan, 1, inputs_);
  ASSERT_TRUE(a);
  EXPECT_EQ(a->from, plan.from.name);
  EXPECT_NEAR(double(a->first_tokens), 24000, 400);
  ASSERT_EQ(a->adapted.size(), 7u);
  ASSERT_EQ(a->scratch.size(), 7u);
  for (size_t i = 0; i < 7; ++i) EXPECT_EQ(a->adapted[i].tokens, a->scratch[i].tokens);
  EXPECT_TRUE(a->initial.empty());
  // It begins far below the other, which ends far below where it began.
  EXPECT_LT(a->adapted.front().loss, a->scratch.front().loss - 1.5);
  EXPECT_LT(a->scratch.back().loss, a->scratch.front().loss - 1.5);
  ASSERT_TRUE(a->speedup) << to_json(*a);
  EXPECT_GT(*a->speedup, 1.2) << to_json(*a);
  EXPECT_NEAR(*a->speedup, a->scratch_tokens / a->adapted_tokens, 1e-12);
  EXPECT_EQ(to_json(*a), to_json(*run_adaptation(plan, 1, inputs_)));
  EXPECT_NE(to_json(*a), to_json(*run_adaptation(plan, 2, inputs_)));
}

TEST_F(AdaptTest, DivergenceIsAResult) {
  inputs_.optimizer.learning_rate = inputs_.optimizer.muon_learning_rate = 1e6;
  const auto a =
      run_adaptation({parse_contender("causal:next_token@1"), parse_contender("prefix:prefix_lm@1")}, 1, inputs_);
  ASSERT_TRUE(a);
  EXPECT_NE(a->failure.find("lower the learning rate"), std::string::npos) << to_json(*a);
}

TEST_F(AdaptTest, UsualOnes) {
  inputs_.stages[0].tokens = 1600;
  for (AdaptationPlan plan : default_adaptations()) {
    EXPECT_THROW(run_adaptation(plan, 1, inputs_), Error);  // at which learning rates?
    plan.from.rate = plan.to.rate = 1;
    SCOPED_TRACE(plan.from.name + " to " + plan.to.name);
    double last = 0;
    TrialEvents events;
    events.progress = [&](double share, int64_t) {
      EXPECT_GT(share, last);
      last = share;
      return true;
    };
    const auto a = run_adaptation(plan, 1, inputs_, events);
    ASSERT_TRUE(a);
    EXPECT_EQ(last, 1);
    EXPECT_TRUE(a->initial.empty());
    EXPECT_LE(a->adapted_tokens, double(a->adapted.back().tokens));
    int calls = 0;
    events.progress = [&](double, int64_t) { return ++calls < 6; };
    EXPECT_FALSE(run_adaptation(plan, 1, inputs_, events));
  }
}

}  // namespace
}  // namespace triarch
