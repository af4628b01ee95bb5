// The model as a whole, in float64: gradients against differences, and the equalities.
#include "triarch/model/model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/model/tiny.h"
#include "triarch/base/error.h"
#include "triarch/base/threads.h"
#include "triarch/train/learner.h"

namespace triarch {
namespace {

using testing::Case;
using testing::cases;
using testing::make_batch;

void randomise(Parameters& parameters) {
  parameters.initialise(3);
  // Gains, biases and relative terms away from their neutral start.
  for (Parameter& p : parameters.all()) {
    Draw draw(Key(9, Purpose::test).with(uint64_t(p.offset)));
    dispatch(parameters.precision(), [&]<class S, class T>() {
      for (int64_t i = 0; i < p.count(); ++i) {
        p.value.data<S>()[i] = S(float(double(p.value.data<S>()[i]) + 0.2 * draw.normal()));
      }
    });
  }
  parameters.refresh();
}

double loss_of(Learner& learner, const Batch& batch) { return learner.evaluate(batch).mean_nll(); }

TEST(Parameters, StartAlikeOnAnyNumberOfThreads) {
  std::vector<std::vector<double>> values;
  for (const int threads : {1, 2}) {
    set_thread_count(threads);
    Model model(cases().front().spec, Precision::float64(), false);
    Parameters& p = model.parameters();
    p.initialise(3);
    values.emplace_back(p.flat_values().data<double>(), p.flat_values().data<double>() + p.flat_size());
  }
  EXPECT_EQ(values[0], values[1]);
}

TEST(ModelSpec, SizesBeyondAnyModelAreRefused) {
  // Such numbers once overflowed, or kept the plan of a run counting for minutes.
  const ModelSpec good = cases().front().spec;
  good.check();
  const auto refused = [&](auto change) {
    ModelSpec spec = good;
    change(spec);
    try {
      spec.check();
    } catch (const Error& e) {
      return e.code == ExitCode::usage;
    }
    return false;
  };
  constexpr int64_t huge = int64_t(1) << 40;
  EXPECT_TRUE(refused([](ModelSpec& s) { (s.has_decoder() ? s.decoder : s.encoder).layers = 100'000; }));
  EXPECT_TRUE(refused([](ModelSpec& s) { s.vocabulary = huge; }));
  EXPECT_TRUE(refused([](ModelSpec& s) { s.width = huge; }));
  EXPECT_TRUE(refused([](ModelSpec& s) { s.heads = s.kv_heads = s.head_dim = 1 << 16; }));
  EXPECT_TRUE(refused([](ModelSpec& s) { s.mlp_width = huge; }));
  EXPECT_TRUE(refused([](ModelSpec& s) { s.max_positions = huge; }));
  EXPECT_TRUE(refused([](ModelSpec& s) { s.position_offset = huge; }));
  EXPECT_TRUE(refused([](ModelSpec& s) { s.position_offset = -3; }));
  EXPECT_TRUE(refused([](ModelSpec& s) { s.relative_buckets = huge; }));
  EXPECT_TRUE(refused([](ModelSpec& s) { s.token_types = huge; }));
  EXPECT_TRUE(refused([](ModelSpec& s) { s.token_types = -1; }));
  EXPECT_TRUE(refused([](ModelSpec& s) { s.classes = huge; }));
  EXPECT_TRUE(refused([](ModelSpec& s) { s.tags = -1; }));
  EXPECT_THROW(preset("llama", Family::causal, huge, 2), Error);
}

class EveryCase : public ::testing::TestWithParam<Case> {};

TEST_P(EveryCase, GradientsMatchDifferences) {
  Case c = GetParam();
  // Differences across relu's kink measure nothing; its own test has it.
  if (c.spec.activation == Activation::relu) c.spec.activation = Activation::gelu;
  Learner learner(c.spec, Precision::float64(), {});
  randomise(learner.model().parameters());
  const Batch batch = make_batch(c, {7, 1, 10});
  learner.gradients({&batch, 1});
  for (Parameter& p : learner.model().parameters().all()) {
    // The derivative along a random direction.
    Draw draw(Key(5, Purpose::test).with(uint64_t(p.offset)));
    std::vector<double> direction(size_t(p.count())), kept(p.value.data<double>(), p.value.data<double>() + p.count());
    double predicted = 0;
    for (int64_t i = 0; i < p.count(); ++i) {
      direction[size_t(i)] = draw.normal();
      predicted += direction[size_t(i)] * p.gradient.value.data<double>()[i];
    }
    const double h = 2e-5;
    const auto at = [&](double step) {
      for (int64_t i = 0; i < p.count(); ++i) p.value.data<double>()[i] = kept[size_t(i)] + step * direction[size_t(i)];
      return loss_of(learner, batch);
    };
    // Fourth order.
    const double measured = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    at(0);
    EXPECT_NEAR(predicted, measured, 1e-6 * std::max(1.0, std::abs(measured))) << p.name;
  }
}

TEST_P(EveryCase, PackedEqualsOneByOne) {
  const Case c = GetParam();
  Learner learner(c.spec, Precision::float64(), {});
  randomise(learner.model().parameters());
  const std::vector<int> lengths = {5, 9, 1, 4};
  const Batch all = make_batch(c, lengths);
  Context ctx{learner.arena(), nullptr, Precision::float64()};
  const ops::Loss packed = learner.model().loss(ctx, learner.model().forward(ctx, all), all, {}, true);
  Draw draw(Key(1, Purpose::test));
  size_t next = 0;
  for (int n : lengths) {
    Batch one;
    one.head = c.head;
    testing::append_segment(one, c, n, draw);
    const ops::Loss alone = learner.model().loss(ctx, learner.model().forward(ctx, one), one, {}, true);
    for (double row : alone.rows) EXPECT_NEAR(row, packed.rows.at(next++), 1e-11);
  }
  EXPECT_EQ(next, packed.rows.size());
}

TEST_P(EveryCase, RecomputingChangesNothing) {
  Case c = GetParam();
  c.spec.dropout = 0.2;
  c.spec.attention_dropout = 0.1;
  std::vector<double> gradients[2];
  double peak[2], flops[2], forward = 0;
  for (int r = 0; r < 2; ++r) {
    Learner learner(c.spec, Precision::float64(), {});
    randomise(learner.model().parameters());
    learner.model().recompute = r == 1;
    const Batch batch = make_batch(c, {30, 20});
    flops[r] = learner.gradients({&batch, 1}).flops;
    Arena arena;
    Context ctx{arena, nullptr, Precision::float64()};
    learner.model().forward(ctx, batch);
    forward = ctx.flops;
    const Tensor g = learner.model().parameters().flat_gradients();
    gradients[r].assign(g.data<double>(), g.data<double>() + g.cols());
    peak[r] = double(learner.arena().peak());
    EXPECT_EQ(learner.arena().used(), 0u);
  }
  EXPECT_EQ(gradients[0], gradients[1]);
  if (c.spec.last().layers > 1) {
    EXPECT_LT(peak[1], peak[0]);
  }
  // The second run of a block leaves out its last product, which is read in post-norm only.
  if (c.spec.norm_place == NormPlace::pre) {
    EXPECT_GT(flops[1], flops[0] + 0.4 * forward);
    EXPECT_LT(flops[1], flops[0] + 0.95 * forward);
  } else {
    EXPECT_GT(flops[1], flops[0] + 0.95 * forward);  // what is made of features is not made again
    EXPECT_LE(flops[1], flops[0] + forward);
  }
}

TEST_P(EveryCase, MicroBatchesEqualOneBatch) {
  const Case c = GetParam();
  Learner one(c.spec, Precision::float64(), {}), two(c.spec, Precision::float64(), {});
  randomise(one.model().parameters());
  randomise(two.model().parameters());
  Batch both = make_batch(c, {6, 8});
  both.weights.clear();
  Batch parts[2];
  Draw draw(Key(1, Purpose::test));
  const int lengths[2] = {6, 8};
  for (int i = 0; i < 2; ++i) {
    parts[i].head = c.head;
    testing::append_segment(parts[i], c, lengths[i], draw);
  }
  const Tally a = one.gradients({&both, 1}), b = two.gradients(parts);
  EXPECT_NEAR(a.mean_nll(), b.mean_nll(), 1e-12);
  const Tensor x = one.model().parameters().flat_gradients(), y = two.model().parameters().flat_gradients();
  for (int64_t i = 0; i < x.cols(); ++i) ASSERT_NEAR(x.data<double>()[i], y.data<double>()[i], 1e-12);
}

// Float32 and bfloat16 follow float64, and a plan is what a step then does.
TEST_P(EveryCase, LowerPrecisionsFollow) {
  const Case c = GetParam();
  const Batch batch = make_batch(c, {17, 9, 12});
  Learner reference(c.spec, Precision::float64(), {});
  randomise(reference.model().parameters());
  const double expected = reference.gradients({&batch, 1}).mean_nll();
  const Tensor g = reference.model().parameters().flat_gradients();
  for (const Precision precision : {Precision::float32(), Precision::bfloat16()}) {
    Learner learner(c.spec, precision, {});
    randomise(learner.model().parameters());
    const auto plan = learner.plan({&batch, 1});
    const Tally t = learner.gradients({&batch, 1});
    const bool narrow = precision.operand == DType::bf16;
    EXPECT_NEAR(t.mean_nll(), expected, narrow ? 0.03 * expected : 1e-5 * expected);
    EXPECT_DOUBLE_EQ(t.flops + learner.optimizer().flops(), plan.flops);
    EXPECT_EQ(learner.arena().peak(), plan.activation_peak);
    double dot = 0, xx = 0, yy = 0;
    const Tensor h = learner.model().parameters().flat_gradients();
    for (int64_t i = 0; i < g.cols(); ++i) {
      const double x = g.data<double>()[i], y = double(h.data<float>()[i]);
      dot += x * y;
      xx += x * x;
      yy += y * y;
    }
    EXPECT_GT(dot / std::sqrt(xx * yy), narrow ? 0.97 : 0.9999999);
    EXPECT_NEAR(std::sqrt(yy / xx), 1, narrow ? 0.05 : 1e-5);
  }
}

// After the first step nothing is taken from the system.
TEST_P(EveryCase, StepsReuseMemory) {
  const Case c = GetParam();
  Learner learner(c.spec, Precision::float32(), {});
  learner.model().parameters().initialise(1);
  const Batch batch = make_batch(c, {17, 9, 12});
  const double first = learner.step({&batch, 1}, 1).mean_nll();
  const int growths = learner.arena().growths();
  double last = first;
  for (int i = 0; i < 30; ++i) last = learner.step({&batch, 1}, 1).mean_nll();
  EXPECT_EQ(learner.arena().growths(), growths);
  EXPECT_LT(last, first);
}

// A frozen table and trained features: what was learnt on text is given eyes.
TEST(FeatureRows, LearnBesideAFrozenTable) {
  ModelSpec spec = testing::tiny("llama", Family::prefix);
  spec.features = 7;
  const Case c{"", spec};
  Learner free(spec, Precision::float64(), {}), frozen(spec, Precision::float64(), {});
  for (Learner* l : {&free, &frozen}) randomise(l->model().parameters());
  for (Parameter& p : frozen.model().parameters().all()) p.frozen = !p.name.starts_with("embedding.features");
  const Batch batch = make_batch(c, {7, 1, 10});
  for (Learner* l : {&free, &frozen}) l->gradients({&batch, 1});
  for (const char* name : {"embedding.features.weight", "embedding.features.bias"}) {
    const Parameter &x = *free.model().parameters().find(name), &y = *frozen.model().parameters().find(name);
    double size = 0;
    for (int64_t i = 0; i < x.count(); ++i) {
      EXPECT_EQ(x.gradient.value.data<double>()[i], y.gradient.value.data<double>()[i]);
      size += std::abs(x.gradient.value.data<double>()[i]);
    }
    EXPECT_GT(size, 0) << name;
  }
}

TEST(FeatureRows, MustBeThere) {
  ModelSpec spec = testing::tiny("llama", Family::causal);
  spec.features = 7;
  Batch batch = make_batch({"", spec}, {6});
  batch.decoder.features.pop_back();
  Learner learner(spec, Precision::float32(), {});
  EXPECT_THROW(learner.evaluate(batch), Error);
  spec.features = 0;
  Learner blind(spec, Precision::float32(), {});
  EXPECT_THROW(blind.evaluate(batch), Error);
  batch.decoder.features.clear();
  EXPECT_THROW(blind.evaluate(batch), Error);
}

INSTANTIATE_TEST_SUITE_P(Model, EveryCase, ::testing::ValuesIn(cases()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace triarch
