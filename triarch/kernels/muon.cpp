// Newton-Schulz over kernels::product: no body per instruction set here, those below have them.
#include "triarch/kernels/muon.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "triarch/base/error.h"
#include "triarch/kernels/product.h"
#include "triarch/kernels/update.h"

namespace triarch::kernels {
namespace {

// c = scale a b, [side, side], for polynomials a and b of one symmetric matrix: they commute, so c is symmetric too.
void multiply(int64_t side, const float* a, const float* b, float* c, float scale = 1) {
  Product<float, float> p;
  p.m = p.n = p.k = side, p.scale = scale;
  p.a = a, p.b = b, p.c = c;
  p.a_stride = p.b_stride = p.c_stride = side;
  p.symmetric = true;
  product(p);
}

void add_to_diagonal(int64_t side, float value, float* c) {
  for (int64_t k = 0; k < side; ++k) c[k * (side + 1)] += value;
}

template <class S>
void update(const Muon<S>& args) {
  const int64_t count = args.rows * args.cols;
  S* direction = args.workspace + count;
  muon_momentum(MuonMomentum<S>{count, args.gradient, args.momentum, args.workspace, args.gradient_scale, args.mu});
  newton_schulz(NewtonSchulz<S>{args.rows, args.cols, args.workspace, direction, direction + count, args.iterations});
  muon_step(MuonStep<S>{count, args.weight, direction, args.lr, args.weight_decay});
}

}  // namespace

void muon(const Muon<float>& args) { update(args); }
void muon(const Muon<double>& args) { update(args); }

// With g = x x^T an iteration is x = p(g) x and so g = p(g)^2 g. A few iterations at a time are done on g, the smaller
// square, and x is multiplied once, by the product of their polynomials. Then g comes from x again: where it has lost
// an eigenvalue to rounding, what takes its place may be negative and grows by a factor of 12 with each iteration.
void newton_schulz(const NewtonSchulz<float>& args) {
  constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;
  require(args.iterations >= 1, "newton_schulz: expected at least 1 iteration, found {}", args.iterations);
  const int64_t rows = args.rows, cols = args.cols;
  const bool tall = rows > cols;  // then g is x^T x, and x is multiplied from the right
  const int64_t side = tall ? cols : rows, length = tall ? rows : cols, size = side * side;
  if (side == 0) return;
  float* const gram = args.workspace;
  float* const polynomial = gram + size;
  float* all = polynomial + size;  // the product of the polynomials
  float* other = all + size;
  float* const between = args.workspace + 4 * size;  // x, in turn with out

  double squares = 0;
  sum_of_squares(SumOfSquares<float>{rows * cols, args.x, &squares});
  // The first products divide by the norm; 1e-7 keeps zeros from dividing by zero.
  float scale = float(1 / (std::sqrt(squares) + 1e-7));
  const float* x = args.x;
  for (int64_t left = args.iterations; left > 0; left -= kNewtonSchulzAtATime) {
    Product<float, float> square;  // gram = scale^2 x x^T
    square.m = square.n = side, square.k = length, square.scale = scale * scale;
    square.a = square.b = x, square.a_stride = square.b_stride = cols;
    square.a_transposed = tall, square.b_transposed = !tall;
    square.c = gram, square.c_stride = side, square.symmetric = true;
    product(square);

    const int64_t count = std::min(left, kNewtonSchulzAtATime);
    for (int64_t i = 0; i < count; ++i) {
      float* const p = i == 0 ? all : polynomial;  // a + gram (b + c gram)
      std::copy_n(gram, size, other);
      add_to_diagonal(side, kB / kC, other);
      multiply(side, gram, other, p, kC);
      add_to_diagonal(side, kA, p);
      if (i > 0) {
        multiply(side, p, all, other);
        std::swap(all, other);
      }
      if (i + 1 == count) break;
      multiply(side, p, gram, other);
      multiply(side, p, other, gram);
    }

    Product<float, float> step;  // next = scale all x
    step.m = rows, step.n = cols, step.k = side, step.scale = scale;
    step.a = tall ? x : all, step.a_stride = tall ? cols : side;
    step.b = tall ? all : x, step.b_stride = cols;  // of all: side = cols
    step.c = (left - 1) / kNewtonSchulzAtATime % 2 == 0 ? args.out : between, step.c_stride = cols;
    product(step);
    x = step.c;
    scale = 1;
  }
}

}  // namespace triarch::kernels
