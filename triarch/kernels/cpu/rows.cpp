#include "triarch/kernels/rows.h"

#include <cmath>

#include "triarch/kernels/cpu/walk.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

template <class T>
void zero(T* x, int64_t count) {
  parallel_elements(count,
                    [&](int64_t begin, int64_t end) { std::memset(x + begin, 0, size_t(end - begin) * sizeof(T)); });
}

template <class T>
void gather(const GatherRows<T>& a) {
  const size_t bytes = size_t(a.cols) * sizeof(T);
  parallel_rows(a.rows, a.cols, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* out = a.out + i * a.out_stride;
      if (a.index[i] < 0) {
        std::memset(out, 0, bytes);
      } else {
        std::memcpy(out, a.x + a.index[i] * a.x_stride, bytes);
      }
    }
  });
}

template <class T>
void scatter(const ScatterRows<T>& a) {
  if (!a.accumulate) zero(a.x, a.x_rows * a.cols);
  parallel_columns(a.cols, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < a.rows; ++i) {
      if (a.index[i] < 0) continue;
      const T* dout = a.dout + i * a.cols + begin;
      T* x = a.x + a.index[i] * a.cols + begin;
      walk(end - begin,
           [&](int64_t j, auto part, int) TRIARCH_BODY { put(x + j, get(x + j, part) + get(dout + j, part), part); });
    }
  });
}

template <class T>
void mean(const MeanRows<T>& a) {
  const int64_t slices = (a.cols + kWidestSlice - 1) / kWidestSlice;
  parallel(a.segments * slices, [&](int64_t unit, int) {
    const int64_t s = unit / slices, first = unit % slices * kWidestSlice;
    const int64_t cols = first + kWidestSlice < a.cols ? kWidestSlice : a.cols - first;
    float sums[kWidestSlice] = {};
    for (int64_t i = a.begin[s]; i < a.end[s]; ++i) {
      const T* x = a.x + i * a.cols + first;
      walk(cols, [&](int64_t j, auto part, int)
                     TRIARCH_BODY { put(sums + j, get(sums + j, part) + get(x + j, part), part); });
    }
    const float length = a.begin[s] < a.end[s] ? float(a.end[s] - a.begin[s]) : 1;
    T* out = a.out + s * a.cols + first;
    walk(cols, [&](int64_t j, auto part, int) TRIARCH_BODY { put(out + j, get(sums + j, part) / length, part); });
  });
}

template <class T>
void mean_backward(const MeanRowsBackward<T>& a) {
  if (!a.accumulate) zero(a.dx, a.x_rows * a.cols);
  parallel(a.segments, [&](int64_t s, int) {
    const float share = 1 / float(a.end[s] - a.begin[s]);
    const T* dout = a.dout + s * a.cols;
    for (int64_t i = a.begin[s]; i < a.end[s]; ++i) {
      T* dx = a.dx + i * a.cols;
      walk(a.cols, [&](int64_t j, auto part, int)
                       TRIARCH_BODY { put(dx + j, get(dx + j, part) + share * get(dout + j, part), part); });
    }
  });
}

template <class From, class To>
void copy(const Convert<From, To>& a) {
  parallel_elements(a.count, [&](int64_t begin, int64_t end) {
    const From* from = a.from + begin;
    To* to = a.to + begin;
    if (a.accumulate) {
      walk(end - begin,
           [&](int64_t j, auto part, int) TRIARCH_BODY { put(to + j, get(to + j, part) + get(from + j, part), part); });
    } else {
      walk(end - begin, [&](int64_t j, auto part, int) TRIARCH_BODY { put(to + j, get(from + j, part), part); });
    }
  });
}

void quantise(const QuantiseRows& a) {
  parallel_rows(a.rows, a.cols, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* from = a.from + i * a.cols;
      int8_t* to = a.to + i * a.to_stride;
      float most = 0, poison = 0;
      for (int64_t j = 0; j < a.cols; ++j) {
        most = std::fabs(from[j]) > most ? std::fabs(from[j]) : most;
        poison += 0 * from[j];  // NaN from what is not finite
      }
      const bool usable = most > 1e-30f && poison == 0;
      const float scale = usable ? most / 127 : poison, inverse = usable ? 127 / most : 0;
      std::memcpy(to - kScaleBytes, &scale, kScaleBytes);
      for (int64_t j = 0; j < a.cols; ++j) to[j] = usable ? int8_t(std::lrint(from[j] * inverse)) : int8_t(0);
    }
  });
}

}  // namespace

void gather_rows(const GatherRows<float>& args) { gather(args); }
void gather_rows(const GatherRows<bf16>& args) { gather(args); }
void scatter_rows(const ScatterRows<float>& args) { scatter(args); }
void scatter_rows(const ScatterRows<bf16>& args) { scatter(args); }
void mean_rows(const MeanRows<float>& args) { mean(args); }
void mean_rows(const MeanRows<bf16>& args) { mean(args); }
void mean_rows_backward(const MeanRowsBackward<float>& args) { mean_backward(args); }
void mean_rows_backward(const MeanRowsBackward<bf16>& args) { mean_backward(args); }
void convert(const Convert<float, bf16>& args) { copy(args); }
void convert(const Convert<bf16, float>& args) { copy(args); }
void convert(const Convert<float, float>& args) { copy(args); }
void convert(const Convert<bf16, bf16>& args) { copy(args); }
void quantise_rows(const QuantiseRows& args) { quantise(args); }

}  // namespace triarch::kernels::TRIARCH_ISA
