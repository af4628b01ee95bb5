#include "triarch/evaluate/serving.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "triarch/base/error.h"
#include "triarch/base/fields.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

ModelSpec tiny(const std::string& name, Family family, Visibility visibility = Visibility::causal) {
  ModelSpec s = preset(name, family, 32, 2);
  s.vocabulary = Tokenizer().vocabulary();
  s.heads = 4;
  s.kv_heads = family == Family::permutation ? 4 : 2;
  s.head_dim = 8;
  s.max_positions = 64;
  if (visibility != Visibility::causal) s.decoder.visibility = visibility;
  return s;
}

// Rows of turn k, counted from 1, as the head of serving.h says.
int64_t formula(const ModelSpec& s, int64_t k, int64_t u, int64_t a) {
  switch (s.family) {
    case Family::causal:
      return u + a;
    case Family::prefix:
      return s.decoder.visibility == Visibility::turn_prefix ? u + a : k * (u + a);
    case Family::encoder_decoder:
      return k * (u + a) + 1;
    default:
      return k * (u + a) + a;
  }
}

TEST(Serving, RowsOfEveryTurnAreThoseOfTheFormula) {
  const std::vector<ModelSpec> specs = {tiny("llama", Family::causal),
                                        tiny("gpt2", Family::causal),
                                        tiny("llama", Family::prefix),
                                        tiny("llama", Family::prefix, Visibility::turn_prefix),
                                        tiny("llama", Family::prefix, Visibility::forward_backward),
                                        tiny("t5", Family::encoder_decoder),
                                        tiny("bart", Family::encoder_decoder),
                                        tiny("xlnet", Family::permutation)};
  for (const ModelSpec& spec : specs) {
    Model model(spec, Precision::float32(), false);
    model.parameters().initialise(1);
    for (const auto& [turns, user, answer] : {std::array<int64_t, 3>{5, 7, 3}, {3, 1, 5}, {2, 4, 1}}) {
      SCOPED_TRACE(spec.preset + ' ' + std::to_string(int(spec.decoder.visibility)) + ' ' + std::to_string(turns));
      ServingOptions o;
      o.prompt = 11;
      o.generated = 6;
      o.turns = turns;
      o.user = user;
      o.answer = answer;
      o.repeats = 2;
      const ServingCost cost = serving_cost(model, Tokenizer(), o);
      ASSERT_EQ(int64_t(cost.turns.size()), turns);
      int64_t sum = 0;
      for (int64_t k = 1; k <= turns; ++k) {
        EXPECT_EQ(cost.turns[size_t(k - 1)].rows, formula(spec, k, user, answer)) << "turn " << k;
        EXPECT_GT(cost.turns[size_t(k - 1)].ms, 0);
        sum += formula(spec, k, user, answer);
      }
      EXPECT_EQ(cost.turn_rows, sum);
      const bool reads_apart = spec.has_encoder(), asks = spec.family == Family::permutation;
      EXPECT_EQ(cost.prompt_rows, 11 + 1 + (reads_apart || asks ? 1 : 0));
      EXPECT_EQ(cost.token_rows, asks ? 2 : 1);
      EXPECT_GT(cost.ms_per_prompt, 0);
      EXPECT_GT(*cost.ms_per_token, 0);
      EXPECT_EQ(cost.cache_bytes_per_token, 2 * 2 * spec.kv_heads * spec.head_dim * 4);  // layers, keys and values
      EXPECT_EQ(cost.cross_cache_bytes, reads_apart ? 12 * cost.cache_bytes_per_token : 0);
    }
  }
}

TEST(Serving, EncodersEmbed) {
  Model model(tiny("bert", Family::encoder), Precision::float32(), false);
  model.parameters().initialise(1);
  ServingOptions o;
  o.prompt = 62;
  o.repeats = 1;
  ServingCost cost = serving_cost(model, Tokenizer(), o);
  EXPECT_EQ(cost.prompt_rows, 64);
  EXPECT_GT(cost.ms_per_prompt, 0);
  EXPECT_FALSE(cost.ms_per_token);
  EXPECT_TRUE(cost.turns.empty());
  EXPECT_NE(to_json(cost).find("\"ms_per_token\": null"), std::string::npos) << to_json(cost);
  o.prompt = 63;
  EXPECT_THROW(serving_cost(model, Tokenizer(), o), Error);
}

TEST(Serving, SaysWhatIsWrong) {
  Model model(tiny("gpt2", Family::causal), Precision::float32(), false);
  model.parameters().initialise(1);
  const auto code = [&](const ServingOptions& o) {
    try {
      serving_cost(model, Tokenizer(), o);
    } catch (const Error& e) {
      return e.code;
    }
    return ExitCode::ok;
  };
  ServingOptions o{.prompt = 31, .generated = 32, .turns = 0, .repeats = 1};
  EXPECT_EQ(code(o), ExitCode::ok);  // to the last position
  o.prompt = 32;
  EXPECT_EQ(code(o), ExitCode::usage);
  o = {.prompt = 0};
  EXPECT_EQ(code(o), ExitCode::usage);
  o = {.prompt = 8, .generated = 1};
  EXPECT_EQ(code(o), ExitCode::usage);
}

}  // namespace
}  // namespace triarch
