// Cached decoding = uncached; one slot = many; prompts reused = computed again.
#include "triarch/inference/session.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/inference/tiny.h"
#include "triarch/base/error.h"

namespace triarch {
namespace {

constexpr int64_t kVocabulary = 151;

Specials specials() {
  Specials s;
  s.sentinels = 5;
  return s;
}

double tolerance(Precision p) { return p == Precision::float64() ? 1e-10 : 1e-4; }

TEST(Session, CachedIsUncached) {
  const Specials special = specials();
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    for (Precision precision : {Precision::float64(), Precision::float32()}) {
      const auto model = random_model(tiny_spec(kind, kVocabulary), precision);
      for (int64_t source_size : {0, 1, 13}) {
        const Ids source = random_ids(source_size, 0, kVocabulary, 3), target = random_ids(9, 0, kVocabulary, 4);
        const Logits expected = uncached(*model, special, source, target);
        Session session(*model, special, {.slots = 3, .rows = 40});
        // All target tokens one by one, two given with the prompt, and four more at once behind these.
        Logits found = session.prefill(1, source);
        for (size_t i = 0; i < target.size(); ++i) {
          EXPECT_LT(difference(found.row(0), expected.row(int64_t(i))), tolerance(precision)) << "token " << i;
          const Session::Next next{1, target[i]};
          found = session.step({&next, 1});
        }
        found = session.prefill(2, source, {target.data(), 2});
        EXPECT_LT(difference(found.row(0), expected.row(2)), tolerance(precision));
        const int64_t before = session.rows_computed();
        found = session.prefill(2, source, {target.data(), 6});
        EXPECT_LT(difference(found.row(0), expected.row(6)), tolerance(precision));
        EXPECT_EQ(session.rows_computed() - before, 4 + (kind.family == Family::permutation));
        EXPECT_EQ(session.tokens(2), 6 + (model->spec().has_encoder() ? 0 : source_size));
      }
    }
  }
}

// A model of int8 weights is the float32 model of those weights; one of bfloat16 weights without masters the one with.
TEST(Session, StoredWeightsAreTheWeights) {
  const Specials special = specials();
  const Ids source = random_ids(13, 0, kVocabulary, 3), target = random_ids(9, 0, kVocabulary, 4);
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    ModelSpec spec = tiny_spec(kind, kVocabulary);
    spec.tied = false;  // a tied table is looked up as it was
    const auto before = random_model(spec, Precision::float32()), after = random_model(spec, Precision::float32());
    Model int8(spec, Precision::int8(), false);
    for (Parameter& p : int8.parameters().all()) {
      Parameter &from = *before->parameters().find(p.name), &to = *after->parameters().find(p.name);
      int8.parameters().write(
          p, [&](const Tensor& t) { std::copy_n(from.value.data<float>(), p.count(), t.data<float>()); });
      if (p.kind != ParameterKind::matrix) continue;
      EXPECT_TRUE(p.value.empty());
      for (int64_t i = 0; i < p.rows; ++i) {
        const int8_t* row = p.operand.data<int8_t>() + i * p.operand.stride();
        for (int64_t j = 0; j < p.cols; ++j) to.value.data<float>()[i * p.cols + j] = float(row[j]) * row_scale(row);
      }
    }
    const Logits expected = uncached(*after, special, source, target), found = uncached(int8, special, source, target);
    const Logits exact = uncached(*before, special, source, target);
    for (int64_t i = 0; i < expected.rows; ++i) {
      EXPECT_LT(difference(found.row(i), expected.row(i)), 1e-4);
      EXPECT_GT(difference(found.row(i), exact.row(i)), 1e-4);
    }

    const auto trained = random_model(spec, Precision::bfloat16());
    Model bare(spec, Precision::bfloat16(), false);
    for (Parameter& p : bare.parameters().all()) {
      bare.parameters().write(p, [&](const Tensor& t) {
        std::copy_n(trained->parameters().find(p.name)->value.data<float>(), p.count(), t.data<float>());
      });
    }
    const Logits stored = uncached(bare, special, source, target), wanted = uncached(*trained, special, source, target);
    ASSERT_EQ(stored.rows, wanted.rows);
    for (int64_t i = 0; i < stored.rows; ++i) EXPECT_TRUE(std::ranges::equal(stored.row(i), wanted.row(i)));
    EXPECT_LT(bare.parameters().bytes(), trained->parameters().bytes() / 3);
  }
}

