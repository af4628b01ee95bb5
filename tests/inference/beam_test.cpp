// Beam search against all answers there are.
#include "triarch/inference/beam.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/inference/tiny.h"
#include "triarch/base/error.h"
#include "triarch/inference/fill.h"
#include "triarch/inference/generate.h"
#include "triarch/inference/score.h"

namespace triarch {
namespace {

// Three words and eos.
const Tokenizer kWords = Tokenizer::of_words({"a", "b", "c"}, 2);

std::vector<Kind> some() {
  return {{"llama", Family::causal, 2}, {"t5", Family::encoder_decoder, 4}, {"xlnet", Family::permutation, 4}};
}

Ids words(int64_t count, uint64_t seed) {
  return random_ids(count, kWords.specials().size(), kWords.vocabulary(), seed);
}

TEST(Beam, AllBeamsAreExhaustiveSearch) {
  const Specials special = kWords.specials();
  for (const Kind& kind : some()) {
    for (double penalty : {0.0, 1.0, 2.0}) {
      SCOPED_TRACE(name_of(kind) + " penalty " + std::to_string(penalty));
      const auto model = random_model(tiny_spec(kind, kWords.vocabulary()), Precision::float64(), 5);
      const Ids source = words(5, 2);
      // Every answer of at most three tokens: 1 + 3 + 9 that end, 27 that do not.
      std::vector<Beam> all;
      const auto walk = [&](auto self, const Ids& ids, double log_p) -> void {
        if (ids.size() == 3) {
          all.push_back({ids, log_p, log_p / std::pow(3, penalty), false});
          return;
        }
        Session session(*model, special, {.rows = 20});
        const std::vector<double> z = log_softmax(session.prefill(0, source, ids).row(0));
        const double end = log_p + z[size_t(special.eos)];
        all.push_back({ids, end, end / std::pow(double(ids.size() + 1), penalty), true});
        for (int32_t id = special.size(); id < kWords.vocabulary(); ++id) {
          Ids next = ids;
          next.push_back(id);
          self(self, next, log_p + z[size_t(id)]);
        }
      };
      walk(walk, {}, 0);
      ASSERT_EQ(all.size(), 40u);
      std::sort(all.begin(), all.end(), [](const Beam& a, const Beam& b) { return a.score > b.score; });

      Session session(*model, special, {.slots = 40, .rows = 20});
      BeamOptions o;
      o.beams = o.n = 40;
      o.max_tokens = 3;
      o.length_penalty = penalty;
      const Prompt prompt{source, {}};
      const std::vector<Beam> found = beam_search(session, special, {&prompt, 1}, o)[0];
      ASSERT_EQ(found.size(), all.size());
      for (size_t i = 0; i < all.size(); ++i) {
        EXPECT_NEAR(found[i].score, all[i].score, 1e-9) << i;
        EXPECT_EQ(found[i].ids, all[i].ids) << i;
        EXPECT_EQ(found[i].ended, all[i].ended) << i;
        EXPECT_NEAR(found[i].log_probability, all[i].log_probability, 1e-9) << i;
      }
    }
  }
}

TEST(Beam, OneBeamIsGreedyAndMoreAreNoWorse) {
  const Specials special = kWords.specials();
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kWords.vocabulary()), Precision::float64(), 6);
    Session session(*model, special, {.slots = 7, .rows = 40});
    Request r;
    r.source = words(6, 3);
    r.options.sampling.temperature = 0;
    r.options.max_tokens = 9;
    const Generation greedy = generate(session, kWords, {r})[0][0];
    const Prompt prompt{r.source, {}};
    BeamOptions o;
    o.max_tokens = 9;
    o.length_penalty = 0;
    o.beams = 1;
    o.early_stopping = EarlyStopping::yes;
    const Beam one = beam_search(session, special, {&prompt, 1}, o)[0][0];
    EXPECT_EQ(one.ids, greedy.ids);
    EXPECT_NEAR(one.log_probability, greedy.log_probability, 1e-9);
    // What a beam says of itself is what the model says of it.
    o.beams = 3;
    o.n = 3;
    for (EarlyStopping early : {EarlyStopping::no, EarlyStopping::yes, EarlyStopping::never}) {
      o.early_stopping = early;
      const std::vector<Beam> beams = beam_search(session, special, {&prompt, 1}, o)[0];
      ASSERT_EQ(beams.size(), 3u);
      for (const Beam& b : beams) {
        ScoreItem item{r.source, b.ids};
        if (b.ended) item.continuation.push_back(special.eos);
        EXPECT_NEAR(score(*model, kWords, {&item, 1})[0].log_probability, b.log_probability, 1e-8);
      }
    }
  }
}

