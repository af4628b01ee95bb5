#include "triarch/kernels/muon.h"

#include "tests/kernels/check.h"
#include "triarch/base/error.h"

namespace triarch::kernels::test {
namespace {

template <class S>
Values orthogonalised(int64_t rows, int64_t cols, const Values& x_values, int iterations = 5) {
  auto x = as<S>(x_values);
  std::vector<S> out(x.size()), workspace(size_t(newton_schulz_workspace(rows, cols)), S(NAN));
  newton_schulz(NewtonSchulz<S>{rows, cols, x.data(), out.data(), workspace.data(), iterations});
  return doubles(out);
}

// The eigenvalues of a symmetric matrix by Jacobi's rotations.
Values eigenvalues(Values a, int64_t n) {
  const auto at = [&](int64_t i, int64_t j) -> double& { return a[size_t(i * n + j)]; };
  for (int sweep = 0; sweep < 30; ++sweep) {
    for (int64_t p = 0; p < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) {
        if (std::abs(at(p, q)) < 1e-300) continue;
        const double theta = (at(q, q) - at(p, p)) / (2 * at(p, q));
        const double t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        for (int64_t k = 0; k < n; ++k) {
          const double kp = at(k, p), kq = at(k, q);
          at(k, p) = c * kp - s * kq, at(k, q) = s * kp + c * kq;
        }
        for (int64_t k = 0; k < n; ++k) {
          const double pk = at(p, k), qk = at(q, k);
          at(p, k) = c * pk - s * qk, at(q, k) = s * pk + c * qk;
        }
      }
    }
  }
  Values diagonal;
  for (int64_t i = 0; i < n; ++i) diagonal.push_back(at(i, i));
  return diagonal;
}
Values singular_values(const Values& x, int64_t rows, int64_t cols) {
  Values gram(size_t(rows * rows));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < rows; ++j) {
      for (int64_t k = 0; k < cols; ++k)
        gram[size_t(i * rows + j)] += x[size_t(i * cols + k)] * x[size_t(j * cols + k)];
    }
  }
  Values values = eigenvalues(gram, rows);
  for (double& v : values) v = std::sqrt(std::max(v, 0.0));
  return values;
}

struct Shape {
  int64_t rows, cols;
};

TEST(muon, newton_schulz_equals_reference) {
  for (Shape s : {Shape{1, 1}, {1, 31}, {31, 1}, {33, 33}, {16, 67}, {67, 16}, {64, 192}, {130, 64}}) {
    const Values x = normal_values(s.rows * s.cols, uint64_t(s.rows), 0.02);
    for (int iterations : {1, 2, 3, 5}) {
      const Values want = orthogonalised<double>(s.rows, s.cols, x, iterations);
      on_every_isa([&] {
        expect_close(orthogonalised<float>(s.rows, s.cols, x, iterations), want, 2e-4,
                     std::to_string(s.rows) + " x " + std::to_string(s.cols));
      });
    }
  }
}

// Singular values of 1 down to 1e-6, and some of 0: in float x x^T has nothing of the smallest, which must not show.
TEST(muon, newton_schulz_of_nearly_singular_matrices) {
  for (Shape s : {Shape{24, 24}, {24, 56}, {56, 24}}) {
    Values x(size_t(s.rows * s.cols));
    for (int64_t term = 0; term < 20; ++term) {
      const Values left = normal_values(s.rows, uint64_t(10 + term)),
                   right = normal_values(s.cols, uint64_t(50 + term));
      for (int64_t i = 0; i < s.rows; ++i) {
        for (int64_t j = 0; j < s.cols; ++j) {
          x[size_t(i * s.cols + j)] += std::pow(10, -double(term) * 0.3) * left[size_t(i)] * right[size_t(j)];
        }
      }
    }
    // Twenty bring all but the zeros near one, where what rounding makes of them shows.
    for (int iterations : {5, 10, 20}) {
      const Values want = orthogonalised<double>(s.rows, s.cols, x, iterations);
      on_every_isa([&] {
        const Values got = orthogonalised<float>(s.rows, s.cols, x, iterations);
        for (double v : got) ASSERT_TRUE(std::isfinite(v)) << iterations << " iterations";
        if (iterations <= 10) expect_close(got, want, iterations == 5 ? 1e-3 : 1e-2, "nearly singular");
      });
    }
  }
}