// A prompt of pictures: cached = uncached, and only what is the same picture is taken as known.
TEST(Session, FeatureRowsCachedAreUncached) {
  const Specials special = specials();
  const auto picture = [](uint64_t seed) {
    Draw draw(Key(seed, Purpose::test));
    std::vector<float> out;
    for (int i = 0; i < 4 * 7; ++i) out.push_back(float(draw.normal()));
    return out;
  };
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    ModelSpec spec = tiny_spec(kind, kVocabulary);
    spec.features = 7;
    const auto model = random_model(spec, Precision::float64());
    const Ids source = {20, kFeatureRow, kFeatureRow, 21, kFeatureRow, kFeatureRow, 22};
    const Ids target = random_ids(6, 0, kVocabulary, 4);
    const std::vector<float> one = picture(1), other = picture(2);
    std::vector<float> late = one;
    late.back() += 1;  // the last of its vectors is another
    Session session(*model, special, {.slots = 2, .rows = 40});
    for (const std::vector<float>* f :
         std::initializer_list<const std::vector<float>*>{&one, &other, &one, &one, &late}) {
      const Logits expected = uncached(*model, special, source, target, *f);
      const int64_t before = session.rows_computed();
      Logits found = session.prefill(0, Prompt{source, {}, {}, *f});
      if (kind.family == Family::causal && f == &late) {
        EXPECT_EQ(session.rows_computed() - before, 2);
      }
      for (size_t i = 0; i < target.size(); ++i) {
        EXPECT_LT(difference(found.row(0), expected.row(int64_t(i))), 1e-10) << "token " << i;
        const Session::Next next{0, target[i]};
        found = session.step({&next, 1});
      }
    }
    EXPECT_GT(difference(uncached(*model, special, source, target, one).row(0),
                         uncached(*model, special, source, target, late).row(0)),
              1e-6);
    EXPECT_THROW(session.prefill(0, source), Error);
    EXPECT_THROW(session.prefill(0, Prompt{{}, source, {}, one}), Error);
  }
}

TEST(Session, NothingIsSeenOfOtherSlots) {
  const Specials special = specials();
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kVocabulary), Precision::float64());
    Session many(*model, special, {.slots = 4, .rows = 40});
    std::vector<Ids> sources;
    for (int64_t i = 0; i < 4; ++i) sources.push_back(random_ids(3 + 5 * i, 0, kVocabulary, uint64_t(10 + i)));
    const Ids next = random_ids(8, 0, kVocabulary, 5);
    // Three begin together; one goes on alone; the fourth begins while others go on.
    const std::vector<Session::Begin> first = {{2, {sources[2], {}}}, {0, {sources[0], {}}}, {1, {sources[1], {}}}};
    const Logits a = many.advance(first, {});
    const Session::Next one{1, next[0]};
    const Logits b = many.step({&one, 1});
    const Session::Begin late{3, {sources[3], {}}};
    const std::vector<Session::Next> both = {{2, next[1]}, {1, next[2]}};
    const Logits c = many.advance({&late, 1}, both);

    const auto alone = [&](size_t i, const Ids& target) {
      Session session(*model, special, {.rows = 40});
      return session.prefill(0, sources[i], target);
    };
    EXPECT_LT(difference(a.row(0), alone(2, {}).row(0)), 1e-10);
    EXPECT_LT(difference(a.row(1), alone(0, {}).row(0)), 1e-10);
    EXPECT_LT(difference(a.row(2), alone(1, {}).row(0)), 1e-10);
    EXPECT_LT(difference(b.row(0), alone(1, {next[0]}).row(0)), 1e-10);
    EXPECT_LT(difference(c.row(0), alone(3, {}).row(0)), 1e-10);
    EXPECT_LT(difference(c.row(1), alone(2, {next[1]}).row(0)), 1e-10);
    EXPECT_LT(difference(c.row(2), alone(1, {next[0], next[2]}).row(0)), 1e-10);
  }
}

