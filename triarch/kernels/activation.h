// Pointwise functions between two products. S is the stream type, T the operand type (float/float,
// float/bf16; double/double is the reference). Arithmetic in S.
#pragma once

#include "triarch/kernels/isa.h"
#include "triarch/tensor/dtype.h"

namespace triarch::kernels {

// gelu: x Phi(x) with erf. gelu_tanh: its tanh approximation (Hendrycks & Gimpel 2016, eq. 2).
// silu: x sigmoid(x). tanh: BERT's pooler.
enum class Activation : uint8_t { none, relu, gelu, gelu_tanh, silu, tanh };

// out[i,j] = f(in[i,j]) * in[i, cols + j]: SwiGLU, GEGLU, ReGLU (Shazeer 2020, eq. 6).
template <class T>
struct GatedForward {
  int64_t rows = 0, cols = 0;
  const T* in = nullptr;  // [rows, 2 cols]: gate, then up
  T* out = nullptr;       // [rows, cols]
  Activation activation = Activation::silu;
};
template <class T>
struct GatedBackward {
  int64_t rows = 0, cols = 0;
  const T* in = nullptr;    // [rows, 2 cols]
  const T* dout = nullptr;  // [rows, cols]
  T* din = nullptr;         // [rows, 2 cols], written; may be in
  T* out = nullptr;         // [rows, cols] or null: the forward's output again; may be dout
  Activation activation = Activation::silu;
};
// din = dout * f'(pre); din may be dout or pre. The forward is in the product's epilogue.
template <class T>
struct ActivationBackward {
  int64_t rows = 0, cols = 0;
  const T* pre = nullptr;   // [rows, cols]: values before the activation
  const T* dout = nullptr;  // [rows, cols]
  T* din = nullptr;         // [rows, cols]
  T* out = nullptr;         // [rows, cols] or null: f(pre); may be dout, where din is not
  Activation activation = Activation::gelu;
};

TRIARCH_KERNEL(gated_forward, GatedForward<float>)
TRIARCH_KERNEL(gated_forward, GatedForward<bf16>)
TRIARCH_KERNEL(gated_backward, GatedBackward<float>)
TRIARCH_KERNEL(gated_backward, GatedBackward<bf16>)
TRIARCH_KERNEL(activation_backward, ActivationBackward<float>)
TRIARCH_KERNEL(activation_backward, ActivationBackward<bf16>)
void gated_forward(const GatedForward<double>& args);
void gated_backward(const GatedBackward<double>& args);
void activation_backward(const ActivationBackward<double>& args);

}  // namespace triarch::kernels
