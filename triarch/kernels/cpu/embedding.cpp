#include "triarch/kernels/embedding.h"

#include "triarch/kernels/cpu/walk.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

// Row ids[i] of the table, or null.
const float* row_of(const float* table, const int32_t* ids, int64_t i, int64_t cols) {
  return ids && ids[i] >= 0 ? table + ids[i] * cols : nullptr;
}

}  // namespace

void embedding_forward(const EmbeddingForward<float>& a) {
  parallel_rows(a.rows, a.cols, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* token = row_of(a.table, a.ids, i, a.cols);
      const float* position = row_of(a.position_table, a.positions, i, a.cols);
      const float* type = row_of(a.type_table, a.types, i, a.cols);
      float* out = a.out + i * a.cols;
      walk(a.cols, [&](int64_t j, auto part, int) TRIARCH_BODY {
        Vec v = splat(0);
        if (token) v = a.scale * get(token + j, part);
        if (position) v += get(position + j, part);
        if (type) v += get(type + j, part);
        put(out + j, v, part);
      });
    }
  });
}

void embedding_backward(const EmbeddingBackward<float>& a) {
  if (!a.accumulate) {
    parallel_elements(a.table_rows * a.cols, [&](int64_t begin, int64_t end) {
      std::memset(a.table_gradient + begin, 0, size_t(end - begin) * sizeof(float));
    });
  }
  parallel_columns(a.cols, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < a.rows; ++i) {
      if (a.ids[i] < 0) continue;
      const float* dout = a.dout + i * a.cols + begin;
      float* to = a.table_gradient + a.ids[i] * a.cols + begin;
      walk(end - begin, [&](int64_t j, auto part, int)
                            TRIARCH_BODY { put(to + j, get(to + j, part) + a.scale * get(dout + j, part), part); });
    }
  });
}

}  // namespace triarch::kernels::TRIARCH_ISA
