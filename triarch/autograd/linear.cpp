#include "triarch/autograd/ops.h"
#include "triarch/autograd/product_gradients.h"
#include "triarch/base/error.h"
#include "triarch/kernels/product.h"

namespace triarch::ops {
namespace {

// out = activation(x weight^T + bias); pre, if given, what the activation is of.
void multiply(Context& ctx, const Tensor& x, const Var& weight, const Var& bias, Activation activation,
              const Tensor& out, const Tensor& pre) {
  const int64_t m = x.rows(), k = x.cols(), n = weight.rows();
  require(weight.cols() == k, "linear: expected rows of {} elements as the weight has, found {}", weight.cols(), k);
  ctx.flops += 2.0 * double(m) * double(n) * double(k);
  if (ctx.dry) return;
  dispatch(ctx.precision, [&]<class S, class T>() {
    dispatch_weights<T>(weight.value, [&]<class W>() {
      kernels::Product<T, T, W> p;
      p.m = m;
      p.n = n;
      p.k = k;
      p.a = x.data<T>();
      p.a_stride = x.stride();
      p.b = weight.value.data<W>();
      p.b_stride = weight.value.stride();
      p.b_transposed = true;
      p.c = out.data<T>();
      p.c_stride = n;
      p.bias = data_or_null<S>(bias.value);
      p.activation = activation;
      p.pre_activation = data_or_null<T>(pre);
      kernels::product(p);
    });
  });
}

// The gradient of what the activation is of from that of its value; out, if given, the value. Both may be in place.
void activation_backward(Context& ctx, const Tensor& pre, const Tensor& dout, const Tensor& out, const Tensor& din,
                         Activation activation) {
  if (ctx.dry) return;
  dispatch(ctx.precision, [&]<class S, class T>() {
    kernels::ActivationBackward<T> a;
    a.rows = pre.rows();
    a.cols = pre.cols();
    a.pre = pre.data<T>();
    a.dout = dout.data<T>();
    a.din = din.data<T>();
    a.out = data_or_null<T>(out);
    a.activation = activation;
    kernels::activation_backward(a);
  });
}

void gated_forward(Context& ctx, const Tensor& in, const Tensor& out, Activation activation) {
  if (ctx.dry) return;
  dispatch(ctx.precision, [&]<class S, class T>() {
    kernels::GatedForward<T> a;
    a.rows = out.rows();
    a.cols = out.cols();
    a.in = in.data<T>();
    a.out = out.data<T>();
    a.activation = activation;
    kernels::gated_forward(a);
  });
}

void gated_backward(Context& ctx, const Tensor& in, const Tensor& dout, const Tensor& out, const Tensor& din,
                    Activation activation) {
  if (ctx.dry) return;
  dispatch(ctx.precision, [&]<class S, class T>() {
    kernels::GatedBackward<T> a;
    a.rows = dout.rows();
    a.cols = dout.cols();
    a.in = in.data<T>();
    a.dout = dout.data<T>();
    a.out = out.data<T>();
    a.din = din.data<T>();
    a.activation = activation;
    kernels::gated_backward(a);
  });
}

}  // namespace

Var linear(Context& ctx, const Var& x, const Var& weight, const Var& bias, Activation activation) {
  const int64_t m = x.rows(), n = weight.rows();
  Var out = ctx.var(ctx.operand(m, n), wanted(x) || wanted(weight) || wanted(bias));
  Tensor pre;
  if (out.gradient && activation != Activation::none) pre = ctx.operand(m, n);
  multiply(ctx, x.value, weight, bias, activation, out.value, pre);
  if (!out.gradient) return out;
  ctx.tape->record({out.gradient}, [&ctx, x, weight, bias, pre, activation, g = out.gradient] {
    if (activation != Activation::none) activation_backward(ctx, pre, g->value, {}, g->value, activation);
    if (wanted(x)) {
      const Destination dx = Tape::destination(x.gradient, ctx.arena, ctx.precision.operand, x.rows(), x.cols());
      input_gradient(ctx, dx, weight, g->value);
    }
    weight_gradients(ctx, x.value, weight, bias, g->value);
  });
  return out;
}

Var mlp(Context& ctx, const Var& x, const Mlp& o) {
  const int64_t m = x.rows(), width = o.weight_out.cols(), parts = o.gated ? 2 : 1;
  require(o.weight_in.rows() == parts * width, "mlp: expected {} rows of the first weight, found {}", parts * width,
          o.weight_in.rows());
  bool gradient = wanted(x);
  for (const Var* v : {&o.weight_in, &o.bias_in, &o.weight_out, &o.bias_out}) gradient |= wanted(*v);
  Var out = ctx.var(ctx.operand(m, o.weight_out.rows()), gradient);
  Tensor pre;
  if (out.gradient || o.gated) pre = ctx.operand(m, parts * width);
  if (!o.output_read) {
    if (out.gradient) multiply(ctx, x.value, o.weight_in, o.bias_in, Activation::none, pre, {});
  } else {
    const Tensor inner = ctx.operand(m, width);
    if (o.gated) {
      multiply(ctx, x.value, o.weight_in, o.bias_in, Activation::none, pre, {});
      gated_forward(ctx, pre, inner, o.activation);
    } else {
      multiply(ctx, x.value, o.weight_in, o.bias_in, o.activation, inner, pre);
    }
    multiply(ctx, inner, o.weight_out, o.bias_out, Activation::none, out.value, {});
  }
  if (!out.gradient) return out;
  ctx.tape->record({out.gradient}, [&ctx, m, width, x, o, pre, g = out.gradient] {
    {
      // One tensor is first the gradient of what the second product read, then that itself, made again; pre becomes
      // its own gradient.
      const Tensor inner = ctx.operand(m, width);
      input_gradient(ctx, {inner, false}, o.weight_out, g->value);
      if (o.gated) {
        gated_backward(ctx, pre, inner, inner, pre, o.activation);
      } else {
        activation_backward(ctx, pre, inner, inner, pre, o.activation);
      }
      weight_gradients(ctx, inner, o.weight_out, o.bias_out, g->value);
    }
    if (wanted(x)) {
      const Destination dx = Tape::destination(x.gradient, ctx.arena, ctx.precision.operand, m, x.cols());
      input_gradient(ctx, dx, o.weight_in, pre);
    }
    weight_gradients(ctx, x.value, o.weight_in, o.bias_in, pre);
  });
  return out;
}

}  // namespace triarch::ops
