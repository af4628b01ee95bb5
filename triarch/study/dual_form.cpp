#include "triarch/study/dual_form.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "triarch/autograd/ops.h"
#include "triarch/base/random.h"
#include "triarch/study/matrix.h"

namespace triarch {
namespace {

using Vector = Eigen::VectorXd;

Matrix normal(int64_t rows, int64_t cols, Draw& draw) {
  Matrix m(rows, cols);
  for (int64_t i = 0; i < m.size(); ++i) m.data()[i] = draw.normal() / std::sqrt(double(cols));
  return m;
}

double largest(const Matrix& m) { return m.cwiseAbs().maxCoeff(); }

// The layer behind one step at rate 1 on 1/2 sum_i |W x_i - t_i|^2. The gradient is measured: a central difference of a
// quadratic function is exact, whatever its width.
Matrix step_on_squares(const Matrix& w, const Matrix& inputs, const Matrix& targets) {
  const auto loss = [&](const Matrix& at) { return 0.5 * (inputs * at.transpose() - targets).squaredNorm(); };
  Matrix after = w, moved = w;
  for (int64_t i = 0; i < w.size(); ++i) {
    moved.data()[i] = w.data()[i] + 1;
    const double above = loss(moved);
    moved.data()[i] = w.data()[i] - 1;
    after.data()[i] -= (above - loss(moved)) / 2;
    moved.data()[i] = w.data()[i];
  }
  return after;
}

// The gradient of the summed cross-entropy of W x_i with classes, from the engine.
Matrix engine_gradient(const Matrix& w, const Matrix& inputs, const std::vector<int32_t>& classes) {
  Arena arena;
  Tape tape;
  Context ctx{arena, &tape, Precision::float64()};
  const auto view = [](const Matrix& m) {
    return Tensor(const_cast<double*>(m.data()), DType::f64, m.rows(), m.cols());
  };
  Matrix out(w.rows(), w.cols());
  Gradient gradient{view(out), false};
  ops::linear_cross_entropy(ctx, {view(inputs), nullptr}, {view(w), &gradient}, {}, classes, {}, {});
  tape.backward();
  return out;
}

}  // namespace

DualForm dual_form(uint64_t seed, int64_t width, int64_t demonstrations, int64_t own) {
  Draw draw(Key(seed, Purpose::test));
  const Matrix w_q = normal(width, width, draw), w_k = normal(width, width, draw), w_v = normal(width, width, draw);
  // Rows are tokens.
  const Matrix shown = normal(demonstrations, width, draw) * std::sqrt(double(width));
  const Matrix tokens = normal(own, width, draw) * std::sqrt(double(width));
  const Matrix k_shown = shown * w_k.transpose(), v_shown = shown * w_v.transpose();
  const Matrix k_own = tokens * w_k.transpose(), v_own = tokens * w_v.transpose();
  const Vector q = w_q * tokens.row(own - 1).transpose();

  // Attention over all tokens, token by token.
  Matrix keys(demonstrations + own, width), values(demonstrations + own, width);
  keys << k_shown, k_own;
  values << v_shown, v_own;
  const Vector scores = keys * q / std::sqrt(double(width));
  const auto attention = [&](const Vector& weights) { return Vector(values.transpose() * weights); };

  const Matrix w_zsl = v_own.transpose() * k_own / std::sqrt(double(width));
  const Matrix dw_icl = v_shown.transpose() * k_shown / std::sqrt(double(width));
  const Vector dual = (w_zsl + dw_icl) * q;

  DualForm out;
  out.attention = largest(attention(scores) - dual);
  const Vector shares = (scores.array() - scores.maxCoeff()).exp();
  const Vector softmax = attention(shares / shares.sum());
  out.softmax = (softmax - dual).norm() / std::max(softmax.norm(), dual.norm());

  // Targets for which the error of x_i = k_i / sqrt(width) is v_i.
  const Matrix inputs = k_shown / std::sqrt(double(width));
  out.squared = largest(step_on_squares(w_zsl, inputs, inputs * w_zsl.transpose() + v_shown) * q - attention(scores));

  std::vector<int32_t> classes;
  for (int64_t i = 0; i < demonstrations; ++i) classes.push_back(int32_t(draw.below(uint64_t(width))));
  const Vector tuned = (w_zsl - engine_gradient(w_zsl, inputs, classes)) * q;
  Vector as_attention = w_zsl * q;
  for (int64_t i = 0; i < demonstrations; ++i) {
    const Vector y = w_zsl * inputs.row(i).transpose();
    Vector error = -Vector((y.array() - y.maxCoeff()).exp());
    error /= -error.sum();
    error[classes[size_t(i)]] += 1;
    as_attention += error * inputs.row(i).dot(q);
  }
  out.entropy = largest(tuned - as_attention);
  return out;
}

}  // namespace triarch