TEST(muon, newton_schulz_brings_singular_values_near_one) {
  const int64_t rows = 24, cols = 56;
  const Values x = normal_values(rows * cols, 3, 100);
  const Values before = singular_values(x, rows, cols);
  EXPECT_GT(*std::max_element(before.begin(), before.end()) / *std::min_element(before.begin(), before.end()), 3);
  on_every_isa([&] {
    for (double value : singular_values(orthogonalised<float>(rows, cols, x), rows, cols)) {
      EXPECT_TRUE(value > 0.65 && value < 1.25) << value;
    }
  });
}

// On a diagonal matrix every entry goes its own way, with its sign.
TEST(muon, newton_schulz_keeps_singular_vectors) {
  Values x(9);
  x[0] = 3, x[4] = -1, x[8] = 0.25;
  const Values out = orthogonalised<float>(3, 3, x);
  for (size_t i = 0; i < 9; ++i) {
    if (i % 4 != 0) {
      EXPECT_NEAR(out[i], 0, 1e-6);
    } else {
      EXPECT_NEAR(out[i], x[i] > 0 ? 1 : -1, 0.35);
    }
  }
}

TEST(muon, newton_schulz_of_zeros_is_zeros) {
  EXPECT_EQ(orthogonalised<float>(5, 7, Values(35)), Values(35));
  EXPECT_TRUE(orthogonalised<float>(0, 7, Values()).empty());
  EXPECT_THROW(orthogonalised<float>(2, 2, Values(4), 0), Error);
}

template <class S>
Values train(int64_t rows, int64_t cols, double weight_decay) {
  auto weight = as<S>(normal_values(rows * cols, 1));
  std::vector<S> momentum(weight.size()), workspace(size_t(muon_workspace(rows, cols)), S(NAN));
  for (uint64_t step = 0; step < 3; ++step) {
    auto gradient = as<S>(normal_values(rows * cols, 10 + step));
    Muon<S> a;
    a.rows = rows, a.cols = cols, a.weight = weight.data(), a.gradient = gradient.data();
    a.momentum = momentum.data(), a.workspace = workspace.data(), a.iterations = 3;
    a.gradient_scale = S(0.25), a.mu = S(0.9375), a.lr = S(0.125), a.weight_decay = S(weight_decay);
    muon(a);
  }
  momentum.insert(momentum.end(), weight.begin(), weight.end());
  return doubles(momentum);
}

TEST(muon, update_equals_reference) {
  for (Shape s : {Shape{1, 1}, {31, 67}, {67, 33}, {0, 4}}) {
    for (double weight_decay : {0.0, 0.5}) {
      const Values want = train<double>(s.rows, s.cols, weight_decay);
      on_every_isa([&] { expect_close(train<float>(s.rows, s.cols, weight_decay), want, 1e-4, "momentum, weight"); });
    }
  }
}

// One step from rest, by hand: m = g, u = (1 + mu) g, and the direction of a 1 x 1 matrix is near its sign.
TEST(muon, first_step) {
  double weight = 2, gradient = -8, momentum = 0, workspace[8];
  muon(Muon<double>{1, 1, &weight, &gradient, &momentum, 0.5, 0.9, 0.1, 0.25, 5, workspace});
  EXPECT_EQ(momentum, -4);
  EXPECT_NEAR(workspace[0], -4 * 1.9, 1e-12);
  EXPECT_NEAR(weight, 2 - 0.1 * (-1 + 0.25 * 2), 0.1 * 0.35);
  EXPECT_NEAR(weight, 2 - 0.1 * (workspace[1] + 0.25 * 2), 1e-12);
}

TEST(muon, same_bits_on_any_number_of_threads) {
  const Values x = normal_values(96 * 160, 4);
  on_every_isa([&] {
    expect_same_on_any_threads([&] { return orthogonalised<float>(96, 160, x); });
    expect_same_on_any_threads([&] { return train<float>(150, 280, 0.5); });
  });
}

// s s l + (4 n - 3) s s s + 2 s s l for the smaller side s, the larger l and n <= 5 iterations.
TEST(muon, flops_count_the_products) {
  EXPECT_EQ(newton_schulz_flops(2, 3, 1), 12 + 8 + 2 * 12);
  EXPECT_EQ(newton_schulz_flops(2, 3, 5), 12 + 17 * 8 + 2 * 12);
  EXPECT_EQ(newton_schulz_flops(2, 3, 7), newton_schulz_flops(2, 3, 5) + newton_schulz_flops(2, 3, 2));
  EXPECT_EQ(newton_schulz_flops(3, 2, 5), newton_schulz_flops(2, 3, 5));
}

}  // namespace
}  // namespace triarch::kernels::test
