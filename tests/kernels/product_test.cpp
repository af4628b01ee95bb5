#include "triarch/kernels/product.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "triarch/base/random.h"
#include "triarch/base/threads.h"
#include "triarch/kernels/rows.h"

namespace triarch::kernels {
namespace {

// One product in float64 and its operands as T; everything outside of the matrices' used parts is NaN.
struct Case {
  int64_t m, n, k;
  bool a_transposed = false, b_transposed = true, accumulate = false, bias = false, pre_activation = false;
  float scale = 1;
  Activation activation = Activation::none;
  int64_t padding = 0;  // of every row stride

  std::string name() const {
    return fmt::format("{}x{}x{} {}{}{}{}{} scale {} activation {} padding {}", m, n, k, a_transposed ? 'T' : 'N',
                       b_transposed ? 'T' : 'N', accumulate ? " accumulate" : "", bias ? " bias" : "",
                       pre_activation ? " pre" : "", scale, int(activation), padding);
  }
};

template <class T>
std::vector<T> random_matrix(int64_t rows, int64_t cols, int64_t stride, uint32_t seed) {
  std::vector<T> x(size_t(rows * stride), T(NAN));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      x[size_t(i * stride + j)] = T(float(hash32(uint32_t(i * cols + j), seed)) / 2147483648.0f - 1.0f);
    }
  }
  return x;
}

template <class T>
std::vector<double> widen(const std::vector<T>& x) {
  std::vector<double> wide(x.size());
  std::transform(x.begin(), x.end(), wide.begin(), [](T v) { return double(float(v)); });
  return wide;
}

template <class C>
struct Outputs {
  std::vector<C> c, pre;
};

template <class A, class C>
Outputs<C> run(const Case& t, const std::vector<A>& a, const std::vector<A>& b, const std::vector<C>& c,
               const std::vector<typename sum_type<A>::type>& bias) {
  Outputs<C> out{c, c};
  Product<A, C> x;
  x.m = t.m, x.n = t.n, x.k = t.k;
  x.a = a.data(), x.a_stride = (t.a_transposed ? t.m : t.k) + t.padding, x.a_transposed = t.a_transposed;
  x.b = b.data(), x.b_stride = (t.b_transposed ? t.k : t.n) + t.padding, x.b_transposed = t.b_transposed;
  x.c = out.c.data(), x.c_stride = t.n + t.padding;
  x.scale = t.scale, x.accumulate = t.accumulate, x.activation = t.activation;
  x.bias = t.bias ? bias.data() : nullptr;
  x.pre_activation = t.pre_activation ? out.pre.data() : nullptr;
  product(x);
  return out;
}

template <class T>
bool same_bits(const std::vector<T>& x, const std::vector<T>& y) {
  return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0);
}

// Largest difference from the reference, as a part of what is allowed.
template <class C>
double worst(const Case& t, const std::vector<C>& found, const std::vector<double>& expected) {
  const double rounding = sizeof(C) == 2 ? 1.0 / 256 : 0;  // to bfloat16
  double largest = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const double f = double(float(found[i])), e = expected[i];
    if (std::isnan(e)) {
      if (!std::isnan(f)) return INFINITY;  // padding was written
      continue;
    }
    const double allowed = 1e-6 * (4 + double(t.k) / 10) * std::max(1.0f, std::fabs(t.scale)) + rounding * std::fabs(e);
    const double part = std::fabs(f - e) / allowed;
    if (!(part <= largest)) largest = std::isnan(part) ? INFINITY : part;
  }
  return largest;
}

