// Activation recomputation (Chen et al. 2016): see ops.h.
#pragma once

#include "triarch/autograd/ops.h"

namespace triarch::ops {

template <class F>
Residual recompute(Context& ctx, const Residual& in, F f) {
  if (!ctx.tape) return f(ctx, in);
  Tape* const outer = ctx.tape;
  ctx.tape = nullptr;
  const auto without_gradient = [](const Var& v) { return Var{v.value, nullptr}; };
  Residual out = f(ctx, Residual{without_gradient(in.x), without_gradient(in.delta), without_gradient(in.y)});
  ctx.tape = outer;
  const auto with_gradient = [&](Var& v) {
    if (!v.empty()) v.gradient = outer->gradient();
  };
  with_gradient(out.x);
  with_gradient(out.delta);
  // Where a norm's output is the residual too (post-norm, equal types), they are one variable.
  const bool same = !out.y.empty() && out.y.value.raw() == out.x.value.raw();
  if (same) {
    out.y.gradient = out.x.gradient;
  } else {
    with_gradient(out.y);
  }
  Gradient* const gx = out.x.gradient;
  Gradient* const gd = out.delta.gradient;
  Gradient* const gy = same ? nullptr : out.y.gradient;
  outer->record({gx, gd, gy}, [&ctx, outer, in, f, gx, gd, gy] {
    Tape& inner = outer->inner();
    ctx.tape = &inner;
    ctx.again = true;
    Residual again = f(ctx, in);
    ctx.again = false;
    const auto pass = [](Gradient* from, Var& to) {
      if (!from || !from->written || !to.gradient) return;
      to.gradient->value = from->value;
      to.gradient->written = true;
    };
    pass(gx, again.x);
    pass(gd, again.delta);
    if (gy) pass(gy, again.y);
    again = Residual{};
    inner.backward();
    ctx.tape = outer;
  });
  return out;
}

}  // namespace triarch::ops
