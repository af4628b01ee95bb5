// The gradients of y = scale x weight^T + bias, which linear layers and the loss share. Operations are counted; a dry
// run does no more.
#pragma once

#include "triarch/autograd/context.h"

namespace triarch::ops {

// Of x: scale dy weight. dy T [rows, out], weight T [out, in].
void input_gradient(Context& ctx, const Destination& dx, const Var& weight, const Tensor& dy, double scale = 1);
// Of the weight: scale dy^T x, x T [rows, in]. Of the bias: the sums of dy's columns.
void weight_gradient(Context& ctx, const Destination& dw, const Tensor& x, const Tensor& dy, double scale = 1);
void bias_gradient(Context& ctx, const Destination& db, const Tensor& dy);
// Those of weight and bias that are wanted.
void weight_gradients(Context& ctx, const Tensor& x, const Var& weight, const Var& bias, const Tensor& dy);

}  // namespace triarch::ops