template <class A, class C>
void check(const Case& t) {
  const auto a = random_matrix<A>(t.a_transposed ? t.k : t.m, t.a_transposed ? t.m : t.k,
                                  (t.a_transposed ? t.m : t.k) + t.padding, 1);
  const auto b = random_matrix<A>(t.b_transposed ? t.n : t.k, t.b_transposed ? t.k : t.n,
                                  (t.b_transposed ? t.k : t.n) + t.padding, 2);
  const auto c = random_matrix<C>(t.m, t.n, t.n + t.padding, 3);
  const auto bias = random_matrix<float>(1, t.n, t.n, 4);
  const auto expected = run<double, double>(t, widen(a), widen(b), widen(c), widen(bias));
  std::vector<Outputs<C>> one_thread;
  for (const int threads : {1, 2}) {
    set_thread_count(threads);
    size_t next = 0;
    for (const Isa isa : kIsas) {
      if (!force_isa(isa)) continue;
      const auto found = run<A, C>(t, a, b, c, bias);
      if (threads == 1) {
        EXPECT_LE(worst(t, found.c, expected.c), 1) << name_of(isa) << " " << t.name();
        EXPECT_LE(worst(t, found.pre, expected.pre), 1) << name_of(isa) << " pre of " << t.name();
        one_thread.push_back(found);
      } else {
        const auto& one = one_thread[next++];
        EXPECT_TRUE(same_bits(found.c, one.c) && same_bits(found.pre, one.pre)) << name_of(isa) << " " << t.name();
      }
    }
  }
}

void check_types(const Case& t) {
  check<float, float>(t);
  check<bf16, bf16>(t);
  check<bf16, float>(t);
}

class ProductTest : public ::testing::Test {
 protected:
  ~ProductTest() override {
    force_isa(isa_);
    set_thread_count(threads_);
  }
  const Isa isa_ = active_isa();
  const int threads_ = thread_count();
};

TEST_F(ProductTest, OddSizesAllTransposes) {
  const int64_t sizes[][3] = {{1, 1, 1},    {1, 67, 33},   {2, 31, 64},   {7, 33, 31},    {8, 64, 130},
                              {9, 33, 67},  {14, 32, 256}, {15, 31, 257}, {31, 67, 33},   {67, 31, 1},
                              {64, 64, 64}, {33, 130, 67}, {131, 67, 45}, {100, 290, 31}, {29, 65, 600}};
  for (const auto& s : sizes) {
    for (int mask = 0; mask < 4; ++mask) {
      check_types({.m = s[0], .n = s[1], .k = s[2], .a_transposed = (mask & 1) != 0, .b_transposed = (mask & 2) != 0});
    }
  }
}

TEST_F(ProductTest, StridesScaleAccumulate) {
  for (int mask = 0; mask < 8; ++mask) {
    for (const int64_t m : {3, 37}) {
      check_types({.m = m,
                   .n = 47,
                   .k = 41,
                   .a_transposed = (mask & 1) != 0,
                   .b_transposed = (mask & 2) != 0,
                   .accumulate = (mask & 4) != 0,
                   .scale = 0.25f,
                   .padding = 5});
    }
  }
}

TEST_F(ProductTest, BiasAndActivations) {
  for (const Activation f : {Activation::none, Activation::relu, Activation::gelu, Activation::gelu_tanh,
                             Activation::silu, Activation::tanh}) {
    for (const int64_t m : {1, 33}) {
      for (const bool pre : {false, true}) {
        check_types({.m = m, .n = 67, .k = 31, .bias = true, .pre_activation = pre, .scale = 0.5f, .activation = f});
      }
    }
  }
}

