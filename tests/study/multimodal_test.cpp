#include "triarch/study/multimodal.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/base/files.h"
#include "triarch/study/over_seeds.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

// Three rows of two numbers; the second row says which of two answers is right.
MultimodalTask tiny_task() {
  MultimodalTask t;
  t.title = "signs";
  t.thing = "sign";
  t.tokenizer = Tokenizer::of_words({"is", "it", "less", "more", "so"}, 0);
  t.features = 2;
  t.rows = 3;
  t.answer_tokens = 3;
  const auto at = [](Key key) {
    Described d;
    Draw draw(key);
    const bool more = draw.below(2) == 0;
    for (int i = 0; i < 3; ++i) {
      d.rows.push_back(float(draw.normal()));
      d.rows.push_back(i != 1 ? 0 : more ? 1.5f : -1.5f);
    }
    const bool asked = draw.below(2) == 0;
    d.kind = asked ? "asked" : "told";
    d.question = asked ? "is it" : "";
    d.answer = more ? "more so" : "less";
    d.picture = {1, 2, 3, {0, 0.2f, 1, 1, 1, 2}};
    return d;
  };
  t.show = [at](uint64_t seed, int64_t place) { return at(Key(seed, Purpose::world).with(uint64_t(place))); };
  t.sets = {{"signs, new", {}}};
  for (uint64_t i = 0; i < 60; ++i) {
    t.validation.push_back(at(Key(1, Purpose::test).with(i)));
    t.sets[0].items.push_back(at(Key(2, Purpose::test).with(i)));
  }
  return t;
}

MultimodalOptions tiny_options() {
  MultimodalOptions o;
  o.width = 16, o.layers = 1, o.steps = 250, o.batch = 16, o.points = 2, o.seeds = 3, o.rates = {1}, o.exhibits = 2;
  return o;
}

TEST(OverSeeds, IntervalsStayWithinWhatAFigureCanBe) {
  EXPECT_EQ(with_interval(0.99, Interval{0.9, 1.2}, "{:.1f}", 100, kShare), "99.0 [90.0, 100.0]");
  EXPECT_EQ(with_interval(0.01, Interval{-0.2, 0.04}, "{:.2f}", 1, kPositive), "0.01 [0.00, 0.04]");
  EXPECT_EQ(with_interval(0.01, Interval{-0.2, 0.04}), "0.01 [-0.20, 0.04]");
}

TEST(Multimodal, ExampleHasRowsThenWords) {
  const MultimodalTask t = tiny_task();
  Described d = t.sets[0].items[0];
  d.question = "is it";
  d.answer = "less";
  const Example e = t.example(d);
  const auto id = [&](const char* word) { return *t.tokenizer.find(std::string(" ") + word); };
  EXPECT_EQ(e.source, (std::vector<int32_t>{kFeatureRow, kFeatureRow, kFeatureRow, id("is"), id("it")}));
  EXPECT_EQ(e.target, (std::vector<int32_t>{id("less"), t.tokenizer.specials().eos}));
  EXPECT_EQ(e.features, d.rows);
}

// All that see learn it, the one that does not cannot; losses and answers agree.
TEST(Multimodal, WhoSeesLearnsIt) {
  const MultimodalTask t = tiny_task();
  for (const MultimodalContender& c : kMultimodal) {
    SCOPED_TRACE(c.name);
    const auto r = learn_multimodal(t, tiny_options(), c, 1, 1, true, [](double, int64_t) { return true; });
    ASSERT_TRUE(r);
    ASSERT_EQ(r->curve.size(), 3u);
    ASSERT_EQ(r->answers.size(), 1u);
    double right = 0, nats = 0;
    for (size_t i = 0; i < 60; ++i) {
      right += r->answers[0].right[i] == '1';
      EXPECT_EQ(r->answers[0].right[i] == '1', r->answers[0].said[i] == t.sets[0].items[i].answer);
      nats += r->answers[0].nats[i];
    }
    if (c.blind) {
      EXPECT_LT(right, 45);
      EXPECT_GT(nats / 60, 0.5);  // a choice of two is 0.69
    } else {
      EXPECT_GE(right, 58);
      EXPECT_LT(nats / 60, 0.3);
      EXPECT_LT(r->loss, r->curve[0].loss / 4);
    }
  }
  EXPECT_FALSE(learn_multimodal(t, tiny_options(), kMultimodal[0], 1, 1, true, [](double, int64_t) { return false; }));
}

