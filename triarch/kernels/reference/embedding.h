#pragma once

#include "triarch/kernels/embedding.h"

namespace triarch::kernels::reference {

template <class S>
void embedding_forward(const EmbeddingForward<S>& a) {
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < a.cols; ++j) {
      S value = 0;
      if (a.ids[i] >= 0) value = a.scale * a.table[a.ids[i] * a.cols + j];
      if (a.positions && a.positions[i] >= 0) value += a.position_table[a.positions[i] * a.cols + j];
      if (a.types && a.types[i] >= 0) value += a.type_table[a.types[i] * a.cols + j];
      a.out[i * a.cols + j] = value;
    }
  }
}

template <class S>
void embedding_backward(const EmbeddingBackward<S>& a) {
  for (int64_t k = 0; !a.accumulate && k < a.table_rows * a.cols; ++k) a.table_gradient[k] = 0;
  for (int64_t i = 0; i < a.rows; ++i) {
    if (a.ids[i] < 0) continue;
    for (int64_t j = 0; j < a.cols; ++j) a.table_gradient[a.ids[i] * a.cols + j] += a.scale * a.dout[i * a.cols + j];
  }
}

}  // namespace triarch::kernels::reference