TEST(Session, ReusedPromptsAreThoseComputedAgain) {
  const Specials special = specials();
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kVocabulary), Precision::float64());
    const Ids source = random_ids(12, 0, kVocabulary, 3), target = random_ids(7, 0, kVocabulary, 4);
    Session session(*model, special, {.slots = 2, .rows = 60});
    const auto fresh = [&](const Ids& s, const Ids& t) {
      Session other(*model, special, {.rows = 60});
      return other.prefill(0, s, t);
    };
    session.prefill(0, source, target);
    // The same again; another answer; a longer text that begins the same; a shorter one; another one.
    Ids longer = source, other = source, turned = target;
    longer.insert(longer.end(), target.begin(), target.begin() + 3);
    other[0] ^= 1;
    turned[4] ^= 1;
    const Ids shorter(source.begin(), source.begin() + 5);
    const std::vector<std::pair<Ids, Ids>> prompts = {{source, target}, {source, turned}, {source, {}},
                                                      {source, target}, {longer, {}},     {longer, target},
                                                      {shorter, {}},    {other, turned},  {source, target}};
    for (const auto& [s, t] : prompts) {
      const int64_t before = session.rows_computed();
      const Logits found = session.prefill(0, s, t);
      EXPECT_LT(difference(found.row(0), fresh(s, t).row(0)), 1e-10);
      const int64_t cost = session.rows_computed() - before;
      if (&s == &prompts[0].first) {
        EXPECT_EQ(cost, 1);
      }  // only the row that predicts
      if (&s == &prompts[1].first) {
        EXPECT_LE(cost, 4);
      }
      if (kind.family == Family::causal && &s == &prompts[4].first) {
        EXPECT_LE(cost, 2);
      }
    }
    // Back by three tokens, then on with others.
    const Ids kept(target.begin(), target.end() - 3);
    session.prefill(0, source, kept);
    Ids next = kept;
    next.push_back(17);
    const Session::Next step{0, 17};
    EXPECT_LT(difference(session.step({&step, 1}).row(0), fresh(source, next).row(0)), 1e-10);
    // A copy goes its own way.
    session.copy(0, 1);
    const std::vector<Session::Next> two = {{1, 5}, {0, 6}};
    const Logits split = session.step(two);
    Ids with5 = next, with6 = next;
    with5.push_back(5);
    with6.push_back(6);
    EXPECT_LT(difference(split.row(0), fresh(source, with5).row(0)), 1e-10);
    EXPECT_LT(difference(split.row(1), fresh(source, with6).row(0)), 1e-10);
    // And lives on when the other begins anew.
    session.prefill(0, other, {});
    const Session::Next more{1, 9};
    with5.push_back(9);
    EXPECT_LT(difference(session.step({&more, 1}).row(0), fresh(source, with5).row(0)), 1e-10);
  }
}

TEST(Session, ForgetsWhenWeightsChange) {
  const Specials special = specials();
  const Ids source = random_ids(6, 0, kVocabulary, 3);
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kVocabulary), Precision::float64());
    Session session(*model, special, {.rows = 40});
    session.prefill(0, source);
    for (Parameter& p : model->parameters().all()) {
      for (int64_t i = 0; i < p.count(); ++i) p.value.data<double>()[i] *= 1.1;
    }
    session.clear();
    const Logits found = session.prefill(0, source);
    Session fresh(*model, special, {.rows = 40});
    EXPECT_LT(difference(found.row(0), fresh.prefill(0, source).row(0)), 1e-12);
  }
}

TEST(Session, ForgetsASequence) {
  const Specials special = specials();
  const Ids source = random_ids(6, 0, kVocabulary, 3);
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kVocabulary), Precision::float64());
    Session session(*model, special, {.rows = 40});
    const Logits first = session.prefill(0, source);
    const int64_t cost = session.rows_computed();
    session.forget(0);
    EXPECT_EQ(session.tokens(0), 0);
    EXPECT_EQ(session.reusable(0, {source, {}}), 0);
    EXPECT_LT(difference(session.prefill(0, source).row(0), first.row(0)), 1e-12);
    // All rows again, but for the encoder's, whose place nothing else has taken.
    const bool kept = kind.family == Family::encoder_decoder;
    EXPECT_EQ(session.rows_computed() - cost, kept ? 1 : cost);
  }
}

