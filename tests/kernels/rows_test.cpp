#include "triarch/kernels/rows.h"

#include "tests/kernels/check.h"

namespace triarch::kernels::test {
namespace {

constexpr int64_t kRows = 41;

template <class T>
Values gather(int64_t cols, int64_t padding, const Values& x_values) {
  auto x = as<T>(x_values);
  const auto index = integers(kRows, 1, -3, int32_t(kRows));
  std::vector<T> out(size_t(kRows * (cols + padding)), T(7.0f));
  gather_rows(GatherRows<T>{kRows, cols, index.data(), x.data(), cols + padding, out.data(), cols + padding});
  return doubles(out);
}
// Every x row once at most: bfloat16 rounds after every addition.
template <class T>
Values scatter(int64_t cols, bool accumulate, bool repeated, const Values& dout_values, const Values& x_values) {
  auto dout = as<T>(dout_values), x = as<T>(x_values);
  auto index = integers(kRows, 1, -3, int32_t(kRows));
  if (!repeated) {
    for (int64_t i = 0; i < kRows; ++i) index[size_t(i)] = int32_t(i % 5 == 4 ? -1 : i * 17 % kRows);
  }
  scatter_rows(ScatterRows<T>{kRows, cols, kRows, index.data(), dout.data(), x.data(), accumulate});
  return doubles(x);
}
const std::vector<int32_t> kBegin = {0, 3, 3, 20, 10}, kEnd = {3, 3, 10, 41, 19};  // one empty, row 19 in none
template <class T>
Values mean(int64_t cols, const Values& x_values) {
  auto x = as<T>(x_values);
  std::vector<T> out(kBegin.size() * size_t(cols));
  mean_rows(MeanRows<T>{int64_t(kBegin.size()), cols, kBegin.data(), kEnd.data(), x.data(), out.data()});
  return doubles(out);
}
template <class T>
Values mean_backward(int64_t cols, bool accumulate, const Values& dout_values, const Values& x_values) {
  auto dout = as<T>(dout_values), dx = as<T>(x_values);
  mean_rows_backward(MeanRowsBackward<T>{int64_t(kBegin.size()), cols, kRows, kBegin.data(), kEnd.data(), dout.data(),
                                         dx.data(), accumulate});
  return doubles(dx);
}
template <class From, class To>
Values converted(bool accumulate, const Values& from_values, const Values& to_values) {
  auto from = as<From>(from_values);
  auto to = as<To>(to_values);
  convert(Convert<From, To>{int64_t(from.size()), from.data(), to.data(), accumulate});
  return doubles(to);
}

template <class T>
class RowsTest : public testing::Test {};
using Types = testing::Types<float, bf16>;
TYPED_TEST_SUITE(RowsTest, Types);

TYPED_TEST(RowsTest, equal_reference) {
  for (int64_t cols : {1, 31, 33, 67, 300, 1000}) {
    const Values x = normal_values(kRows * (cols + 3), 1), dout = normal_values(kRows * cols, 2);
    const Values start = normal_values(kRows * cols, 3);
    on_every_isa([&] {
      const double t = tolerance<TypeParam>();
      for (int64_t padding : {0, 3}) EXPECT_EQ(gather<TypeParam>(cols, padding, x), gather<double>(cols, padding, x));
      for (bool accumulate : {false, true}) {
        const bool repeated = std::is_same_v<TypeParam, float>;
        expect_close(scatter<TypeParam>(cols, accumulate, repeated, dout, start),
                     scatter<double>(cols, accumulate, repeated, dout, start), t, "scattered");
        expect_close(mean_backward<TypeParam>(cols, accumulate, dout, start),
                     mean_backward<double>(cols, accumulate, dout, start), t, "mean gradient");
      }
      expect_close(mean<TypeParam>(cols, x), mean<double>(cols, x), t, "mean");
    });
  }
}

TEST(rows, convert_rounds_and_accumulates) {
  for (int64_t n : {0, 1, 31, 1000, 40001}) {
    Values x = normal_values(n, 1), to = normal_values(n, 2);
    for (double& v : x) v = float(v * 1.001);  // more digits than bfloat16 holds
    const Values rounded = doubles(as<bf16>(x));
    Values sum = to;
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += x[i];
    on_every_isa([&] {
      EXPECT_EQ((converted<float, bf16>(false, x, to)), rounded);
      EXPECT_EQ((converted<bf16, float>(false, x, to)), rounded);
      EXPECT_EQ((converted<float, float>(false, x, to)), x);
      EXPECT_EQ((converted<bf16, bf16>(false, x, to)), rounded);
      expect_close(converted<float, float>(true, x, to), sum, 1e-6, "sum");
      expect_close(converted<bf16, bf16>(true, x, to), sum, 0x1.0p-6, "sum");
    });
  }
}

TEST(rows, quantised_to_the_nearest) {
  for (int64_t cols : {1, 31, 300}) {
    const int64_t rows = 5, stride = cols + kScaleBytes + 1;
    const auto x = as<float>(normal_values(rows * cols, 1));
    std::vector<float> from = x;
    for (int64_t j = 0; j < cols; ++j) from[size_t(2 * cols + j)] = 0;
    for (int64_t j = 0; j < cols; ++j) from[size_t(3 * cols + j)] = 1e-38f;
    from[size_t(4 * cols)] = NAN;
    on_every_isa([&] {
      std::vector<int8_t> to(size_t(rows * stride), int8_t(99));
      quantise_rows(QuantiseRows{rows, cols, from.data(), to.data() + kScaleBytes, stride});
      for (int64_t i = 0; i < rows; ++i) {
        const int8_t* row = to.data() + i * stride + kScaleBytes;
        EXPECT_EQ(row[cols], 99);  // what lies between rows is untouched
        if (i == 3) {
          EXPECT_EQ(row_scale(row) * float(row[0]), 0);
        }
        if (i == 4) {
          EXPECT_TRUE(std::isnan(row_scale(row) * float(row[cols - 1])));
        }
        if (i >= 3) continue;
        double most = 0;
        for (int64_t j = 0; j < cols; ++j) most = std::max(most, std::abs(double(from[size_t(i * cols + j)])));
        EXPECT_FLOAT_EQ(row_scale(row), float(most / 127));
        for (int64_t j = 0; j < cols; ++j) {
          EXPECT_LE(std::abs(double(row[j]) * most / 127 - double(from[size_t(i * cols + j)])), most / 127 * 0.5001);
        }
      }
    });
  }
}

TEST(rows, references_are_adjoint) {
  // <gather(x), y> = <x, scatter(y)>, and the same for the mean.
  const int64_t cols = 5;
  const Values x = normal_values(kRows * cols, 1), y = normal_values(kRows * cols, 2), none(x.size());
  EXPECT_NEAR(dot(gather<double>(cols, 0, x), y), dot(x, scatter<double>(cols, false, true, y, none)), 1e-10);
  const Values dout = normal_values(int64_t(kBegin.size()) * cols, 3);
  EXPECT_NEAR(dot(mean<double>(cols, x), dout), dot(x, mean_backward<double>(cols, false, dout, none)), 1e-10);
}

TEST(rows, same_bits_on_any_number_of_threads) {
  const int64_t cols = 1031;
  const Values x = normal_values(kRows * cols, 1), dout = normal_values(kRows * cols, 2);
  on_every_isa([&] {
    expect_same_on_any_threads([&] { return scatter<float>(cols, true, true, dout, x); });
    expect_same_on_any_threads([&] { return mean<float>(cols, x); });
    expect_same_on_any_threads([&] { return mean_backward<float>(cols, true, dout, x); });
  });
}

}  // namespace
}  // namespace triarch::kernels::test
