// Rotary position embedding: every body against double arithmetic, its inverse, and relative positions.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "triarch/base/random.h"
#include "triarch/kernels/reference/rotary.h"

namespace triarch::kernels {
namespace {

template <class T>
struct Problem {
  std::vector<T> x;
  std::vector<int32_t> positions;
  std::vector<double> frequencies;
  Rotary<T> args;
};

template <class T>
Problem<T> make(int64_t rows, int64_t heads, int64_t head_dim, int64_t dims, int32_t position_step) {
  Problem<T> p;
  Draw draw(Key(3, Purpose::test));
  const int64_t stride = heads * head_dim + 7;
  for (int64_t i = 0; i < rows * stride; ++i) p.x.push_back(T(float(draw.normal())));
  for (int64_t i = 0; i < rows; ++i) p.positions.push_back(int32_t(i) * position_step);
  for (int64_t j = 0; j < dims / 2; ++j) p.frequencies.push_back(std::pow(10000.0, -2.0 * double(j) / double(dims)));
  p.args = {rows, heads, head_dim, dims, nullptr, stride, nullptr, nullptr, false};
  return p;
}
template <class T>
Rotary<T> arguments(Problem<T>& p) {
  p.args.x = p.x.data(), p.args.positions = p.positions.data(), p.args.frequencies = p.frequencies.data();
  return p.args;
}

TEST(Rotary, ScoresDependOnDistanceOnly) {
  // q at 3 and k at 1 against q at 1003 and k at 1001.
  double dots[2];
  for (int shift = 0; shift < 2; ++shift) {
    Problem<double> p = make<double>(2, 1, 8, 8, 1);
    p.positions = {3 + 1000 * shift, 1 + 1000 * shift};
    rotary(arguments(p));
    dots[shift] = 0;
    for (size_t x = 0; x < 8; ++x) dots[shift] += p.x[x] * p.x[x + size_t(p.args.stride)];
  }
  EXPECT_NEAR(dots[0], dots[1], 1e-9);
}

TEST(Rotary, TurnsPairsByTheAngle) {
  Problem<double> p = make<double>(1, 1, 4, 4, 1);
  p.x[0] = 1, p.x[1] = 0, p.x[2] = 0, p.x[3] = 2;
  p.positions = {2};
  rotary(arguments(p));
  EXPECT_NEAR(p.x[0], std::cos(2.0), 1e-12);
  EXPECT_NEAR(p.x[2], std::sin(2.0), 1e-12);
  EXPECT_NEAR(p.x[1], -2 * std::sin(0.02), 1e-12);
  EXPECT_NEAR(p.x[3], 2 * std::cos(0.02), 1e-12);
}

TEST(Rotary, InverseTurnsBack) {
  Problem<double> p = make<double>(9, 2, 10, 6, 13);
  const std::vector<double> before = p.x;
  rotary(arguments(p));
  p.args.inverse = true;
  rotary(arguments(p));
  for (size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(p.x[i], before[i], 1e-12);
}

template <class T>
void bodies_equal_reference(double tolerance) {
  const Isa before = active_isa();
  for (Isa isa : kIsas) {
    if (!force_isa(isa)) continue;
    for (auto [head_dim, dims] :
         {std::pair<int64_t, int64_t>{2, 2}, {20, 20}, {32, 10}, {64, 64}, {70, 66}, {128, 128}}) {
      for (int32_t step : {1, 4099}) {
        Problem<T> p = make<T>(67, 3, head_dim, dims, step);
        Problem<double> expected = make<double>(67, 3, head_dim, dims, step);
        for (size_t i = 0; i < p.x.size(); ++i) expected.x[i] = double(float(p.x[i]));
        for (bool inverse : {false, true}) {
          p.args.inverse = expected.args.inverse = inverse;
          rotary(arguments(p));
          rotary(arguments(expected));
          for (size_t i = 0; i < p.x.size(); ++i) {
            ASSERT_NEAR(double(float(p.x[i])), expected.x[i], tolerance * (1 + std::abs(expected.x[i])))
                << name_of(isa) << " " << head_dim << " " << dims << " " << i;
          }
        }
      }
    }
  }
  force_isa(before);
}

TEST(Rotary, BodiesEqualReference) {
  bodies_equal_reference<float>(1e-6);
  bodies_equal_reference<bf16>(1.5e-2);
}

}  // namespace
}  // namespace triarch::kernels
