#include "triarch/study/icl.h"

#include <gtest/gtest.h>

#include <cmath>

#include "triarch/base/error.h"
#include "triarch/inference/attention_maps.h"
#include "triarch/inference/packed.h"
#include "triarch/study/agreement.h"
#include "triarch/study/attention_view.h"
#include "triarch/study/demonstrations.h"
#include "triarch/study/dual_form.h"
#include "triarch/study/key_value_tuning.h"

namespace triarch {
namespace {

TEST(DualForm, LinearAttentionIsAGradientStepAndSoftmaxIsNot) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const DualForm d = dual_form(seed);
    EXPECT_LT(d.attention, 1e-10);
    EXPECT_LT(d.squared, 1e-10);
    EXPECT_LT(d.entropy, 1e-10);
    EXPECT_GT(d.softmax, 0.1);
  }
}

TEST(Agreement, ByHand) {
  const std::vector<double> a = {3, 4}, b = {4, 3}, zero = {0, 0};
  EXPECT_NEAR(cosine(a, b), 24. / 25, 1e-15);
  EXPECT_EQ(cosine(a, zero), 0);
  // From (3, 3): (0, 1) and (1, 0).
  EXPECT_EQ(cosine_from(std::vector<double>{3, 3}, a, b), 0);
  // Of the six pairs four agree and two do not.
  EXPECT_NEAR(kendall_tau(std::vector<double>{1, 2, 3, 4}, std::vector<double>{1, 4, 2, 3}), 2. / 6, 1e-15);
  // Tied in a: one pair of three; the two others agree.
  EXPECT_NEAR(kendall_tau(std::vector<double>{1, 1, 2}, std::vector<double>{1, 2, 3}), 2 / std::sqrt(6.), 1e-15);
  EXPECT_EQ(kendall_tau(std::vector<double>{1, 1}, std::vector<double>{1, 2}), 0);
  EXPECT_THROW(cosine(a, std::vector<double>{1}), Error);
}

TEST(DemonstrationWorld, LabelsAreOfTheTask) {
  const DemonstrationWorld world;
  for (uint64_t t = 0; t < 20; ++t) {
    const DemonstrationTask task = world.task(Key(t, Purpose::test));
    Draw draw(Key(t, Purpose::test).with(1));
    const auto shown = world.balanced(task, 10, draw);
    std::vector<int> of_label(DemonstrationWorld::kLabels, 0);
    for (const Demonstration& d : shown) {
      EXPECT_EQ(d.label, task.labels[d.topic]);
      EXPECT_TRUE(world.is_label(d.label));
      EXPECT_NE(d.words[0], d.words[1]);
      EXPECT_FALSE(world.is_label(d.words[0]));
      ++of_label[size_t(d.label - world.labels().front())];
    }
    for (int n : of_label) EXPECT_GE(n, 2);
    const Demonstration query = world.draw(task, 3, draw);
    const Example e = world.question(std::span(shown).first(2), query);
    EXPECT_EQ(e.source, (std::vector<int32_t>{shown[0].words[0], shown[0].words[1], shown[0].label, shown[1].words[0],
                                              shown[1].words[1], shown[1].label}));
    EXPECT_EQ(e.target, (std::vector<int32_t>{query.words[0], query.words[1], query.label}));
    const Example d = world.document(shown, 3);
    EXPECT_EQ(d.source.size(), 3 * 3u);
    EXPECT_EQ(d.target.size(), 7 * 3u);
    EXPECT_EQ(d.target[2], shown[3].label);
    EXPECT_THROW(world.document(shown, 10), Error);
  }
}

ModelSpec tiny(Family family) {
  const DemonstrationWorld world;
  ModelSpec s = preset("llama", family, 32, 2);
  s.kv_heads = 1;
  s.vocabulary = world.tokenizer().vocabulary();
  return s;
}

Batch one(Family family, const Example& example) {
  const DemonstrationWorld world;
  Packer packer(layout_of(family), world.tokenizer().specials(), 64, 64);
  packer.add(example);
  return packer.batch();
}

Example some_question() {
  const DemonstrationWorld world;
  Draw draw(Key(3, Purpose::test));
  const DemonstrationTask task = world.task(Key(4, Purpose::test));
  return world.question(world.balanced(task, 4, draw), world.draw(task, 1, draw));
}

