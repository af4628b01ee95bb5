#include "triarch/autograd/product_gradients.h"

#include "triarch/kernels/product.h"

namespace triarch::ops {

void input_gradient(Context& ctx, const Destination& dx, const Var& weight, const Tensor& dy, double scale) {
  const int64_t m = dy.rows(), k = weight.cols(), n = weight.rows();
  ctx.flops += 2.0 * double(m) * double(n) * double(k);
  if (ctx.dry) return;
  dispatch(ctx.precision, [&]<class S, class T>() {
    kernels::Product<T, T> p;
    p.m = m;
    p.n = k;
    p.k = n;
    p.a = dy.data<T>();
    p.a_stride = dy.stride();
    p.b = weight.value.data<T>();
    p.b_stride = weight.value.stride();
    p.c = dx.value.data<T>();
    p.c_stride = dx.value.stride();
    p.scale = S(scale);
    p.accumulate = dx.accumulate;
    kernels::product(p);
  });
}

void weight_gradient(Context& ctx, const Destination& dw, const Tensor& x, const Tensor& dy, double scale) {
  const int64_t m = dy.rows(), k = x.cols(), n = dy.cols();
  ctx.flops += 2.0 * double(m) * double(n) * double(k);
  if (ctx.dry) return;
  dispatch(ctx.precision, [&]<class S, class T>() {
    kernels::Product<T, S> p;
    p.m = n;
    p.n = k;
    p.k = m;
    p.a = dy.data<T>();
    p.a_stride = dy.stride();
    p.a_transposed = true;
    p.b = x.data<T>();
    p.b_stride = x.stride();
    p.c = dw.value.data<S>();
    p.c_stride = dw.value.stride();
    p.scale = S(scale);
    p.accumulate = dw.accumulate;
    kernels::product(p);
  });
}

void bias_gradient(Context& ctx, const Destination& db, const Tensor& dy) {
  if (ctx.dry) return;
  dispatch(ctx.precision, [&]<class S, class T>() {
    kernels::ColumnSum<T, S> c;
    c.rows = dy.rows();
    c.cols = dy.cols();
    c.x = dy.data<T>();
    c.stride = dy.stride();
    c.out = db.value.data<S>();
    c.accumulate = db.accumulate;
    kernels::column_sum(c);
  });
}

void weight_gradients(Context& ctx, const Tensor& x, const Var& weight, const Var& bias, const Tensor& dy) {
  const DType stream = ctx.precision.stream;
  if (wanted(weight)) {
    weight_gradient(ctx, Tape::destination(weight.gradient, ctx.arena, stream, weight.rows(), weight.cols()), x, dy);
  }
  if (wanted(bias)) bias_gradient(ctx, Tape::destination(bias.gradient, ctx.arena, stream, 1, weight.rows()), dy);
}

}  // namespace triarch::ops
