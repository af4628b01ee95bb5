// Texts from prompts: batches, seeds, stop strings, streams.
#include "triarch/inference/generate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/inference/tiny.h"
#include "triarch/base/error.h"

namespace triarch {
namespace {

const Tokenizer kBytes;

std::unique_ptr<Model> model_of(const Kind& kind, Precision precision = Precision::float64()) {
  return random_model(tiny_spec(kind, kBytes.vocabulary()), precision);
}

// Makes a model say a text, whatever it would like to say; eos at its end.
Request scripted(const std::string& text, const GenerateOptions& options) {
  Request r;
  r.source = kBytes.encode("ab");
  r.options = options;
  Ids script = kBytes.encode(text);
  script.push_back(kBytes.specials().eos);
  r.adjust = [script](std::span<double> logits, std::span<const int32_t> answer) {
    const int32_t id = script[answer.size()];
    for (size_t i = 0; i < logits.size(); ++i) logits[i] = int32_t(i) == id ? 0 : -HUGE_VAL;
  };
  return r;
}

struct Heard {
  Generation generation;
  std::vector<std::string> pieces;
};
Heard say(const std::string& text, const GenerateOptions& options, size_t hang_up_after = 1000) {
  static const auto model = model_of({"llama", Family::causal, 2});
  Session session(*model, kBytes.specials(), {.rows = 50});
  Heard out;
  Request r = scripted(text, options);
  r.on_text = [&](int64_t, std::string_view piece) {
    out.pieces.emplace_back(piece);
    return out.pieces.size() < hang_up_after;
  };
  std::vector<Request> one;
  one.push_back(std::move(r));
  out.generation = generate(session, kBytes, std::move(one))[0][0];
  return out;
}
std::string joined(const std::vector<std::string>& pieces) {
  std::string out;
  for (const std::string& p : pieces) out += p;
  return out;
}

// What goes wrong while several answers' tokens are chosen at once is one error, from the calling thread.
TEST(Generate, AnErrorInOneAnswerIsThrown) {
  static const auto model = model_of({"llama", Family::causal, 2});
  Session session(*model, kBytes.specials(), {.slots = 3, .rows = 50});
  std::vector<Request> requests;
  for (int i = 0; i < 3; ++i) {
    requests.push_back(scripted("some text", {}));
    if (i == 1) {
      requests.back().adjust = [](std::span<double> logits, std::span<const int32_t> answer) {
        if (answer.size() == 2) logits[5] = std::nan("");
      };
    }
  }
  try {
    generate(session, kBytes, std::move(requests));
    FAIL() << "expected an error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("diverged"), std::string::npos) << e.what();
  }
}

TEST(Generate, StopStringsAcrossTokens) {
  GenerateOptions o;
  o.stop = {"stop!", "halt"};
  Heard h = say("go on and stop! more", o);
  EXPECT_EQ(h.generation.text, "go on and ");
  EXPECT_EQ(joined(h.pieces), "go on and ");
  EXPECT_EQ(h.generation.finish, Finish::stop);
  EXPECT_EQ(kBytes.decode(h.generation.ids), "go on and stop!");
  // What only begins like a stop string comes out after all.
  h = say("a stop, a ha", o);
  EXPECT_EQ(h.generation.text, "a stop, a ha");
  EXPECT_EQ(joined(h.pieces), "a stop, a ha");
  EXPECT_EQ(h.generation.finish, Finish::eos);
  // A beginning inside of a beginning.
  o.stop = {"aab"};
  EXPECT_EQ(say("xaaab", o).generation.text, "xa");
  // The earliest of several, and one that begins the text.
  o.stop = {"cd", "bcd"};
  EXPECT_EQ(say("abcd", o).generation.text, "a");
  o.stop = {"ab"};
  EXPECT_EQ(say("abc", o).generation.text, "");
}

TEST(Generate, StreamsWholeCharacters) {
  GenerateOptions o;
  const std::string text = "né€😀x";
  Heard h = say(text, o);
  EXPECT_EQ(h.pieces, (std::vector<std::string>{"n", "é", "€", "😀", "x"}));
  EXPECT_EQ(h.generation.text, text);
  EXPECT_EQ(h.generation.ids.size(), text.size());
  // The length ends inside of a character.
  o.max_tokens = 5;
  h = say(text, o);
  EXPECT_EQ(h.generation.text, "né�");
  EXPECT_EQ(joined(h.pieces), h.generation.text);
  EXPECT_EQ(h.generation.finish, Finish::length);
  // A stop string of several bytes.
  o = {};
  o.stop = {"€"};
  EXPECT_EQ(say(text, o).generation.text, "né");
}

TEST(Generate, Ends) {
  GenerateOptions o;
  o.max_tokens = 1000;
  const Heard full = say(std::string(80, 'x'), o);  // 50 rows: bos, 2 of the prompt; the last token needs none
  EXPECT_EQ(full.generation.finish, Finish::length);
  EXPECT_EQ(full.generation.ids.size(), 48u);
  const Heard hung_up = say("abcdef", o, 3);
  EXPECT_EQ(hung_up.generation.finish, Finish::cancelled);
  EXPECT_EQ(hung_up.generation.text, "abc");
  EXPECT_STREQ(finish_name(Finish::length), "length");
}

TEST(Generate, ManyAreOneByOne) {
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = model_of(kind);
    std::vector<Request> requests;
    for (size_t i = 0; i < 7; ++i) {
      Request r;
      r.source = random_ids(int64_t(2 + 3 * (i % 4)), 110, kBytes.vocabulary(), i);
      if (i % 2) r.start = random_ids(int64_t(i), 110, kBytes.vocabulary(), i);
      r.options.sampling.seed = i;
      r.options.max_tokens = int64_t(3 + 2 * i);
      r.options.n = i == 3 ? 3 : 1;
      if (i == 5) r.options.sampling.temperature = 0;
      requests.push_back(std::move(r));
    }
    // Three slots for nine answers; the rows that all of them need.
    const SessionOptions room = room_for(model->spec(), requests, 3);
    EXPECT_EQ(room.slots, 3);
    EXPECT_LE(room.rows, 30);
    Session many(*model, kBytes.specials(), room);
    const auto together = generate(many, kBytes, requests);
    for (size_t i = 0; i < requests.size(); ++i) {
      Session one(*model, kBytes.specials(), {.rows = 40});
      const auto alone = generate(one, kBytes, {requests[i]});
      ASSERT_EQ(alone[0].size(), together[i].size());
      for (size_t k = 0; k < alone[0].size(); ++k) {
        EXPECT_EQ(alone[0][k].ids, together[i][k].ids);
        EXPECT_EQ(alone[0][k].text, together[i][k].text);
        EXPECT_NEAR(alone[0][k].log_probability, together[i][k].log_probability, 1e-8);
      }
    }
    EXPECT_NE(together[3][0].ids, together[3][1].ids);
    EXPECT_EQ(room_for(model->spec(), requests).slots, 9);
  }
}

TEST(Generate, RoomForRequests) {
  Request r;
  r.source = random_ids(20, 110, kBytes.vocabulary(), 1);
  r.start = random_ids(3, 110, kBytes.vocabulary(), 2);
  r.options.max_tokens = 5;
  const auto room = [&](Family family, std::vector<Request> requests) {
    const SessionOptions o = room_for(tiny_spec({"llama", family}, kBytes.vocabulary()), requests, 4);
    return std::vector<int64_t>{o.slots, o.rows, o.memory_rows};
  };
  EXPECT_EQ(room(Family::causal, {r, r})[0], 2);
  EXPECT_EQ(room(Family::causal, {r, r})[1], 1 + 20 + 3 + 5);
  EXPECT_EQ(room(Family::encoder_decoder, {r, r}), (std::vector<int64_t>{2, 1 + 3 + 5, 20 + 1}));
  EXPECT_EQ(room(Family::encoder_decoder, {}), (std::vector<int64_t>{1, 1, 1}));
  r.options.max_tokens = INT32_MAX;
  EXPECT_EQ(room(Family::causal, std::vector<Request>(7, r)), (std::vector<int64_t>{4, 64, 21}));
}

TEST(Generate, SeedsReproduce) {
  const auto model = model_of({"llama", Family::causal, 2}, Precision::float32());
  Session session(*model, kBytes.specials(), {.slots = 2, .rows = 60});
  GenerateOptions o;
  o.max_tokens = 30;
  const Generation a = generate(session, kBytes, "hello", o), b = generate(session, kBytes, "hello", o);
  o.sampling.seed = 2;
  const Generation c = generate(session, kBytes, "hello", o);
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_NE(a.ids, c.ids);
}

// Greedy choices and log-probabilities, from logits without a cache.
TEST(Generate, GreedyIsArgmax) {
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = model_of(kind);
    Session session(*model, kBytes.specials(), {.rows = 40});
    Request r;
    r.source = kBytes.encode("what ");
    r.options.sampling.temperature = 0;
    r.options.max_tokens = 8;
    r.options.top = 3;
    r.options.ignore_eos = true;
    const Generation g = generate(session, kBytes, {r})[0][0];
    ASSERT_EQ(g.ids.size(), 8u);
    const Logits expected = uncached(*model, kBytes.specials(), r.source, g.ids);
    Ids never = suppressed(kBytes.specials(), false);
    never.push_back(kBytes.specials().eos);
    double sum = 0;
    for (size_t i = 0; i < g.ids.size(); ++i) {
      std::vector<double> z = log_softmax(expected.row(int64_t(i)));
      EXPECT_NEAR(g.log_probabilities[i], z[size_t(g.ids[i])], 1e-9);
      sum += z[size_t(g.ids[i])];
      EXPECT_EQ(g.top[i].size(), 3u);
      EXPECT_EQ(g.top[i][0].id, argmax(z));
      EXPECT_NEAR(std::log(g.top[i][0].probability), z[size_t(argmax(z))], 1e-9);
      suppress(z, never);
      EXPECT_EQ(g.ids[i], argmax(z));
    }
    EXPECT_NEAR(g.log_probability, sum, 1e-8);
  }
}

TEST(Generate, SaysWhatIsWrong) {
  const auto model = model_of({"llama", Family::causal, 2});
  Session session(*model, kBytes.specials(), {.rows = 10});
  GenerateOptions o;
  EXPECT_THROW(generate(session, kBytes, "a prompt of too many bytes", o), Error);
  o.max_tokens = 0;
  EXPECT_THROW(generate(session, kBytes, "a", o), Error);
  o = {};
  o.stop = {""};
  EXPECT_THROW(generate(session, kBytes, "a", o), Error);
  const auto small = random_model(tiny_spec({"llama", Family::causal, 2}, 50), Precision::float32());
  Specials special = kBytes.specials();
  Session other(*small, special, {.rows = 10});
  EXPECT_THROW(generate(other, kBytes, "a"), Error);
}

}  // namespace
}  // namespace triarch
