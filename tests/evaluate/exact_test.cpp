#include "triarch/evaluate/exact.h"

#include <gtest/gtest.h>

#include <cmath>

#include "triarch/base/error.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

TEST(Exact, SharesByHand) {
  ExactAnswers a;
  EXPECT_THROW(a.exact_match(), Error);
  a.right = {"11", "10", "111"};
  a.nats = {0.5, 2, 1};
  EXPECT_DOUBLE_EQ(a.exact_match(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(a.token_accuracy(), 6.0 / 7);
  EXPECT_DOUBLE_EQ(a.nats_per_token(), 3.5 / 7);
}

// What is judged with the right tokens before is what greedy decoding would say.
TEST(Exact, TokensAreTheLikeliestOfEachPlace) {
  const Tokenizer bytes;
  for (const Family family : {Family::causal, Family::prefix, Family::encoder_decoder}) {
    ModelSpec spec = preset("world", family, 32, 1);
    spec.vocabulary = bytes.vocabulary();
    spec.max_positions = 64;
    Model model(spec, Precision::float32(), false);
    model.parameters().initialise(3);
    const auto item = [&](const char* prompt, const char* answer) {
      return ScoreItem{bytes.encode(prompt), bytes.encode(answer)};
    };
    ExactTask task{"any", {item("one", "two"), item("three", "x")}};
    // The model's own likeliest first token, then an unlikely one.
    const Score first = score(model, bytes, task.items)[1];
    task.items[1].continuation = {first.best[0], first.best[0] == 200 ? 201 : 200};
    const ExactAnswers a = answer_exactly(model, bytes, SuffixFormat::continuation, task);
    const std::vector<Score> scores = score(model, bytes, task.items);
    ASSERT_EQ(a.right.size(), 2u);
    EXPECT_EQ(a.right[1][0], '1');
    EXPECT_EQ(a.right[0].size(), 3u);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(a.right[i].find('0') == std::string::npos, scores[i].best == task.items[i].continuation);
      EXPECT_DOUBLE_EQ(a.nats[i], -scores[i].log_probability);
    }
  }
}

}  // namespace
}  // namespace triarch