// Several blocks of k, of rows and of columns.
TEST_F(ProductTest, LargeSizes) {
  for (int mask = 0; mask < 4; ++mask) {
    check_types({.m = 300,
                 .n = 280,
                 .k = 1111,
                 .a_transposed = (mask & 1) != 0,
                 .b_transposed = (mask & 2) != 0,
                 .bias = true,
                 .activation = Activation::relu});
  }
  check_types({.m = 1, .n = 1000, .k = 1029, .bias = true});
  check_types({.m = 300, .n = 70, .k = 1024, .a_transposed = true, .b_transposed = false, .accumulate = true});
  // Read where they are over several blocks of k; strips of columns.
  check_types({.m = 67, .n = 96, .k = 600, .a_transposed = true, .b_transposed = false, .scale = 0.5f});
  for (const bool b_transposed : {false, true})
    check_types({.m = 33, .n = 3030, .k = 530, .b_transposed = b_transposed});
  // Few rows of a, read by more than one unit: in several blocks of k, with everything that is done to the sums.
  for (const int64_t m : {9, 16, 17, 32}) {
    check_types({.m = m, .n = 1030, .k = 1601, .accumulate = true, .scale = 0.5f, .padding = 3});
    check_types({.m = m, .n = 133, .k = 40, .bias = true, .pre_activation = true, .activation = Activation::gelu});
  }
  check_types({.m = 61, .n = 3200, .k = 770, .bias = true});
  check_types({.m = 16, .n = 1030, .k = 1024});  // rows a multiple of 4 KB apart
  // Gradients of weights with more inputs than outputs, which are computed turned.
  for (const bool accumulate : {false, true}) {
    for (const int64_t m : {48, 272}) {
      check_types({.m = m,
                   .n = 333,
                   .k = 1111,
                   .a_transposed = true,
                   .b_transposed = false,
                   .accumulate = accumulate,
                   .scale = 0.5f,
                   .padding = 3});
    }
  }
}

// Half of x x' or of x' x, mirrored, is bit by bit what the whole product gives.
template <class T>
void check_symmetric(int64_t side, int64_t length, bool tall, int64_t padding) {
  const int64_t stride = (tall ? side : length) + padding;
  const auto values = random_matrix<T>(tall ? length : side, tall ? side : length, stride, 1);
  Product<T, float> x;
  x.m = x.n = side, x.k = length, x.scale = 0.5f;
  x.a = x.b = values.data(), x.a_stride = x.b_stride = stride, x.a_transposed = tall, x.b_transposed = !tall;
  x.c_stride = side + padding;
  for (const Isa isa : kIsas) {
    if (!force_isa(isa)) continue;
    for (const int threads : {1, 2}) {
      set_thread_count(threads);
      std::vector<float> whole(size_t(side * x.c_stride), 7.0f), half = whole;
      x.c = whole.data(), x.symmetric = false;
      product(x);
      x.c = half.data(), x.symmetric = true;
      product(x);
      EXPECT_TRUE(same_bits(whole, half)) << name_of(isa) << " " << side << " " << length << " " << tall;
    }
  }
}

TEST_F(ProductTest, Symmetric) {
  for (const int64_t side : {1, 7, 31, 64, 67, 200, 530}) {
    for (const int64_t length : {1, 33, 600}) {
      for (const bool tall : {false, true}) {
        check_symmetric<float>(side, length, tall, 3);
        check_symmetric<bf16>(side, length, tall, 0);
      }
    }
  }
}

TEST_F(ProductTest, EmptySizes) {
  for (const bool b_transposed : {false, true}) {
    for (const int64_t m : {1, 33}) {
      check_types({.m = m, .n = 35, .k = 0, .b_transposed = b_transposed});
      check_types(
          {.m = m, .n = 35, .k = 0, .b_transposed = b_transposed, .bias = true, .activation = Activation::silu});
      check_types({.m = m, .n = 35, .k = 0, .b_transposed = b_transposed, .accumulate = true});
    }
    check_types({.m = 0, .n = 5, .k = 3, .b_transposed = b_transposed});
    check_types({.m = 5, .n = 0, .k = 3, .b_transposed = b_transposed});
  }
}

// Rows of int8, each with its scale before it.
std::vector<int8_t> quantised(const std::vector<float>& b, int64_t rows, int64_t cols, int64_t stride) {
  std::vector<int8_t> out(size_t(rows * stride), int8_t(-128));
  QuantiseRows q;
  q.rows = rows, q.cols = cols, q.from = b.data(), q.to = out.data() + kScaleBytes, q.to_stride = stride;
  quantise_rows(q);
  return out;
}

