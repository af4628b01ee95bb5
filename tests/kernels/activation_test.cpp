#include "triarch/kernels/activation.h"

#include "tests/kernels/check.h"
#include "triarch/kernels/reference/activation_math.h"

namespace triarch::kernels::test {
namespace {

constexpr Activation kAll[] = {Activation::none,      Activation::relu, Activation::gelu,
                               Activation::gelu_tanh, Activation::silu, Activation::tanh};

struct Shape {
  int64_t rows, cols;
};
constexpr Shape kShapes[] = {{0, 5}, {1, 1}, {3, 31}, {5, 33}, {2, 67}, {67, 160}, {3, 5000}};

template <class T>
Values run_forward(Shape s, Activation f, const Values& in_values) {
  auto in = as<T>(in_values);
  std::vector<T> out(static_cast<size_t>(s.rows * s.cols));
  gated_forward(GatedForward<T>{s.rows, s.cols, in.data(), out.data(), f});
  return doubles(out);
}
template <class T>
Values run_backward(Shape s, Activation f, const Values& in_values, const Values& dout_values) {
  auto in = as<T>(in_values), dout = as<T>(dout_values);
  std::vector<T> din(in.size()), without(in.size()), out(dout.size());
  gated_backward(GatedBackward<T>{s.rows, s.cols, in.data(), dout.data(), din.data(), out.data(), f});
  gated_backward(GatedBackward<T>{s.rows, s.cols, in.data(), dout.data(), without.data(), nullptr, f});
  EXPECT_EQ(doubles(din), doubles(without));
  EXPECT_EQ(doubles(out), run_forward<T>(s, f, in_values));  // made again to the bit
  gated_backward(GatedBackward<T>{s.rows, s.cols, in.data(), dout.data(), in.data(), dout.data(), f});
  EXPECT_EQ(doubles(din), doubles(in));  // in place, both
  EXPECT_EQ(doubles(out), doubles(dout));
  return doubles(din);
}
template <class T>
Values run_activation_backward(Shape s, Activation f, const Values& pre_values, const Values& dout_values) {
  auto pre = as<T>(pre_values), dout = as<T>(dout_values);
  std::vector<T> din(pre.size()), out(pre.size());
  activation_backward(ActivationBackward<T>{s.rows, s.cols, pre.data(), dout.data(), din.data(), out.data(), f});
  auto over_pre = pre, over_dout = dout;
  activation_backward(
      ActivationBackward<T>{s.rows, s.cols, over_pre.data(), over_dout.data(), over_pre.data(), over_dout.data(), f});
  EXPECT_EQ(doubles(din), doubles(over_pre));  // in place, both
  EXPECT_EQ(doubles(out), doubles(over_dout));
  activation_backward(ActivationBackward<T>{s.rows, s.cols, pre.data(), dout.data(), dout.data(), nullptr, f});
  EXPECT_EQ(doubles(din), doubles(dout));  // in place, without the value
  Values want;
  for (double x : doubles(pre)) want.push_back(reference::activate(f, x));
  expect_close(doubles(out), want, tolerance<T>(), "value");
  return doubles(din);
}

template <class T>
class ActivationTest : public testing::Test {};
using Types = testing::Types<float, bf16>;
TYPED_TEST_SUITE(ActivationTest, Types);

TYPED_TEST(ActivationTest, equals_reference) {
  for (Activation f : kAll) {
    for (Shape s : kShapes) {
      const Values in = normal_values(s.rows * 2 * s.cols, 1, 3), dout = normal_values(s.rows * s.cols, 2);
      const Values pre(in.begin(), in.begin() + s.rows * s.cols);
      on_every_isa([&] {
        const double t = tolerance<TypeParam>();
        expect_close(run_forward<TypeParam>(s, f, in), run_forward<double>(s, f, in), t, "out");
        expect_close(run_backward<TypeParam>(s, f, in, dout), run_backward<double>(s, f, in, dout), t, "din");
        expect_close(run_activation_backward<TypeParam>(s, f, pre, dout),
                     run_activation_backward<double>(s, f, pre, dout), t, "activation din");
      });
    }
  }
}

TEST(activation, large_values_stay_finite) {
  const Values x = {-1e6, -200, -88, -20, -0.0, 0.0, 20, 88, 200, 1e6};
  const Shape s{1, int64_t(x.size())};
  Values in = x;
  in.insert(in.end(), x.size(), 1.0);
  for (Activation f : kAll) {
    on_every_isa([&] {
      const Values out = run_forward<float>(s, f, in), want = run_forward<double>(s, f, in);
      expect_close(out, want, 1e-5, "out");
      for (double d : run_activation_backward<float>(s, f, x, Values(x.size(), 1.0))) {
        EXPECT_TRUE(std::isfinite(d) && d > -0.2 && d < 1.2) << d;
      }
    });
  }
}

TEST(activation, reference_gradients_are_finite_differences) {
  const Shape s{3, 7};
  for (Activation f : kAll) {
    Values in = normal_values(s.rows * 2 * s.cols, 3);
    const Values dout = normal_values(s.rows * s.cols, 4);
    expect_close(run_backward<double>(s, f, in, dout),
                 finite_differences(in, [&] { return dot(run_forward<double>(s, f, in), dout); }), 1e-8, "din");
    // f alone is the gated form with all factors one.
    Values with_ones = in;
    for (int64_t i = 0; i < s.rows * 2 * s.cols; ++i) {
      if (i / s.cols % 2 == 1) with_ones[size_t(i)] = 1;
    }
    Values pre, gated = run_backward<double>(s, f, with_ones, dout), want;
    for (int64_t i = 0; i < s.rows * 2 * s.cols; ++i) {
      if (i / s.cols % 2 == 1) continue;
      pre.push_back(with_ones[size_t(i)]);
      want.push_back(gated[size_t(i)]);
    }
    expect_close(run_activation_backward<double>(s, f, pre, dout), want, 1e-14, "activation din");
  }
}

TEST(activation, same_bits_on_any_number_of_threads) {
  const Shape s{67, 1001};
  const Values in = normal_values(s.rows * 2 * s.cols, 5), dout = normal_values(s.rows * s.cols, 6);
  on_every_isa([&] {
    expect_same_on_any_threads([&] { return run_forward<float>(s, Activation::gelu, in); });
    expect_same_on_any_threads([&] { return run_backward<float>(s, Activation::silu, in, dout); });
  });
}

}  // namespace
}  // namespace triarch::kernels::test