TEST(Multimodal, StudyOfAll) {
  const Scratch scratch;
  StudyWork work;
  work.folder = scratch.path();
  const MultimodalTask t = tiny_task();
  const auto r = multimodal_study(t, tiny_options(), work);
  const auto again = multimodal_study(t, tiny_options(), work);  // from its parts
  ASSERT_TRUE(r);
  EXPECT_EQ(to_json(*r), to_json(*again));
  ASSERT_EQ(r->tables.size(), 5u);
  ASSERT_EQ(r->tables[0].rows.size(), 5u);
  // The most frequent answer in training, counted here.
  int64_t more[2] = {0, 0}, all[2] = {0, 0}, hit = 0;
  for (int64_t i = 0; i < 4000; ++i) {
    const Described d = t.show(1, i);
    ++all[d.question.empty()];
    more[d.question.empty()] += d.answer == "more so";
  }
  for (const Described& d : t.sets[0].items) {
    const bool q = d.question.empty();
    hit += (d.answer == "more so") == (2 * more[q] > all[q]);
  }
  EXPECT_EQ(r->tables[0].rows[4][1], fmt::format("{:.1f}", 100 * double(hit) / 60));
  EXPECT_EQ(r->findings.size(), 2u);
  ASSERT_EQ(r->exhibits.size(), 2u);
  EXPECT_EQ(r->exhibits[0].width, 2);
  EXPECT_EQ(r->exhibits[0].pixels, "0033ffffffff");
  EXPECT_EQ(r->exhibits[0].said.size(), 4u);
}

// As many as asked for, all of one size, and each place and seed its own.
TEST(Multimodal, Scenes) {
  const MultimodalTask t = scene_task(20);
  ASSERT_EQ(t.sets.size(), 4u);
  for (const DescribedSet& s : t.sets) {
    EXPECT_EQ(s.items.size(), 20u);
    for (const Described& d : s.items) {
      EXPECT_EQ(int64_t(d.rows.size()), t.rows * t.features);
      EXPECT_LE(int64_t(t.example(d).target.size()), t.answer_tokens);
    }
  }
  EXPECT_NE(t.show(1, 0).rows, t.show(1, 1).rows);
  EXPECT_NE(t.show(1, 0).rows, t.show(2, 0).rows);
  EXPECT_EQ(t.show(2, 5).rows, t.show(2, 5).rows);
}

TEST(Multimodal, SharedPicturesAndSounds) {
  const char* shared = std::getenv("TRIARCH_SHARED");
  const fs::path data = fs::path(shared ? shared : TRIARCH_SOURCE_DIR "/../shared") / "data";
  if (!fs::exists(data / "images") || !fs::exists(data / "audio")) GTEST_SKIP() << "no shared data: set TRIARCH_SHARED";
  const MultimodalTask pictures = picture_task(data / "images", 100);
  EXPECT_EQ(pictures.training, 9800);
  EXPECT_EQ(pictures.features, 49);
  EXPECT_EQ(pictures.rows, 16);
  EXPECT_EQ(pictures.answer_tokens, 2);
  // No picture is in two parts, and a pass shows each once.
  std::set<std::vector<float>> seen;
  for (const Described& d : pictures.validation) seen.insert(d.rows);
  for (const Described& d : pictures.sets[0].items) seen.insert(d.rows);
  EXPECT_EQ(seen.size(), 200u);
  EXPECT_THROW(sound_task(data / "images", 10), Error);
}

}  // namespace
}  // namespace triarch
