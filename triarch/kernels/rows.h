// Moving and pooling rows.
#pragma once

#include "triarch/kernels/isa.h"
#include "triarch/tensor/dtype.h"

namespace triarch::kernels {

// out[i] = x[index[i]]; a negative index gives zeros.
template <class T>
struct GatherRows {
  int64_t rows = 0, cols = 0;  // of out
  const int32_t* index = nullptr;
  const T* x = nullptr;
  int64_t x_stride = 0;
  T* out = nullptr;
  int64_t out_stride = 0;
};
// x[index[i]] (+)= dout[i]. Without accumulate all x_rows rows of x are first zero. Indices may
// repeat; a negative one is skipped.
template <class T>
struct ScatterRows {
  int64_t rows = 0, cols = 0, x_rows = 0;
  const int32_t* index = nullptr;
  const T* dout = nullptr;  // [rows, cols], contiguous
  T* x = nullptr;           // [x_rows, cols], contiguous
  bool accumulate = false;
};
// out[s] = mean of x[begin[s], end[s]); an empty range gives zeros.
template <class T>
struct MeanRows {
  int64_t segments = 0, cols = 0;
  const int32_t* begin = nullptr;  // [segments]
  const int32_t* end = nullptr;    // [segments]
  const T* x = nullptr;            // contiguous
  T* out = nullptr;                // [segments, cols]
};
// dx[i] (+)= dout[s] / length of s for i in segment s. Ranges are disjoint. Without accumulate all
// x_rows rows of dx are first zero.
template <class T>
struct MeanRowsBackward {
  int64_t segments = 0, cols = 0, x_rows = 0;
  const int32_t* begin = nullptr;
  const int32_t* end = nullptr;
  const T* dout = nullptr;
  T* dx = nullptr;
  bool accumulate = false;
};
// to[i] = from[i] in another type, or y[i] += x[i] where the types are equal and accumulate is set.
template <class From, class To>
struct Convert {
  int64_t count = 0;
  const From* from = nullptr;
  To* to = nullptr;
  bool accumulate = false;
};

// Rows of weights as int8: to[i] = round(from[i] / scale), scale = largest magnitude in the row / 127, which is put
// before each row (tensor/dtype.h); NaN where an element is not finite.
struct QuantiseRows {
  int64_t rows = 0, cols = 0;
  const float* from = nullptr;  // contiguous
  int8_t* to = nullptr;
  int64_t to_stride = 0;
};

TRIARCH_KERNEL(gather_rows, GatherRows<float>)
TRIARCH_KERNEL(gather_rows, GatherRows<bf16>)
TRIARCH_KERNEL(scatter_rows, ScatterRows<float>)
TRIARCH_KERNEL(scatter_rows, ScatterRows<bf16>)
TRIARCH_KERNEL(mean_rows, MeanRows<float>)
TRIARCH_KERNEL(mean_rows, MeanRows<bf16>)
TRIARCH_KERNEL(mean_rows_backward, MeanRowsBackward<float>)
TRIARCH_KERNEL(mean_rows_backward, MeanRowsBackward<bf16>)
TRIARCH_KERNEL(convert, Convert<float, bf16>)
TRIARCH_KERNEL(convert, Convert<bf16, float>)
TRIARCH_KERNEL(convert, Convert<float, float>)
TRIARCH_KERNEL(convert, Convert<bf16, bf16>)
TRIARCH_KERNEL(quantise_rows, QuantiseRows)
void gather_rows(const GatherRows<double>& args);
void scatter_rows(const ScatterRows<double>& args);
void mean_rows(const MeanRows<double>& args);
void mean_rows_backward(const MeanRowsBackward<double>& args);
void convert(const Convert<double, double>& args);

}  // namespace triarch::kernels
