#include "triarch/kernels/norm.h"

#include <cmath>

#include "triarch/kernels/cpu/dropout_math.h"
#include "triarch/kernels/scratch.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

thread_local Scratch block_sums;

template <NormKind kKind, class T>
void forward_row(const NormForward<float, T>& a, int64_t i) {
  const int64_t row = i * a.cols;
  const float* x = a.x ? a.x + row : nullptr;
  const T* delta = a.delta ? a.delta + row : nullptr;
  float* sum = a.sum ? a.sum + row : nullptr;
  T* y = a.y ? a.y + row : nullptr;
  float* y_stream = a.y_stream ? a.y_stream + row : nullptr;
  const DropoutRow mask(a.dropout, i);
  const auto added = [&](int64_t j, auto part) TRIARCH_BODY {
    Vec v = x ? get(x + j, part) : splat(0);
    if (delta) v += mask.apply(get(delta + j, part), j);
    return v;
  };
  if constexpr (kKind == NormKind::none) {
    walk<4>(a.cols, [&](int64_t j, auto part, int) TRIARCH_BODY {
      const Vec v = added(j, part);
      if (sum) put(sum + j, v, part);
      if (y) put(y + j, v, part);
      if (y_stream) put(y_stream + j, v, part);
    });
    return;
  }
  // Adds and keeps; the walks after it find the row in the first-level cache. For a layer norm the total is
  // of the values, for an RMS norm of their squares.
  Lanes first;
  walk<4>(a.cols, [&](int64_t j, auto part, int lane) TRIARCH_BODY {
    const Vec v = added(j, part);
    if (sum) put(sum + j, v, part);
    first.v[lane] += kKind == NormKind::layer ? v : v * v;
  });
  const float* kept = sum ? sum : delta ? nullptr : x;
  const auto value = [&](int64_t j, auto part) TRIARCH_BODY { return kept ? get(kept + j, part) : added(j, part); };
  float mean = 0, square = first.total();
  if constexpr (kKind == NormKind::layer) {
    mean = square / float(a.cols);
    Lanes second;
    walk<4>(a.cols, [&](int64_t j, auto part, int lane) TRIARCH_BODY {
      const Vec c = only(value(j, part) - mean, part);
      second.v[lane] += c * c;
    });
    square = second.total();
  }
  const float rstd = 1 / std::sqrt(square / float(a.cols) + a.eps);
  walk<4>(a.cols, [&](int64_t j, auto part, int) TRIARCH_BODY {
    Vec v = (value(j, part) - mean) * rstd;
    if (a.gain) v *= get(a.gain + j, part);
    if (a.bias) v += get(a.bias + j, part);
    if (y) put(y + j, v, part);
    if (y_stream) put(y_stream + j, v, part);
  });
  if (kKind == NormKind::layer && a.mean) a.mean[i] = mean;
  if (a.rstd) a.rstd[i] = rstd;
}

// dgain and dbias are added to; null if not wanted.
template <NormKind kKind, class T>
void backward_row(const NormBackward<float, T>& a, int64_t i, float* dgain, float* dbias) {
  const int64_t row = i * a.cols;
  const T* dy = a.dy ? a.dy + row : nullptr;
  const float* dy_stream = a.dy_stream ? a.dy_stream + row : nullptr;
  const float* dsum_in = a.dsum_in ? a.dsum_in + row : nullptr;
  const float* sum = kKind == NormKind::none ? nullptr : a.sum + row;
  float* dx = a.dx ? a.dx + row : nullptr;
  T* ddelta = a.ddelta ? a.ddelta + row : nullptr;
  const float mean = kKind == NormKind::layer ? a.mean[i] : 0;
  const float rstd = kKind == NormKind::none ? 1 : a.rstd[i];
  const DropoutRow mask(a.dropout, i);

  const auto arriving = [&](int64_t j, auto part) TRIARCH_BODY {
    Vec g = dy ? get(dy + j, part) : splat(0);
    if (dy_stream) g += get(dy_stream + j, part);
    return g;
  };
  float mean_g = 0, mean_gx = 0;
  if constexpr (kKind != NormKind::none) {
    Lanes sum_g, sum_gx;
    walk<4>(a.cols, [&](int64_t j, auto part, int lane) TRIARCH_BODY {
      Vec g = arriving(j, part);  // zero beyond a part's end, and with it all that is summed
      const Vec normalised = (get(sum + j, part) - mean) * rstd;
      if (dgain) put(dgain + j, get(dgain + j, part) + g * normalised, part);
      if (dbias) put(dbias + j, get(dbias + j, part) + g, part);
      if (a.gain) g *= get(a.gain + j, part);
      if (kKind == NormKind::layer) sum_g.v[lane] += g;
      sum_gx.v[lane] += g * normalised;
    });
    mean_g = sum_g.total() / float(a.cols);
    mean_gx = sum_gx.total() / float(a.cols);
  }
  if (!dx && !ddelta) return;
  walk<4>(a.cols, [&](int64_t j, auto part, int) TRIARCH_BODY {
    Vec d = arriving(j, part);
    if constexpr (kKind != NormKind::none) {
      if (a.gain) d *= get(a.gain + j, part);
      const Vec normalised = (get(sum + j, part) - mean) * rstd;
      d = rstd * (d - mean_g - normalised * mean_gx);
    }
    if (dsum_in) d += get(dsum_in + j, part);
    if (dx) put(dx + j, a.accumulate_dx ? get(dx + j, part) + d : d, part);
    if (ddelta) put(ddelta + j, mask.apply(d, j), part);
  });
}

