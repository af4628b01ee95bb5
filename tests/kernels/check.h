// What the kernels' tests share. A test writes one function over the types, which runs a kernel on inputs
// given in double and returns its outputs in double; run<float, bf16> is then held against run<double, double>.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "triarch/base/random.h"
#include "triarch/base/threads.h"
#include "triarch/kernels/isa.h"
#include "triarch/tensor/dtype.h"

namespace triarch::kernels::test {

using Values = std::vector<double>;

// Normal values that bfloat16 holds exactly: the same numbers in every type.
inline Values normal_values(int64_t n, uint64_t stream, double scale = 1) {
  Draw draw(Key(17, Purpose::test).with(stream));
  Values v(static_cast<size_t>(n));
  for (double& x : v) x = float(bf16(float(scale * draw.normal())));
  return v;
}
inline std::vector<int32_t> integers(int64_t n, uint64_t stream, int32_t low, int32_t high) {  // in [low, high)
  Draw draw(Key(18, Purpose::test).with(stream));
  std::vector<int32_t> v(static_cast<size_t>(n));
  for (int32_t& x : v) x = low + int32_t(draw.below(uint64_t(high - low)));
  return v;
}
inline std::vector<uint64_t> row_keys(int64_t rows) {
  std::vector<uint64_t> keys(static_cast<size_t>(rows));
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = Key(19, Purpose::dropout).with(i).value();
  return keys;
}

template <class T>
std::vector<T> as(const Values& v) {
  std::vector<T> out;
  out.reserve(v.size());
  for (double x : v) {
    if constexpr (std::is_same_v<T, double>) {
      out.push_back(x);
    } else {
      out.push_back(T(float(x)));
    }
  }
  return out;
}
template <class T>
Values doubles(const std::vector<T>& v) {
  Values out;
  out.reserve(v.size());
  for (const T& x : v) {
    if constexpr (std::is_same_v<T, bf16>) {
      out.push_back(float(x));
    } else {
      out.push_back(double(x));
    }
  }
  return out;
}
template <class T>
T* pointer(std::vector<T>& v) {  // null if there are no elements: an option that is not given
  return v.empty() ? nullptr : v.data();
}

// What a value of this type may be off by, relative to 1 + |value|.
template <class T>
constexpr double tolerance() {
  return std::is_same_v<T, bf16> ? 0x1.0p-8 : 5e-6;
}

inline void expect_close(const Values& got, const Values& want, double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::abs(got[i] - want[i]) <= tolerance * (1 + std::abs(want[i]))) continue;
    if (got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i]))) continue;
    ADD_FAILURE() << what << "[" << i << "]: expected " << want[i] << ", found " << got[i];
    return;
  }
}

// Calls f on every instruction set that this machine has.
template <class F>
void on_every_isa(const F& f) {
  const Isa before = active_isa();
  for (Isa isa : kIsas) {
    if (!force_isa(isa)) continue;
    SCOPED_TRACE(name_of(isa));
    f();
  }
  force_isa(before);
}

// f() returns something with ==; it must be the same on 1, 2 and 3 threads.
template <class F>
void expect_same_on_any_threads(const F& f) {
  const int before = thread_count();
  set_thread_count(1);
  const auto one = f();
  for (int threads : {2, 3}) {
    set_thread_count(threads);
    EXPECT_TRUE(f() == one) << threads << " threads give other bits than one";
  }
  set_thread_count(before);
}

// df/dx by central differences; f reads x.
template <class F>
Values finite_differences(Values& x, const F& f, double h = 1e-5) {
  Values gradient;
  for (double& element : x) {
    const double kept = element;
    element = kept + h;
    const double up = f();
    element = kept - h;
    const double down = f();
    element = kept;
    gradient.push_back((up - down) / (2 * h));
  }
  return gradient;
}
inline double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace triarch::kernels::test