TEST(Beam, ManyAreOneByOne) {
  const Specials special = kWords.specials();
  for (const Kind& kind : some()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kWords.vocabulary()), Precision::float64(), 7);
    std::vector<Ids> sources;
    std::vector<Prompt> prompts;
    for (int64_t i = 0; i < 5; ++i) sources.push_back(words(2 + 2 * i, uint64_t(i)));
    for (const Ids& s : sources) prompts.push_back({s, {}});
    BeamOptions o;
    o.beams = 3;
    o.n = 2;
    o.max_tokens = 7;
    Session many(*model, special, {.slots = 7, .rows = 30});  // two at a time
    const auto together = beam_search(many, special, prompts, o);
    for (size_t i = 0; i < prompts.size(); ++i) {
      Session one(*model, special, {.slots = 3, .rows = 30});
      const auto alone = beam_search(one, special, {&prompts[i], 1}, o)[0];
      ASSERT_EQ(alone.size(), together[i].size());
      for (size_t k = 0; k < alone.size(); ++k) {
        EXPECT_EQ(alone[k].ids, together[i][k].ids);
        EXPECT_NEAR(alone[k].score, together[i][k].score, 1e-9);
      }
    }
  }
}

// A span ends at the next sentinel, for beams as for a greedy answer.
TEST(Beam, ASentinelEndsASpan) {
  const Specials special = kWords.specials();
  for (const Kind& kind : some()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kWords.vocabulary()), Precision::float64(), 6);
    Session session(*model, special, {.slots = 3, .rows = 40});
    Request r;
    r.source = words(6, 3);
    r.source.push_back(special.sentinel(0));
    r.start = {special.sentinel(0)};
    r.options.sampling.temperature = 0;
    r.options.max_tokens = 9;
    answer_in_spans(r, special, 1, false);
    BeamOptions o;
    o.max_tokens = 9;
    o.length_penalty = 0;
    for (const bool pushed : {false, true}) {  // pushed: the model wants the sentinel at once
      if (pushed) {
        r.adjust = [inner = r.adjust, sentinel = special.sentinel(1)](std::span<double> z, std::span<const int32_t> a) {
          z[size_t(sentinel)] = 100;
          inner(z, a);
        };
      }
      const Generation greedy = generate(session, kWords, {r})[0][0];
      o.adjust = r.adjust;
      o.beams = o.n = 1;
      o.early_stopping = EarlyStopping::yes;
      const Prompt prompt = r.prompt();
      const std::vector<Beam> found = beam_search(session, special, {&prompt, 1}, o)[0];
      ASSERT_EQ(found.size(), 1u);
      const Beam& one = found[0];
      EXPECT_EQ(one.ids, greedy.ids);
      EXPECT_EQ(one.ended, greedy.finish == Finish::eos);
      o.beams = o.n = 3;
      const std::vector<Beam> three = beam_search(session, special, {&prompt, 1}, o)[0];
      for (const Beam& b : three) {
        EXPECT_GE(b.ids.size(), 1u);
        for (int32_t id : b.ids) EXPECT_FALSE(special.is_sentinel(id));
        if (pushed) {
          EXPECT_TRUE(b.ended);
          EXPECT_EQ(b.ids.size(), 1u);
        }
      }
    }
  }
}