TEST(AttentionWatch, SeesTheModelsAttentionAndWhatItAdds) {
  const DemonstrationWorld world;
  for (Family family : {Family::causal, Family::prefix, Family::encoder_decoder}) {
    const Example e = some_question();
    Model model(tiny(family), Precision::float64(), false);
    model.parameters().initialise(1);
    const bool both = family == Family::encoder_decoder;
    const AttentionPlace place{both, false};
    const int64_t row = 5;
    std::vector<AttentionView> views;
    std::vector<std::vector<double>> added;
    {
      AttentionWatch watch(model, {place});
      // Without feed-forward layers what a decoder's layer adds is what its attention adds.
      model.surgery.feed_forward = false;
      model.observer = [&](const StackSpec& stack, int64_t layer, const ops::Residual& r) {
        if (layer > 0 && (&stack == &model.spec().encoder) == both) {
          added.push_back(doubles_of(r.delta.value.row_range(row, 1)));
        }
      };
      watch.look({row});
      Arena arena;
      Context ctx{arena, nullptr, Precision::float64()};
      model.forward(ctx, one(family, e));
      views = watch.take();
      model.observer = {};
    }
    ASSERT_EQ(views.size(), 1u);
    ASSERT_EQ(views[0].layers.size(), 2u);
    const std::vector<AttentionMap> maps = attention_maps(model, world.tokenizer().specials(), e);
    for (size_t l = 0; l < 2; ++l) {
      const AttentionMap& map = maps[l];
      ASSERT_EQ(map.stack, both ? "encoder" : "decoder");
      const std::vector<double> attention = views[0].attention(l);
      ASSERT_EQ(attention.size(), map.keys.size());
      for (size_t k = 0; k < attention.size(); ++k) {
        double sum = 0;
        for (int64_t h = 0; h < map.heads; ++h) sum += map.at(h, size_t(row), k);
        EXPECT_NEAR(attention[k], sum, 1e-12);
      }
      double norm = 0;
      for (double x : views[0].layers[l].output) norm += x * x;
      EXPECT_NEAR(norm, 1, 1e-12);
      EXPECT_NEAR(cosine(views[0].layers[l].output, added[l]), 1, 1e-12);
    }
  }
}

TEST(KeyValueTuning, StepsAgainstTheGradientOfKeysAndValuesOnly) {
  for (Family family : {Family::causal, Family::encoder_decoder}) {
    Learner learner(tiny(family), Precision::float64(), {});
    Parameters& weights = learner.model().parameters();
    weights.initialise(2);
    const Batch batch = one(family, some_question());
    const auto values = [&] { return doubles_of(weights.flat_values()); };
    const std::vector<double> before = values();
    KeyValueTuning tuning(learner);
    ASSERT_TRUE(tuning.step(batch, 0.5));
    const std::vector<double> after = values();

    const ModelSpec& spec = learner.model().spec();
    const int64_t q = spec.heads * spec.head_dim;
    for (const Parameter& p : weights.all()) {
      const bool self = p.name.find(".self.qkv.") != std::string::npos;
      const bool cross = p.name.find(".cross.kv.") != std::string::npos;
      double moved = 0;
      for (int64_t i = 0; i < p.count(); ++i) {
        const auto at = size_t(p.offset + i);
        if ((self && i / p.cols >= q) || cross) {
          moved += std::abs(after[at] - before[at]);
        } else {
          ASSERT_EQ(after[at], before[at]) << p.name;
        }
      }
      if (!self && !cross) continue;
      EXPECT_GT(moved, 0) << p.name;
      // The largest change against a difference of the loss.
      int64_t most = 0;
      for (int64_t i = 0; i < p.count(); ++i) {
        const auto change = [&](int64_t k) {
          return std::abs(after[size_t(p.offset + k)] - before[size_t(p.offset + k)]);
        };
        if (change(i) > change(most)) most = i;
      }
      tuning.reset();
      double* w = p.value.data<double>() + most;
      const double start = *w, h = 1e-5;
      *w = start + h;
      const auto loss = [&] {
        const Tally t = learner.evaluate(batch);
        return t.loss / t.weight;
      };
      const double above = loss();
      *w = start - h;
      const double below = loss();
      *w = start;
      const double expected = -0.5 * (above - below) / (2 * h);
      EXPECT_NEAR(after[size_t(p.offset + most)] - before[size_t(p.offset + most)], expected,
                  1e-6 * (1 + std::abs(expected)))
          << p.name;
      EXPECT_EQ(values(), before);
    }
    ASSERT_TRUE(tuning.step(batch, 0.5));
    const double moved = tuning.moved();
    tuning.randomise(1);
    EXPECT_NEAR(tuning.moved(), moved, 1e-12);
    EXPECT_NE(values(), after);
    EXPECT_NE(values(), before);
    tuning.reset();
    EXPECT_EQ(values(), before);
    EXPECT_EQ(tuning.moved(), 0);
  }
}

