#pragma once

#include <cmath>

#include "triarch/kernels/cross_entropy.h"

namespace triarch::kernels::reference {

template <class S>
void log_sum_exp(const LogSumExp<S>& a) {
  for (int64_t i = 0; i < a.rows; ++i) {
    const S* z = a.logits + i * a.vocabulary;
    S largest = -INFINITY, total = 0;
    for (int64_t j = 0; j < a.vocabulary; ++j) largest = z[j] > largest ? z[j] : largest;
    for (int64_t j = 0; j < a.vocabulary; ++j) total += std::exp(z[j] - largest);
    a.out[i] = largest + std::log(total);
  }
}

template <class S, class T>
void cross_entropy(const CrossEntropy<S, T>& a) {
  const int64_t v = a.vocabulary;
  for (int64_t i = 0; i < a.rows; ++i) {
    const S* z = a.logits + i * v;
    const int32_t target = a.targets[i];
    int64_t best = 0;
    for (int64_t j = 1; j < v; ++j) best = z[j] > z[best] ? j : best;
    if (a.prediction) a.prediction[i] = int32_t(best);
    S total = 0, mean = 0;
    for (int64_t j = 0; j < v; ++j) {
      total += std::exp(z[j] - z[best]);
      mean += z[j] / S(v);
    }
    const S lse = z[best] + std::log(total), s = a.label_smoothing;
    const S nll = target < 0 ? S(0) : lse - z[target];
    a.loss[i] = target < 0 ? S(0) : (1 - s) * nll + (s > 0 ? s * (lse - mean) : S(0)) + a.z_loss * lse * lse;
    if (a.nll) a.nll[i] = nll;
    if (!a.dlogits) continue;
    const S scale = target < 0 ? S(0) : a.gradient_scale * (a.weights ? a.weights[i] : S(1));
    for (int64_t j = 0; j < v; ++j) {
      const S p = std::exp(z[j] - lse), label = (j == target ? 1 - s : S(0)) + s / S(v);
      a.dlogits[i * v + j] = T(scale * (p * (1 + 2 * a.z_loss * lse) - label));
    }
  }
}

}  // namespace triarch::kernels::reference
