// Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon): momentum whose matrix is made nearly
// orthogonal before the step. With g = gradient_scale * gradient:
//   m = mu m + g;  u = g + mu m;  w -= lr (newton_schulz(u) + weight_decay w)
// The authors' learning rate is multiplied by sqrt(max(1, out / in)) for a weight [out, in]; lr holds that factor.
#pragma once

#include "triarch/kernels/isa.h"

namespace triarch::kernels {

// out = a matrix with the singular vectors of x and singular values near 1 (after 5 iterations 0.68 to 1.20
// for those of at least 0.002 of the Frobenius norm): x / |x|_F through `iterations` of
//   x = 3.4445 x - 4.7750 (x x^T) x + 2.0315 (x x^T)^2 x
// taken on the smaller side. A matrix of zeros gives zeros.
template <class S>
struct NewtonSchulz {
  int64_t rows = 0, cols = 0;
  const S* x = nullptr;    // [rows, cols]
  S* out = nullptr;        // [rows, cols], apart from x
  S* workspace = nullptr;  // newton_schulz_workspace(rows, cols) elements, apart from both
  int64_t iterations = 5;  // at least 1
};
constexpr int64_t newton_schulz_workspace(int64_t rows, int64_t cols) {
  const int64_t side = rows < cols ? rows : cols;
  return rows * cols + 4 * side * side;
}
// Iterations that are done on the smaller side's square before x is multiplied.
inline constexpr int64_t kNewtonSchulzAtATime = 5;
// Floating-point operations of its products in float, of symmetric ones half.
constexpr double newton_schulz_flops(int64_t rows, int64_t cols, int64_t iterations) {
  const double small = double(rows < cols ? rows : cols), large = double(rows < cols ? cols : rows);
  const int64_t times = (iterations + kNewtonSchulzAtATime - 1) / kNewtonSchulzAtATime;
  return double(3 * times) * small * small * large + double(4 * iterations - 3 * times) * small * small * small;
}

template <class S>
struct Muon {
  int64_t rows = 0, cols = 0;
  S* weight = nullptr;          // [rows, cols], contiguous like all below
  const S* gradient = nullptr;  // [rows, cols]
  S* momentum = nullptr;        // [rows, cols]: m
  S gradient_scale = 1;
  S mu = S(0.95), lr = 0, weight_decay = 0;
  int64_t iterations = 5;
  S* workspace = nullptr;  // muon_workspace(rows, cols) elements
};
constexpr int64_t muon_workspace(int64_t rows, int64_t cols) {
  return 2 * rows * cols + newton_schulz_workspace(rows, cols);
}

// The walk before the products ...
template <class S>
struct MuonMomentum {
  int64_t count = 0;
  const S* gradient = nullptr;
  S* momentum = nullptr;
  S* update = nullptr;  // u
  S gradient_scale = 1, mu = S(0.95);
};
// ... and the one after: weight -= lr (direction + weight_decay weight).
template <class S>
struct MuonStep {
  int64_t count = 0;
  S* weight = nullptr;
  const S* direction = nullptr;
  S lr = 0, weight_decay = 0;
};

TRIARCH_KERNEL(muon_momentum, MuonMomentum<float>)
TRIARCH_KERNEL(muon_step, MuonStep<float>)
void newton_schulz(const NewtonSchulz<float>& args);
void muon(const Muon<float>& args);
void muon_momentum(const MuonMomentum<double>& args);
void muon_step(const MuonStep<double>& args);
void newton_schulz(const NewtonSchulz<double>& args);
void muon(const Muon<double>& args);

}  // namespace triarch::kernels
