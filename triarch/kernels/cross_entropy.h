// Softmax and cross-entropy on a chunk of logits; the product with the vocabulary and the chunking
// are in autograd (the N x V logits never exist).
#pragma once

#include "triarch/kernels/isa.h"
#include "triarch/tensor/dtype.h"

namespace triarch::kernels {

// For each row i with target t >= 0, over z = logits[i]:
//   lse = log sum exp(z);  nll = lse - z[t]
//   loss = (1 - s) nll + s (lse - mean(z)) + z_loss lse^2      s: label smoothing (Szegedy et al. 2016)
//   dlogits = gradient_scale weight[i] dloss/dz
// A row with a negative target has loss 0, nll 0 and dlogits 0.
template <class S, class T>
struct CrossEntropy {
  int64_t rows = 0, vocabulary = 0;
  const S* logits = nullptr;         // [rows, vocabulary]
  const int32_t* targets = nullptr;  // [rows]
  const S* weights = nullptr;        // [rows] or null (ones)
  S label_smoothing = 0, z_loss = 0;
  S* loss = nullptr;              // [rows]
  S* nll = nullptr;               // [rows] or null
  int32_t* prediction = nullptr;  // [rows] or null: the first index with the largest logit
  T* dlogits = nullptr;           // [rows, vocabulary] or null; may be the logits where the types are equal
  S gradient_scale = 1;
};
// out[i] = log sum_j exp(logits[i, j]): not finite where a logit is NaN or infinity, or all are -infinity.
template <class S>
struct LogSumExp {
  int64_t rows = 0, vocabulary = 0;
  const S* logits = nullptr;  // [rows, vocabulary]
  S* out = nullptr;           // [rows]
};
TRIARCH_KERNEL(log_sum_exp, LogSumExp<float>)
void log_sum_exp(const LogSumExp<double>& args);

TRIARCH_KERNEL(cross_entropy, CrossEntropy<float, float>)
TRIARCH_KERNEL(cross_entropy, CrossEntropy<float, bf16>)
void cross_entropy(const CrossEntropy<double, double>& args);

}  // namespace triarch::kernels
