#include "triarch/kernels/cross_entropy.h"

#include <limits>

#include "tests/kernels/check.h"

namespace triarch::kernels::test {
namespace {

struct Case {
  int64_t rows, vocabulary;
  bool weighted = true, smoothed = true, gradient = true, in_place = false, extras = true;
  double scale = 3;
};
struct Problem {
  explicit Problem(const Case& c)
      : logits(normal_values(c.rows * c.vocabulary, 1, c.scale)),
        weights(c.weighted ? normal_values(c.rows, 2) : Values()),
        targets(integers(c.rows, 3, 0, int32_t(c.vocabulary))) {
    for (size_t i = 2; i < targets.size(); i += 5) targets[i] = -1;
  }
  Values logits, weights;
  std::vector<int32_t> targets;
};
struct Result {
  Values loss, nll, dlogits;
  std::vector<int32_t> prediction;
  bool operator==(const Result&) const = default;
};

template <class S, class T>
Result run(const Case& c, const Problem& p) {
  auto logits = as<S>(p.logits), weights = as<S>(p.weights);
  std::vector<S> loss(size_t(c.rows)), nll(c.extras ? size_t(c.rows) : 0);
  std::vector<int32_t> prediction(nll.size());
  std::vector<T> dlogits(c.gradient && !c.in_place ? logits.size() : 0);
  CrossEntropy<S, T> a;
  a.rows = c.rows, a.vocabulary = c.vocabulary, a.logits = logits.data(), a.targets = p.targets.data();
  a.weights = pointer(weights), a.loss = loss.data(), a.nll = pointer(nll), a.prediction = pointer(prediction);
  a.dlogits = pointer(dlogits), a.gradient_scale = S(0.5);
  if (c.smoothed) a.label_smoothing = S(0.125), a.z_loss = S(0.0625);
  if constexpr (std::is_same_v<S, T>) {
    if (c.in_place) a.dlogits = logits.data();
  }
  cross_entropy(a);
  const bool over = std::is_same_v<S, T> && c.in_place;
  return {doubles(loss), doubles(nll), over ? doubles(logits) : doubles(dlogits), prediction};
}

template <class T>
class CrossEntropyTest : public testing::Test {};
using Types = testing::Types<float, bf16>;
TYPED_TEST_SUITE(CrossEntropyTest, Types);

TYPED_TEST(CrossEntropyTest, equals_reference) {
  std::vector<Case> cases;
  for (int64_t v : {1, 2, 31, 33, 67, 2048, 2049, 7001}) cases.push_back({9, v});
  for (int64_t rows : {0, 1, 50}) cases.push_back({rows, 67});
  for (int option = 0; option < 32; ++option) {
    const auto on = [&](int bit) { return (option >> bit & 1) != 0; };
    const bool in_place = on(4) && std::is_same_v<TypeParam, float>;
    cases.push_back({7, 43, on(0), on(1), on(2) || in_place, in_place, on(3)});
  }
  cases.push_back({9, 5000, true, true, true, false, true, 60});  // exponentials over- and underflow
  for (const Case& c : cases) {
    const Problem p(c);
    const Result want = run<double, double>(c, p);
    on_every_isa([&] {
      const Result got = run<float, TypeParam>(c, p);
      expect_close(got.loss, want.loss, 5e-6, "loss");
      expect_close(got.nll, want.nll, 5e-6, "nll");
      expect_close(got.dlogits, want.dlogits, std::is_same_v<TypeParam, bf16> ? 0x1.0p-8 : 2e-5, "dlogits");
      EXPECT_EQ(got.prediction, want.prediction);
    });
    if (testing::Test::HasFailure()) return;
  }
}

// The gradient of bfloat16 is rounded once, at its own size: many of a large vocabulary's are tiny.
TEST(cross_entropy, small_gradients_are_accurate_too) {
  const Case c{3, 3001, false, false};
  const Problem p(c);
  const Result want = run<double, double>(c, p);
  on_every_isa([&] {
    const Result single = run<float, float>(c, p), half = run<float, bf16>(c, p);
    for (size_t i = 0; i < want.dlogits.size(); ++i) {
      ASSERT_NEAR(single.dlogits[i], want.dlogits[i], 1e-5 * std::abs(want.dlogits[i])) << i;
      ASSERT_NEAR(half.dlogits[i], want.dlogits[i], 0x1.1p-8 * std::abs(want.dlogits[i])) << i;
    }
  });
}

TEST(cross_entropy, reference_gradient_is_the_finite_difference) {
  const Case c{5, 7};
  Problem p(c);
  const auto loss = [&] {
    double sum = 0;
    const Result r = run<double, double>(c, p);
    for (int64_t i = 0; i < c.rows; ++i) sum += 0.5 * p.weights[size_t(i)] * r.loss[size_t(i)];
    return sum;
  };
  expect_close(run<double, double>(c, p).dlogits, finite_differences(p.logits, loss), 1e-8, "dlogits");
}

TEST(cross_entropy, ties_are_predicted_first_and_excluded_entries_count_nothing) {
  const Case c{1, 5000, false, false};
  Problem p(c);
  std::fill(p.logits.begin(), p.logits.end(), -std::numeric_limits<double>::infinity());
  p.logits[3333] = p.logits[4444] = 2;
  p.targets[0] = 4444;
  on_every_isa([&] {
    const Result r = run<float, float>(c, p);
    EXPECT_EQ(r.prediction[0], 3333);
    EXPECT_NEAR(r.loss[0], std::log(2), 1e-6);
    EXPECT_NEAR(r.dlogits[3333], 0.25, 1e-6);
    EXPECT_NEAR(r.dlogits[4444], -0.25, 1e-6);
    EXPECT_EQ(r.dlogits[0], 0);
  });
}

template <class S>
Values log_sums(const Values& values, int64_t rows) {
  const auto z = as<S>(values);
  std::vector<S> out(static_cast<size_t>(rows));
  log_sum_exp(LogSumExp<S>{rows, int64_t(z.size()) / rows, z.data(), out.data()});
  return doubles(out);
}

TEST(log_sum_exp, equals_reference) {
  for (int64_t vocabulary : {1, 31, 33, 2049, 7001}) {
    for (double scale : {1.0, 300.0}) {
      Values z = normal_values(9 * vocabulary, 1, scale);
      if (vocabulary > 1) z[0] = -std::numeric_limits<double>::infinity();
      on_every_isa([&] { expect_close(log_sums<float>(z, 9), log_sums<double>(z, 9), 2e-6, "log sum"); });
    }
  }
}

TEST(log_sum_exp, what_is_not_finite_is_not_hidden) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (double bad : {std::numeric_limits<double>::quiet_NaN(), kInfinity}) {
    for (size_t where : {size_t{0}, size_t{4999}}) {
      Values z = normal_values(5000, 1);
      z[where] = bad;
      on_every_isa([&] { EXPECT_FALSE(std::isfinite(log_sums<float>(z, 1)[0])) << where; });
      EXPECT_FALSE(std::isfinite(log_sums<double>(z, 1)[0]));
    }
  }
  on_every_isa([&] { EXPECT_FALSE(std::isfinite(log_sums<float>(Values(40, -kInfinity), 1)[0])); });
}

TEST(cross_entropy, a_nan_or_infinity_is_not_hidden) {
  for (double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    for (size_t where : {size_t{0}, size_t{16}, size_t{2998}, size_t{4999}}) {
      const Case c{1, 5000, false, false};
      Problem p(c);
      p.logits[where] = bad;
      p.targets[0] = 100;
      on_every_isa([&] { EXPECT_FALSE(std::isfinite(run<float, float>(c, p).loss[0])) << where; });
    }
  }
}

TEST(cross_entropy, same_bits_on_any_number_of_threads) {
  const Case c{37, 4099};
  const Problem p(c);
  on_every_isa([&] { expect_same_on_any_threads([&] { return run<float, bf16>(c, p); }); });
}

}  // namespace
}  // namespace triarch::kernels::test
