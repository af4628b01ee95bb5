#include "triarch/kernels/update.h"

#include "triarch/kernels/cpu/walk.h"
#include "triarch/kernels/scratch.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

thread_local Scratch block_sums;

typedef float HalfFloats __attribute__((vector_size(kWidth * 2)));  // as many floats as a vector has doubles
typedef double Doubles __attribute__((vector_size(kWidth * 4)));

[[gnu::always_inline]] inline Doubles squares(const float* x) {
  HalfFloats half;
  std::memcpy(&half, x, sizeof half);
  const Doubles d = __builtin_convertvector(half, Doubles);
  return d * d;
}

double sum_squares(const float* x, int64_t n) {
  constexpr int kHalf = kWidth / 2;
  Doubles sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * kHalf <= n; i += 4 * kHalf) {
    for (int lane = 0; lane < 4; ++lane) sums[lane] += squares(x + i + lane * kHalf);
  }
  const Doubles all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double total = 0;
  for (int k = 0; k < kHalf; ++k) total += all[k];
  for (; i < n; ++i) total += double(x[i]) * double(x[i]);
  return total;
}

}  // namespace

void adamw(const AdamW<float>& a) {
  const float unbias_m = 1 / a.correction1, unbias_v = 1 / a.correction2;
  const float keep = 1 - a.lr * a.weight_decay, new_m = 1 - a.beta1, new_v = 1 - a.beta2;
  parallel_elements(a.count, [&](int64_t begin, int64_t end) {
    float* weight = a.weight + begin;
    const float* gradient = a.gradient + begin;
    float* m = a.m + begin;
    float* v = a.v + begin;
    walk(end - begin, [&](int64_t j, auto part, int) TRIARCH_BODY {
      const Vec g = a.gradient_scale * get(gradient + j, part);
      const Vec m_new = a.beta1 * get(m + j, part) + new_m * g;
      const Vec v_new = a.beta2 * get(v + j, part) + new_v * (g * g);
      put(m + j, m_new, part);
      put(v + j, v_new, part);
      const Vec step = (m_new * unbias_m) / (sqrt(v_new * unbias_v) + a.eps);
      put(weight + j, keep * get(weight + j, part) - a.lr * step, part);
    });
  });
}

void sum_of_squares(const SumOfSquares<float>& a) {
  constexpr int64_t kBlock = 4 * kUnitElements;
  const int64_t blocks = (a.count + kBlock - 1) / kBlock;
  double* sums = block_sums.get<double>(blocks);
  parallel(blocks, [&](int64_t b, int) {
    const int64_t begin = b * kBlock;
    sums[b] = sum_squares(a.x + begin, begin + kBlock < a.count ? kBlock : a.count - begin);
  });
  double total = 0;
  for (int64_t b = 0; b < blocks; ++b) total += sums[b];
  *a.sum = total;
}

}  // namespace triarch::kernels::TRIARCH_ISA
