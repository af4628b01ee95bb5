// Every body of attention against the float64 reference on the same inputs.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/kernels/attention_problem.h"
#include "triarch/base/threads.h"

namespace triarch::kernels::testing {
namespace {

std::vector<Isa> sets() {
  std::vector<Isa> found;
  for (Isa isa : kIsas) {
    if (has_isa(isa)) found.push_back(isa);
  }
  return found;
}

// The largest difference over the largest expected magnitude; exact where nothing may be written.
template <class T>
void expect_close(const std::vector<T>& actual, const std::vector<double>& expected, double tolerance,
                  const std::string& what) {
  double size = 1e-3;
  for (double e : expected) {
    if (e != kUntouched && std::isfinite(e)) size = std::max(size, std::abs(e));
  }
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    const double a = double(float(actual[i]));
    if (expected[i] == kUntouched || !std::isfinite(expected[i])) {
      ASSERT_EQ(a, expected[i]) << what << " at " << i;
    } else {
      ASSERT_NEAR(a, expected[i], tolerance * size) << what << " at " << i << " of size " << size;
    }
  }
}

template <class T>
void check(const AttentionShape& shape, double tolerance) {
  AttentionProblem<double, double> reference = make_problem(shape, 11);
  const AttentionProblem<float, T> start = convert_problem<float, T>(reference);
  attention_forward(reference.forward);
  attention_backward(reference.backward);
  for (Isa isa : sets()) {
    ASSERT_TRUE(force_isa(isa));
    const std::string name = shape.name + " " + name_of(isa) + " ";
    AttentionProblem<float, T> p = start;
    p.connect();
    attention_forward(p.forward);
    expect_close(p.out, reference.out, tolerance, name + "out");
    expect_close(p.logsumexp, reference.logsumexp, tolerance, name + "logsumexp");
    if (::testing::Test::HasFatalFailure()) return;
    // The gradients of what the reference gave, so that errors of the forward pass do not add up.
    for (size_t i = 0; i < p.out.size(); ++i) p.out[i] = T(float(reference.out[i]));
    for (size_t i = 0; i < p.logsumexp.size(); ++i) p.logsumexp[i] = float(reference.logsumexp[i]);
    attention_backward(p.backward);
    expect_close(p.dq, reference.dq, tolerance, name + "dq");
    expect_close(p.dk, reference.dk, tolerance, name + "dk");
    expect_close(p.dv, reference.dv, tolerance, name + "dv");
    if (shape.bias) expect_close(p.dbias, reference.dbias, tolerance, name + "dbias");
    if (shape.relative) {
      expect_close(p.dr, reference.dr, tolerance, name + "dr");
      expect_close(p.du, reference.du, tolerance, name + "du");
      expect_close(p.dv_bias, reference.dv_bias, tolerance, name + "dv_bias");
    }
    if (::testing::Test::HasFatalFailure()) return;
  }
}

const std::vector<AttentionShape>& shapes() {
  static const std::vector<AttentionShape> all = {
      {.name = "causal", .head_dim = 64, .lengths = {{67, 67}, {1, 1}, {33, 33}}},
      {.name = "long_causal", .heads = 1, .kv_heads = 1, .head_dim = 32, .lengths = {{300, 300}}},
      {.name = "long_full", .heads = 1, .kv_heads = 1, .head_dim = 16, .lengths = {{70, 530}}, .sees = Sees::full},
      {.name = "packed",
       .head_dim = 20,
       .lengths = {{1, 1}, {31, 31}, {33, 33}, {67, 67}, {130, 130}},
       .sees = Sees::full},
      {.name = "wide", .heads = 1, .kv_heads = 1, .head_dim = 128, .lengths = {{67, 67}, {31, 31}}},
      {.name = "prefix", .head_dim = 32, .lengths = {{67, 67}, {5, 5}}, .sees = Sees::prefix},
      {.name = "window", .head_dim = 32, .lengths = {{130, 130}, {300, 300}}, .sees = Sees::window},
      {.name = "both_ways", .heads = 4, .kv_heads = 4, .head_dim = 16, .lengths = {{67, 67}}, .sees = Sees::both_ways},
      {.name = "both_ways_grouped",
       .heads = 4,
       .kv_heads = 1,
       .head_dim = 16,
       .lengths = {{67, 67}},
       .sees = Sees::both_ways},
      {.name = "grouped", .heads = 6, .kv_heads = 2, .head_dim = 20, .lengths = {{67, 67}, {31, 31}}},
      {.name = "cross", .head_dim = 32, .lengths = {{31, 67}, {67, 1}, {1, 130}, {33, 31}}, .sees = Sees::full},
      {.name = "cached", .heads = 4, .head_dim = 32, .lengths = {{1, 700}, {1, 33}, {3, 130}, {1, 1}, {7, 300}}},
      {.name = "cached_window", .head_dim = 32, .lengths = {{1, 700}, {2, 130}}, .sees = Sees::window},
      {.name = "cached_bias", .heads = 4, .head_dim = 20, .lengths = {{1, 300}, {2, 33}}, .bias = true, .span = 40},
      {.name = "random",
       .heads = 4,
       .kv_heads = 2,
       .head_dim = 20,
       .lengths = {{67, 130}, {33, 1}, {31, 300}},
       .sees = Sees::random},
      {.name = "query_rows", .head_dim = 16, .lengths = {{67, 67}, {1, 1}}, .sees = Sees::query_rows},
      {.name = "dropout",
       .heads = 4,
       .head_dim = 32,
       .lengths = {{67, 67}, {31, 300}, {2, 9}},
       .sees = Sees::full,
       .dropout = 0.2f},
      {.name = "distance_bias",
       .head_dim = 20,
       .lengths = {{67, 67}, {130, 130}, {1, 1}},
       .sees = Sees::full,
       .bias = true,
       .span = 40},
      {.name = "distance_bias_causal", .head_dim = 32, .lengths = {{300, 300}}, .bias = true, .span = 500},
      {.name = "relative", .head_dim = 20, .lengths = {{67, 67}, {33, 33}}, .relative = true, .span = 70},
      {.name = "relative_shuffled",
       .head_dim = 16,
       .lengths = {{67, 67}, {1, 1}, {31, 31}},
       .sees = Sees::query_rows,
       .relative = true,
       .shuffled = true,
       .span = 20,
       .dropout = 0.1f},
      {.name = "all",
       .heads = 4,
       .kv_heads = 2,
       .head_dim = 20,
       .lengths = {{67, 67}, {31, 31}},
       .sees = Sees::random,
       .bias = true,
       .relative = true,
       .shuffled = true,
       .span = 30,
       .dropout = 0.3f},
  };
  return all;
}

class Attention : public ::testing::TestWithParam<AttentionShape> {
 protected:
  void TearDown() override {
    force_isa(sets().back());
    set_thread_count(2);
  }
};

TEST_P(Attention, Float32EqualsReference) { check<float>(GetParam(), 3e-6); }
TEST_P(Attention, BFloat16EqualsReference) { check<bf16>(GetParam(), 1.5e-2); }

template <class T>
void expect_same_bits(const std::vector<T>& a, const std::vector<T>& b, const char* what) {
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(T)), 0) << what;
}
template <class T>
void check_threads(const AttentionShape& shape) {
  AttentionProblem<double, double> source = make_problem(shape, 12);
  AttentionProblem<float, T> one = convert_problem<float, T>(source), two = one;
  for (auto [p, threads] : {std::pair{&one, 1}, {&two, 2}}) {
    set_thread_count(threads);
    p->connect();
    attention_forward(p->forward);
    attention_backward(p->backward);
  }
  expect_same_bits(one.out, two.out, "out");
  expect_same_bits(one.dq, two.dq, "dq");
  expect_same_bits(one.dk, two.dk, "dk");
  expect_same_bits(one.dv, two.dv, "dv");
  expect_same_bits(one.dbias, two.dbias, "dbias");
  expect_same_bits(one.dr, two.dr, "dr");
  expect_same_bits(one.du, two.du, "du");
}
TEST_P(Attention, OneThreadEqualsTwo) {
  check_threads<float>(GetParam());
  check_threads<bf16>(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention, ::testing::ValuesIn(shapes()),
                         [](const auto& test) { return test.param.name; });

// Packing changes nothing: a segment alone gives the bits that it gives among others.
TEST(AttentionPacking, SegmentsDoNotMeet) {
  AttentionProblem<double, double> source =
      make_problem({.name = "", .head_dim = 20, .lengths = {{31, 31}, {67, 67}}}, 13);
  AttentionProblem<float, float> packed = convert_problem<float, float>(source), alone = packed;
  packed.connect(), alone.connect();
  alone.forward.segments = &alone.segments[1], alone.forward.segment_count = 1;
  alone.backward.segments = &alone.segments[1], alone.backward.segment_count = 1;
  attention_forward(packed.forward), attention_forward(alone.forward);
  attention_backward(packed.backward), attention_backward(alone.backward);
  for (int64_t i = packed.segments[1].q_begin; i < packed.segments[1].q_begin + 67; ++i) {
    const size_t at = size_t(i * packed.q_stride);
    EXPECT_EQ(std::memcmp(&packed.out[at], &alone.out[at], 40 * sizeof(float)), 0);
    EXPECT_EQ(std::memcmp(&packed.dq[at], &alone.dq[at], 40 * sizeof(float)), 0);
  }
}

}  // namespace
}  // namespace triarch::kernels::testing