template <class T>
void forward(const NormForward<float, T>& a) {
  parallel_rows(a.rows, a.cols, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (a.kind == NormKind::layer) {
        forward_row<NormKind::layer>(a, i);
      } else if (a.kind == NormKind::rms) {
        forward_row<NormKind::rms>(a, i);
      } else {
        forward_row<NormKind::none>(a, i);
      }
    }
  });
}

template <class T>
void backward(const NormBackward<float, T>& a) {
  // Blocks of rows sum the gradients of gain and bias apart; the blocks' sums are then added in order.
  int64_t step = a.rows > 64 * 32 ? (a.rows + 63) / 64 : 32;
  if (step * a.cols < kUnitElements / 2) step = kUnitElements / 2 / (a.cols > 0 ? a.cols : 1);
  const int64_t blocks = (a.rows + step - 1) / step;
  const bool parameters = a.kind != NormKind::none && (a.dgain || a.dbias);
  float* sums = nullptr;  // [blocks, 2, cols]
  if (parameters) sums = block_sums.get(blocks * 2 * a.cols);
  parallel(blocks, [&](int64_t block, int) {
    float* dgain = parameters && a.dgain ? sums + block * 2 * a.cols : nullptr;
    float* dbias = parameters && a.dbias ? sums + (block * 2 + 1) * a.cols : nullptr;
    if (dgain) std::memset(dgain, 0, size_t(a.cols) * sizeof(float));
    if (dbias) std::memset(dbias, 0, size_t(a.cols) * sizeof(float));
    const int64_t end = (block + 1) * step < a.rows ? (block + 1) * step : a.rows;
    for (int64_t i = block * step; i < end; ++i) {
      if (a.kind == NormKind::layer) {
        backward_row<NormKind::layer>(a, i, dgain, dbias);
      } else if (a.kind == NormKind::rms) {
        backward_row<NormKind::rms>(a, i, dgain, dbias);
      } else {
        backward_row<NormKind::none>(a, i, nullptr, nullptr);
      }
    }
  });
  if (!parameters) return;
  parallel_columns(a.cols, [&](int64_t begin, int64_t end) {
    for (int which = 0; which < 2; ++which) {
      float* out = which == 0 ? a.dgain : a.dbias;
      if (!out) continue;
      walk(end - begin, [&](int64_t j, auto part, int) TRIARCH_BODY {
        Vec total = a.accumulate_parameters ? get(out + begin + j, part) : splat(0);
        for (int64_t block = 0; block < blocks; ++block) {
          total += get(sums + (block * 2 + which) * a.cols + begin + j, part);
        }
        put(out + begin + j, total, part);
      });
    }
  });
}

}  // namespace

void norm_forward(const NormForward<float, float>& args) { forward(args); }
void norm_forward(const NormForward<float, bf16>& args) { forward(args); }
void norm_backward(const NormBackward<float, float>& args) { backward(args); }
void norm_backward(const NormBackward<float, bf16>& args) { backward(args); }

}  // namespace triarch::kernels::TRIARCH_ISA