TEST_F(ProductTest, Int8Weights) {
  const int64_t sizes[][3] = {{1, 1, 1},     {1, 67, 33},  {2, 31, 64},     {7, 33, 31},
                              {8, 64, 130},  {9, 33, 67},  {33, 130, 67},   {3, 9, 700},
                              {29, 65, 600}, {40, 48, 64}, {33, 3030, 530}, {16, 1030, 1601}};
  for (const auto& s : sizes) {
    for (const bool bias : {false, true}) {
      const Case t{.m = s[0],
                   .n = s[1],
                   .k = s[2],
                   .bias = bias,
                   .pre_activation = bias,
                   .scale = 0.5f,
                   .activation = bias ? Activation::gelu : Activation::none};
      const int64_t stride = t.k + kScaleBytes + 3;
      const auto a = random_matrix<float>(t.m, t.k, t.k, 1);
      const auto b = quantised(random_matrix<float>(t.n, t.k, t.k, 2), t.n, t.k, stride);
      const auto biases = random_matrix<float>(1, t.n, t.n, 4);
      std::vector<double> wide(size_t(t.n * t.k));
      for (int64_t i = 0; i < t.n; ++i) {
        const int8_t* row = b.data() + i * stride + kScaleBytes;
        for (int64_t p = 0; p < t.k; ++p) wide[size_t(i * t.k + p)] = double(row[p]) * double(row_scale(row));
      }
      const std::vector<double> nothing(size_t(t.m * t.n), 0);
      const auto expected = run<double, double>(t, widen(a), wide, nothing, widen(biases));
      for (const Isa isa : kIsas) {
        if (!force_isa(isa)) continue;
        std::vector<std::vector<float>> found;
        for (const int threads : {1, 2}) {
          set_thread_count(threads);
          std::vector<float> c(size_t(t.m * t.n), NAN), pre(c.size(), 0);
          Product<float, float, int8_t> x;
          x.m = t.m, x.n = t.n, x.k = t.k, x.a = a.data(), x.a_stride = t.k;
          x.b = b.data() + kScaleBytes, x.b_stride = stride, x.b_transposed = true;
          x.c = c.data(), x.c_stride = t.n, x.scale = t.scale, x.activation = t.activation;
          x.bias = bias ? biases.data() : nullptr, x.pre_activation = bias ? pre.data() : nullptr;
          product(x);
          EXPECT_LE(worst(t, c, expected.c), 1) << name_of(isa) << " " << t.name();
          EXPECT_LE(worst(t, pre, expected.pre), 1) << name_of(isa) << " pre of " << t.name();
          found.push_back(c);
        }
        EXPECT_TRUE(same_bits(found[0], found[1])) << name_of(isa) << " " << t.name();
      }
    }
  }
}

template <class T>
void check_column_sum(int64_t rows, int64_t cols, int64_t stride, bool accumulate) {
  const auto x = random_matrix<T>(rows, cols, stride, 1);
  const auto start = random_matrix<float>(1, cols, cols, 2);
  std::vector<double> expected = widen(start);
  const std::vector<double> wide = widen(x);
  column_sum(ColumnSum<double, double>{rows, cols, wide.data(), stride, expected.data(), accumulate});
  for (const Isa isa : kIsas) {
    if (!force_isa(isa)) continue;
    std::vector<float> one = start, two = start;
    set_thread_count(1);
    column_sum(ColumnSum<T, float>{rows, cols, x.data(), stride, one.data(), accumulate});
    set_thread_count(2);
    column_sum(ColumnSum<T, float>{rows, cols, x.data(), stride, two.data(), accumulate});
    EXPECT_TRUE(same_bits(one, two));
    for (int64_t j = 0; j < cols; ++j) {
      ASSERT_NEAR(one[size_t(j)], expected[size_t(j)], 1e-6 * (4 + std::sqrt(double(rows))))
          << name_of(isa) << " " << rows << "x" << cols << " column " << j;
    }
  }
}

TEST_F(ProductTest, ColumnSums) {
  const int64_t sizes[][2] = {{0, 5}, {1, 1}, {67, 31}, {129, 33}, {700, 64}, {300, 1100}};
  for (const auto& s : sizes) {
    for (const bool accumulate : {false, true}) {
      check_column_sum<float>(s[0], s[1], s[1] + 3, accumulate);
      check_column_sum<bf16>(s[0], s[1], s[1] + 3, accumulate);
    }
  }
}

}  // namespace
}  // namespace triarch::kernels
