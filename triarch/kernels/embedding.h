// Rows of tables: out[i] = scale table[ids[i]] + position_table[positions[i]] + type_table[types[i]].
// A negative index adds nothing (a row without a token: a feature vector). S is the stream type.
#pragma once

#include "triarch/kernels/isa.h"
#include "triarch/tensor/dtype.h"

namespace triarch::kernels {

template <class S>
struct EmbeddingForward {
  int64_t rows = 0, cols = 0;
  const int32_t* ids = nullptr;  // [rows]
  const S* table = nullptr;      // [vocabulary, cols]
  S scale = 1;
  const int32_t* positions = nullptr;  // [rows] or null
  const S* position_table = nullptr;   // [positions, cols] or null
  const int32_t* types = nullptr;      // [rows] or null
  const S* type_table = nullptr;       // [types, cols] or null
  S* out = nullptr;                    // [rows, cols]
};

// table_gradient[ids[i]] += scale dout[i], in row order within fixed slices of columns, so that the
// sum does not depend on threads. Used for any of the three tables.
template <class S>
struct EmbeddingBackward {
  int64_t rows = 0, cols = 0, table_rows = 0;
  const int32_t* ids = nullptr;  // [rows]; negative: the row is skipped
  S scale = 1;
  const S* dout = nullptr;      // [rows, cols]
  S* table_gradient = nullptr;  // [table_rows, cols]
  bool accumulate = false;      // false: the table's gradient is first set to zero
};

TRIARCH_KERNEL(embedding_forward, EmbeddingForward<float>)
TRIARCH_KERNEL(embedding_backward, EmbeddingBackward<float>)
void embedding_forward(const EmbeddingForward<double>& args);
void embedding_backward(const EmbeddingBackward<double>& args);

}  // namespace triarch::kernels
