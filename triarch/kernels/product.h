// Matrix products: c = activation(scale a b + bias), or c += scale a b. Sums in float (double in the
// reference). One product serves every linear layer: forward (b transposed: weights are [out, in]),
// gradient of the input, gradient of the weight (a transposed).
//
// Units are blocks of c fixed by (m, n, k, types, instruction set); a sum over k is never split between
// units, or is combined in a fixed order: the same bits on any number of threads.
#pragma once

#include "triarch/kernels/activation.h"
#include "triarch/kernels/isa.h"
#include "triarch/tensor/dtype.h"

namespace triarch::kernels {

template <class T>
struct sum_type {
  using type = float;
};
template <>
struct sum_type<double> {
  using type = double;
};

template <class A, class C, class B = A>
struct Product {
  using Sum = typename sum_type<A>::type;

  int64_t m = 0, n = 0, k = 0;
  const A* a = nullptr;  // [m, k] with row stride a_stride, or [k, m] if a_transposed
  int64_t a_stride = 0;
  bool a_transposed = false;
  const B* b = nullptr;  // [k, n] with row stride b_stride, or [n, k] if b_transposed; int8 only transposed, with a
                         // scale before each row (tensor/dtype.h)
  int64_t b_stride = 0;
  bool b_transposed = false;
  C* c = nullptr;  // [m, n] with row stride c_stride
  int64_t c_stride = 0;
  Sum scale = 1;
  bool accumulate = false;    // c += instead of c =; excludes bias, activation and pre_activation
  const Sum* bias = nullptr;  // [n], added after the scale
  Activation activation = Activation::none;
  bool symmetric = false;       // the caller knows that a b is: half of c is computed, the rest mirrored; a scale only
  C* pre_activation = nullptr;  // [m, n] with row stride c_stride: if given, the value before the activation
};

// (float, float), (bf16, bf16), (bf16, float), float times int8. m = 0 or n = 0 do nothing; k = 0 gives the bias, or
// zeros.
TRIARCH_KERNEL(product, Product<float, float>)
TRIARCH_KERNEL(product, Product<bf16, bf16>)
TRIARCH_KERNEL(product, Product<bf16, float>)
TRIARCH_KERNEL(product, Product<float, float, int8_t>)
void product(const Product<double, double>& args);

// out[j] (+)= sum_i x[i, j]: the gradient of a bias. Rows are summed in fixed blocks, blocks in order.
template <class T, class S>
struct ColumnSum {
  int64_t rows = 0, cols = 0;
  const T* x = nullptr;  // [rows, cols] with row stride
  int64_t stride = 0;
  S* out = nullptr;  // [cols]
  bool accumulate = false;
};
TRIARCH_KERNEL(column_sum, ColumnSum<float, float>)
TRIARCH_KERNEL(column_sum, ColumnSum<bf16, float>)
void column_sum(const ColumnSum<double, double>& args);

}  // namespace triarch::kernels