TEST(Session, TurnsAreBlocks) {
  const Specials special = specials();
  const auto model =
      random_model(tiny_spec({"llama", Family::prefix, 2, Visibility::turn_prefix}, kVocabulary), Precision::float64());
  const Ids talk = random_ids(12, 0, kVocabulary, 3);
  const std::pair<int32_t, int32_t> turns[] = {{0, 5}, {8, 12}};  // three tokens of an answer between two turns
  // First turn, answer, second turn: what has been read before stays.
  Session session(*model, special, {.rows = 40});
  session.prefill(0, {talk.data(), 5}, {talk.data() + 5, 3});
  const int64_t before = session.rows_computed();
  const Logits found = session.prefill(0, Prompt{talk, {}, turns});
  EXPECT_EQ(session.rows_computed() - before, 4);
  Session fresh(*model, special, {.rows = 40});
  EXPECT_LT(difference(found.row(0), fresh.prefill(0, Prompt{talk, {}, turns}).row(0)), 1e-10);
  // The second turn is seen both ways: its last token matters to what its first row says, so the causal answer differs.
  Session causal(*model, special, {.rows = 40});
  const std::pair<int32_t, int32_t> first[] = {{0, 5}};
  EXPECT_GT(difference(found.row(0), causal.prefill(0, Prompt{talk, {}, first}).row(0)), 1e-6);
}

TEST(Session, SaysWhatIsWrong) {
  const Specials special = specials();
  const auto encoder = random_model(tiny_spec({"bert", Family::encoder}, kVocabulary), Precision::float32());
  EXPECT_THROW(Session(*encoder, special), Error);
  const auto model = random_model(tiny_spec({"llama", Family::prefix, 2}, kVocabulary), Precision::float32());
  Session session(*model, special, {.slots = 2, .rows = 10});
  const Ids source = random_ids(9, 0, kVocabulary, 3), longer = random_ids(10, 0, kVocabulary, 3);
  const Session::Next next{0, 5}, wrong{0, int32_t(kVocabulary)}, outside{2, 5};
  EXPECT_THROW(session.step({&next, 1}), Error);
  EXPECT_THROW(session.step({&outside, 1}), Error);
  EXPECT_THROW(session.prefill(0, longer), Error);
  session.prefill(0, source);
  EXPECT_EQ(session.room(0), 0);
  EXPECT_THROW(session.step({&next, 1}), Error);
  session.prefill(0, {source.data(), 5}, {source.data() + 5, 2});
  EXPECT_THROW(session.step({&wrong, 1}), Error);
  const std::vector<Session::Next> twice = {{0, 5}, {0, 6}};
  EXPECT_THROW(session.step(twice), Error);
}

// A table of positions ends somewhere: better said before a text than in the middle of it.
TEST(Session, HasNoMoreRowsThanPositions) {
  const auto rows = [](const ModelSpec& spec, int64_t wanted) {
    const auto model = random_model(spec, Precision::float32());
    return Session(*model, specials(), {.rows = wanted}).rows();
  };
  const ModelSpec learned = tiny_spec({"gpt2", Family::causal}, kVocabulary);  // 64 positions
  EXPECT_EQ(rows(learned, 0), 64);
  EXPECT_EQ(rows(learned, 64), 64);
  EXPECT_THROW(rows(learned, 65), Error);
  EXPECT_THROW(rows(tiny_spec({"bart", Family::encoder_decoder}, kVocabulary), 65), Error);
  ModelSpec query = tiny_spec({"xlnet", Family::permutation}, kVocabulary);
  EXPECT_EQ(rows(query, 100), 100);
  query.position = PositionKind::learned;  // its query row takes a position more
  EXPECT_THROW(rows(query, 64), Error);
  EXPECT_EQ(rows(tiny_spec({"llama", Family::causal}, kVocabulary), 100), 100);
}

}  // namespace
}  // namespace triarch
