// Newton-Schulz over kernels::product: no body per instruction set here, those below have them.
#include "triarch/kernels/muon.h"

#include <cmath>

#include "triarch/base/error.h"
#include "triarch/kernels/product.h"
#include "triarch/kernels/update.h"

namespace triarch::kernels {
namespace {

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

void newton_schulz(const NewtonSchulz<float>& args) {
  constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;
  require(args.iterations >= 1, "newton_schulz: expected at least 1 iteration, found {}", args.iterations);
  const int64_t rows = args.rows, cols = args.cols;
  const bool tall = rows > cols;  // then x^T x takes the place of x x^T, and x is multiplied from the right
  const int64_t side = tall ? cols : rows, length = tall ? rows : cols;
  if (side == 0) return;
  float* gram = args.workspace;
  float* polynomial = gram + side * side;
  float* other = polynomial + side * side;  // out and this one in turn

  double squares = 0;
  sum_of_squares(SumOfSquares<float>{rows * cols, args.x, &squares});
  // The first iteration's products divide by the norm; 1e-7 keeps zeros from dividing by zero.
  float scale = float(1 / (std::sqrt(squares) + 1e-7));
  const float* x = args.x;
  float* next = args.iterations % 2 == 1 ? args.out : other;
  for (int64_t i = 0; i < args.iterations; ++i) {
    Product<float, float> square;  // gram = scale^2 x x^T
    square.m = square.n = side, square.k = length, square.scale = scale * scale;
    square.a = square.b = x, square.a_stride = square.b_stride = cols;
    square.a_transposed = tall, square.b_transposed = !tall;
    square.c = gram, square.c_stride = side, square.symmetric = true;
    product(square);

    Product<float, float> fourth;  // polynomial = a + b gram + c gram^2
    fourth.m = fourth.n = fourth.k = side, fourth.scale = kC;
    fourth.a = fourth.b = gram, fourth.a_stride = fourth.b_stride = side;
    fourth.c = polynomial, fourth.c_stride = side, fourth.symmetric = true;
    product(fourth);
    for (int64_t k = 0; k < side * side; ++k) polynomial[k] += kB * gram[k];
    for (int64_t k = 0; k < side; ++k) polynomial[k * (side + 1)] += kA;

    Product<float, float> step;  // next = scale polynomial x
    step.m = rows, step.n = cols, step.k = side, step.scale = scale;
    step.a = tall ? x : polynomial, step.a_stride = tall ? cols : side;
    step.b = tall ? polynomial : x, step.b_stride = cols;  // of the polynomial: side = cols
    step.c = next, step.c_stride = cols;
    product(step);

    x = next;
    next = next == other ? args.out : other;
    scale = 1;
  }
}

}  // namespace triarch::kernels
