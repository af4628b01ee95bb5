#include <algorithm>

#include "triarch/autograd/ops.h"
#include "triarch/autograd/product_gradients.h"
#include "triarch/base/error.h"
#include "triarch/kernels/cross_entropy.h"
#include "triarch/kernels/product.h"

namespace triarch::ops {
namespace {

// c = scale a b^T + bias over rows [begin, begin + count) of a.
template <class S, class T>
void logits_of(const Var& hidden, int64_t begin, int64_t count, const Var& weight, const Var& bias, double scale,
               S* out) {
  dispatch_weights<T>(weight.value, [&]<class W>() {
    kernels::Product<T, S, W> p;
    p.m = count;
    p.n = weight.rows();
    p.k = hidden.cols();
    p.a = hidden.value.data<T>() + begin * hidden.value.stride();
    p.a_stride = hidden.value.stride();
    p.b = weight.value.data<W>();
    p.b_stride = weight.value.stride();
    p.b_transposed = true;
    p.c = out;
    p.c_stride = weight.rows();
    p.scale = S(scale);
    p.bias = bias.empty() ? nullptr : bias.value.data<S>();
    kernels::product(p);
  });
}

}  // namespace

Loss linear_cross_entropy(Context& ctx, const Var& hidden, const Var& weight, const Var& bias,
                          std::span<const int32_t> targets, std::span<const float> weights, const LossOptions& options,
                          bool per_row) {
  const int64_t rows = hidden.rows(), width = hidden.cols(), vocabulary = weight.rows();
  require(int64_t(targets.size()) == rows, "cross entropy: expected a target per row ({}), found {}", rows,
          targets.size());
  require(weights.empty() || int64_t(weights.size()) == rows, "cross entropy: expected a weight per row ({}), found {}",
          rows, weights.size());
  for (int32_t t : targets) {
    require(t < vocabulary, "cross entropy: expected targets below {}, found {}", vocabulary, t);
  }
  const bool backward = ctx.tape && (hidden.gradient || weight.gradient || bias.gradient);
  const int64_t chunk = std::max<int64_t>(1, std::min(options.chunk, rows));
  Loss out;
  if (per_row) {
    out.rows.resize(size_t(rows));
    out.predictions.resize(size_t(rows));
  }
  Tensor z = ctx.stream(chunk, vocabulary), row_loss = ctx.stream(3, chunk);
  Tensor dz = z;
  if (backward && ctx.precision.stream != ctx.precision.operand) dz = ctx.operand(chunk, vocabulary);
  Tensor prediction = ctx.arena.tensor(DType::i32, 1, chunk);
  Destination dh, dw, db;
  if (backward && hidden.gradient) {
    dh = Tape::destination(hidden.gradient, ctx.arena, ctx.precision.operand, rows, width);
  }
  if (backward && weight.gradient) {
    dw = Tape::destination(weight.gradient, ctx.arena, ctx.precision.stream, vocabulary, width);
  }
  if (backward && bias.gradient) {
    db = Tape::destination(bias.gradient, ctx.arena, ctx.precision.stream, 1, vocabulary);
  }
  const double product = 2.0 * double(rows) * double(width) * double(vocabulary);
  ctx.flops += product;
  if (ctx.dry) {
    ctx.flops += product * (!dh.value.empty() + !dw.value.empty());
    return out;
  }

  dispatch(ctx.precision, [&]<class S, class T>() {
    bool first = true;
    for (int64_t begin = 0; begin < rows; begin += chunk) {
      const int64_t count = std::min(chunk, rows - begin);
      logits_of<S, T>(hidden, begin, count, weight, bias, options.logit_scale, z.data<S>());
      S* const loss = row_loss.data<S>();
      S* const nll = loss + chunk;
      S* const row_weight = nll + chunk;
      for (int64_t i = 0; i < count; ++i) row_weight[i] = weights.empty() ? S(1) : S(weights[size_t(begin + i)]);
      kernels::CrossEntropy<S, T> c;
      c.rows = count;
      c.vocabulary = vocabulary;
      c.logits = z.data<S>();
      c.targets = targets.data() + begin;
      c.weights = row_weight;
      c.label_smoothing = S(options.label_smoothing);
      c.z_loss = S(options.z_loss);
      c.loss = loss;
      c.nll = nll;
      c.prediction = prediction.data<int32_t>();
      c.dlogits = backward ? dz.data<T>() : nullptr;
      c.gradient_scale = S(options.gradient_scale);
      kernels::cross_entropy(c);
      for (int64_t i = 0; i < count; ++i) {
        const int32_t target = targets[size_t(begin + i)];
        if (per_row) {
          out.rows[size_t(begin + i)] = double(nll[i]);
          out.predictions[size_t(begin + i)] = c.prediction[i];
        }
        if (target < 0) continue;
        out.loss += double(row_weight[i]) * double(loss[i]);
        out.nll += double(row_weight[i]) * double(nll[i]);
        out.weight += double(row_weight[i]);
        out.correct += c.prediction[i] == target;
      }
      const Tensor dlogits = dz.row_range(0, count);
      if (!dh.value.empty()) {
        input_gradient(ctx, {dh.value.row_range(begin, count), dh.accumulate}, weight, dlogits, options.logit_scale);
      }
      if (!dw.value.empty()) {
        weight_gradient(ctx, {dw.value, dw.accumulate || !first}, hidden.value.row_range(begin, count), dlogits,
                        options.logit_scale);
      }
      if (!db.value.empty()) bias_gradient(ctx, {db.value, db.accumulate || !first}, dlogits);
      first = false;
    }
  });
  return out;
}

Tensor logits(Context& ctx, const Var& hidden, const Var& weight, const Var& bias, double scale) {
  Tensor out = ctx.stream(hidden.rows(), weight.rows());
  ctx.flops += 2.0 * double(hidden.rows()) * double(hidden.cols()) * double(weight.rows());
  if (ctx.dry) return out;
  dispatch(ctx.precision,
           [&]<class S, class T>() { logits_of<S, T>(hidden, 0, hidden.rows(), weight, bias, scale, out.data<S>()); });
  return out;
}

}  // namespace triarch::ops
