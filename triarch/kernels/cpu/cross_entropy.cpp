#include "triarch/kernels/cross_entropy.h"

#include <cmath>

#include "triarch/kernels/cpu/walk.h"
#include "triarch/kernels/scratch.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

thread_local Scratch exponentials;

struct Extremes {
  float largest = 0, mean = 0;
  int64_t best = 0;  // the first with the largest
};
Extremes extremes(const float* z, int64_t n) {
  constexpr int64_t kChunk = 1024;  // looked through again, element by element, for the first largest
  float largest_so_far = -INFINITY, total = 0;
  int64_t chunk_of_best = 0;
  for (int64_t begin = 0; begin < n; begin += kChunk) {
    const int64_t length = begin + kChunk < n ? kChunk : n - begin;
    Lanes maxima, sums;
    for (Vec& v : maxima.v) v = splat(-INFINITY);
    walk<4>(length, [&](int64_t j, auto part, int lane) TRIARCH_BODY {
      const Vec v = get(z + begin + j, part);
      maxima.v[lane] = max(maxima.v[lane], only(v, part, -INFINITY));
      sums.v[lane] += v;
    });
    total += sums.total();
    const float chunk_max = largest(max(max(maxima.v[0], maxima.v[1]), max(maxima.v[2], maxima.v[3])));
    if (chunk_max > largest_so_far) {
      largest_so_far = chunk_max;
      chunk_of_best = begin;
    }
  }
  int64_t best = chunk_of_best;
  while (best + 1 < n && z[best] < largest_so_far) ++best;
  return {largest_so_far, total / float(n), best};
}

// The sum of exp(z[j] - largest); the exponentials go to `kept`, if given.
float sum_of_exponentials(const float* z, int64_t n, float largest, float* kept) {
  Lanes totals;
  walk<4>(n, [&](int64_t j, auto part, int lane) TRIARCH_BODY {
    const Vec e = exp(only(get(z + j, part), part, -INFINITY) - largest);
    if (kept) put(kept + j, e, part);
    totals.v[lane] += e;
  });
  return totals.total();
}

// A row comes from memory once; the later walks find it in the second-level cache.
template <class T>
void row(const CrossEntropy<float, T>& a, int64_t i) {
  const int64_t n = a.vocabulary;
  const float* z = a.logits + i * n;
  T* dz = a.dlogits ? a.dlogits + i * n : nullptr;
  const int32_t target = a.targets[i];
  const Extremes row = extremes(z, n);
  if (a.prediction) a.prediction[i] = int32_t(row.best);
  if (target < 0) {
    a.loss[i] = 0;
    if (a.nll) a.nll[i] = 0;
    if (dz) std::memset(static_cast<void*>(dz), 0, size_t(n) * sizeof(T));
    return;
  }
  const float z_target = z[target];  // read before dz, which may be z, is written
  // The exponentials are taken once and kept for the gradient.
  float* kept = nullptr;
  if constexpr (sizeof(T) == sizeof(float)) {
    kept = dz;
  } else if (dz) {
    kept = exponentials.get(n);
  }
  const float total = sum_of_exponentials(z, n, row.largest, kept), lse = row.largest + std::log(total),
              nll = lse - z_target;
  const float s = a.label_smoothing;
  a.loss[i] = (1 - s) * nll + a.z_loss * lse * lse;
  if (s > 0) a.loss[i] += s * (lse - row.mean);
  if (a.nll) a.nll[i] = nll;
  if (!dz) return;
  const float scale = a.gradient_scale * (a.weights ? a.weights[i] : 1);
  const float p_scale = scale * (1 + 2 * a.z_loss * lse) / total, uniform = scale * s / float(n);
  const float target_gradient = p_scale * kept[target] - uniform - scale * (1 - s);
  walk<4>(n,
          [&](int64_t j, auto part, int) TRIARCH_BODY { put(dz + j, p_scale * get(kept + j, part) - uniform, part); });
  dz[target] = T(target_gradient);
}

template <class T>
void rows(const CrossEntropy<float, T>& a) {
  parallel_rows(a.rows, a.vocabulary, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) row(a, i);
  });
}

void log_sums(const LogSumExp<float>& a) {
  parallel_rows(a.rows, a.vocabulary, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* z = a.logits + i * a.vocabulary;
      const float most = extremes(z, a.vocabulary).largest;
      a.out[i] = most + std::log(sum_of_exponentials(z, a.vocabulary, most, nullptr));
    }
  });
}

}  // namespace

void log_sum_exp(const LogSumExp<float>& args) { log_sums(args); }
void cross_entropy(const CrossEntropy<float, float>& args) { rows(args); }
void cross_entropy(const CrossEntropy<float, bf16>& args) { rows(args); }

}  // namespace triarch::kernels::TRIARCH_ISA