TEST(Beam, StopsAndLimits) {
  const Specials special = kWords.specials();
  const int32_t b = special.size() + 1;
  for (const Kind& kind : some()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kWords.vocabulary()), Precision::float64(), 7);
    Session session(*model, special, {.slots = 6, .rows = 40});
    const std::vector<Ids> sources = {words(6, 3), words(4, 5), words(9, 6)};
    std::vector<Prompt> prompts;
    for (const Ids& s : sources) prompts.push_back({s, {}});
    BeamOptions o;
    o.beams = o.n = 3;
    o.max_tokens = 7;
    o.stops = [b](std::span<const int32_t> answer) { return answer.back() == b || answer.size() == 3; };
    std::vector<std::vector<Beam>> heard(prompts.size());
    const auto found = beam_search(session, special, prompts, o,
                                   [&](size_t prompt, const std::vector<Beam>& beams) { heard[prompt] = beams; });
    for (size_t p = 0; p < prompts.size(); ++p) {
      ASSERT_EQ(heard[p].size(), found[p].size());
      for (size_t i = 0; i < found[p].size(); ++i) {
        const Beam& beam = found[p][i];
        EXPECT_EQ(heard[p][i].ids, beam.ids);
        EXPECT_NE(beam.stopped, beam.ended);
        EXPECT_LE(beam.ids.size(), 3u);
        const auto place = std::ranges::find(beam.ids, b);
        EXPECT_TRUE(place == beam.ids.end() || place + 1 == beam.ids.end());
        EXPECT_EQ(beam.stopped, place != beam.ids.end() || beam.ids.size() == 3);
        EXPECT_NEAR(beam.score, beam.log_probability / double(beam.ids.size() + beam.ended), 1e-12);
        ScoreItem item{sources[p], beam.ids};
        if (beam.ended) item.continuation.push_back(special.eos);
        EXPECT_NEAR(score(*model, kWords, {&item, 1})[0].log_probability, beam.log_probability, 1e-8);
      }
    }
    // No end of the text, and no word behind the first.
    o.stops = {};
    o.ignore_eos = true;
    o.vocabulary = special.size() + 1;
    o.beams = o.n = 1;
    for (const std::vector<Beam>& beams : beam_search(session, special, prompts, o)) {
      EXPECT_FALSE(beams[0].ended);
      EXPECT_EQ(beams[0].ids, Ids(7, special.size()));
    }
  }
}

TEST(Beam, SaysWhatIsWrong) {
  const auto model = random_model(tiny_spec({"llama", Family::causal}, kWords.vocabulary()), Precision::float32());
  Session session(*model, kWords.specials(), {.slots = 2, .rows = 10});
  const Prompt prompt{};
  BeamOptions o;
  EXPECT_THROW(beam_search(session, kWords.specials(), {&prompt, 1}, o), Error);  // four beams, two slots
  o.beams = 2;
  o.n = 3;
  EXPECT_THROW(beam_search(session, kWords.specials(), {&prompt, 1}, o), Error);
}

TEST(Beam, ADivergedModelIsAnError) {
  const auto model = random_model(tiny_spec(some()[0], kWords.vocabulary()), Precision::float32(), 5);
  for (Parameter& p : model->parameters().all()) {
    if (p.kind == ParameterKind::vector) p.value.data<float>()[0] = NAN;
  }
  model->parameters().refresh();
  Session session(*model, kWords.specials(), {.slots = 2, .rows = 20});
  const Ids source = words(5, 2);
  const Prompt prompt{source, {}};
  EXPECT_THROW(beam_search(session, kWords.specials(), {&prompt, 1}, {.beams = 2, .max_tokens = 3}), Error);
}

}  // namespace
}  // namespace triarch
