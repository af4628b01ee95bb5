// The exact case: linear attention over demonstrations is one gradient step (Dai et al. 2022, arXiv 2212.10559, section
// 3; Irie et al. 2022, arXiv 2202.05798).
//
//   W_V [X'; X] (W_K [X'; X])^T q = W_ZSL q + sum_i v_i (k_i . q) = (W_ZSL + dW_ICL) q
//   W_ZSL = sum over the query's own tokens of v (x) k,  dW_ICL = sum over the demonstrations of v_i (x) k_i
//
// A step of gradient descent on a linear layer y = W x is of that form, too: dW_FT = sum_i e_i (x) x_i with the error
// signals e_i = -rate dL/dy_i. So the same numbers come out where x_i = k_i and e_i = v_i.
#pragma once

#include <cstdint>

namespace triarch {

// Largest absolute differences, of numbers of about 1.
struct DualForm {
  double attention = 0;  // linear attention over all tokens against (W_ZSL + dW_ICL) q
  double squared = 0;  // against a gradient step of the layer W_ZSL on squared errors whose signals are the values v_i
  double entropy = 0;  // the other way round: a step on cross-entropy, its gradient from the engine's backward pass,
                       // against linear attention to the examples
  double softmax = 0;  // softmax attention against (W_ZSL + dW_ICL) q, as a share of the larger: not of the form
};

// Of random float64 matrices: `width` numbers per token, `demonstrations` and `own` tokens.
DualForm dual_form(uint64_t seed, int64_t width = 24, int64_t demonstrations = 16, int64_t own = 6);

}  // namespace triarch