TEST(IclTrial, ARateThatDivergesOnceIsGivenUp) {
  IclOptions o;
  o.width = 16;
  o.steps = o.documents = 1;
  o.tasks = o.queries = 2;
  o.validation_tasks = 0;  // so that the first rate is chosen, whatever it does
  o.rates = {1e300, 0.01};
  const auto going = [](double, int64_t) { return true; };
  EXPECT_EQ(icl_trial(Family::causal, 1, o, going)->rate, 0.01);
  o.rates = {1e300};
  o.validation_tasks = 2;
  EXPECT_THROW(icl_trial(Family::causal, 1, o, going), Error);
}

TEST(IclStudy, ReportsEveryFamilyAndControl) {
  IclOptions o;
  o.width = 16;
  o.steps = 3;
  o.documents = 4;
  o.tasks = o.validation_tasks = 2;
  o.queries = 4;
  o.rates = {0.1, 1};
  std::vector<IclResult> results;
  for (Family family : {Family::causal, Family::encoder_decoder}) {
    for (uint64_t seed : {1, 2}) {
      const auto going = [](double, int64_t) { return true; };
      results.push_back(*icl_trial(family, seed, o, going));
      const IclResult& r = results.back();
      EXPECT_EQ(to_json(*icl_trial(family, seed, o, going)), to_json(r));
      EXPECT_EQ(r.counts, (std::vector<int64_t>{0, 1, 2, 4, 8}));
      EXPECT_EQ(r.by_count.front(), r.zero_shot);
      EXPECT_EQ(r.by_count.back(), r.in_context);
      ASSERT_EQ(r.updates.size(), 5u);
      for (const IclUpdate& u : r.updates) {
        EXPECT_LE(u.recalled, u.learnt);
        ASSERT_EQ(u.agreement.size(), family == Family::causal ? 1u : 2u);
        for (const IclAgreement& a : u.agreement) {
          for (double x : a.outputs) EXPECT_LE(std::abs(x), 1 + 1e-9);
          EXPECT_EQ(a.weights.has_value(), a.place == "decoder's self attention");
          EXPECT_LE(std::abs(a.weights.value_or(0)), 1 + 1e-9);
          EXPECT_EQ(a.outputs.size(), a.first_layer == 0 ? 2u : 1u);
        }
      }
      // As large as finetuning, and what is in context changes no weight.
      EXPECT_NEAR(r.updates[3].moved, r.updates[0].moved, 1e-6);
      EXPECT_EQ(r.updates[4].moved, 0);
    }
  }
  EXPECT_FALSE(icl_trial(Family::causal, 1, o, [](double, int64_t) { return false; }));
  const StudyReport r = icl_report(o, results);
  ASSERT_EQ(r.tables.size(), 8u);
  EXPECT_EQ(r.tables[3].rows.size(), 2u);  // accuracies by family
  EXPECT_EQ(r.tables[5].rows.size(), 3u);  // SimAOU by place
  for (const StudyTable& t : r.tables) {
    for (const auto& row : t.rows) EXPECT_EQ(row.size(), t.head.size()) << t.title;
  }
  // Where finetuning mends nothing there is nothing to recall: no share, and not 0.
  for (IclResult& x : results) {
    x.in_context = 1;
    for (IclUpdate& u : x.updates) u.learnt = u.recalled = x.seed == 1 && x.family == Family::causal ? 2 : 0;
  }
  const StudyReport none = icl_report(o, results);
  EXPECT_EQ(none.tables[4].rows[0][1], "1.00");
  EXPECT_EQ(none.tables[4].rows[0][4], "1 of 2");
  EXPECT_EQ(none.tables[4].rows[1], (std::vector<std::string>{"encoder-decoder", "-", "-", "-", "0 of 2"}));
  std::string findings;
  for (const std::string& f : none.findings) findings += f;
  EXPECT_NE(findings.find("of all answers that were wrong: not told apart by 1 seed."), std::string::npos) << findings;
  EXPECT_NE(findings.find("Finetuning mends no answer"), std::string::npos) << findings;
}

}  // namespace
}  // namespace triarch
