#pragma once

#include "triarch/kernels/activation.h"
#include "triarch/kernels/reference/activation_math.h"

namespace triarch::kernels::reference {

template <class T>
void gated_forward(const GatedForward<T>& a) {
  for (int64_t i = 0; i < a.rows; ++i) {
    const T* in = a.in + i * 2 * a.cols;
    for (int64_t j = 0; j < a.cols; ++j) a.out[i * a.cols + j] = activate(a.activation, in[j]) * in[a.cols + j];
  }
}

template <class T>
void gated_backward(const GatedBackward<T>& a) {
  for (int64_t i = 0; i < a.rows; ++i) {
    const T* in = a.in + i * 2 * a.cols;
    T* din = a.din + i * 2 * a.cols;
    for (int64_t j = 0; j < a.cols; ++j) {
      const T gate = in[j], up = in[a.cols + j], dout = a.dout[i * a.cols + j];
      if (a.out) a.out[i * a.cols + j] = activate(a.activation, gate) * up;
      din[j] = dout * up * activate_derivative(a.activation, gate);
      din[a.cols + j] = dout * activate(a.activation, gate);
    }
  }
}

template <class T>
void activation_backward(const ActivationBackward<T>& a) {
  for (int64_t i = 0; i < a.rows * a.cols; ++i) {
    const T pre = a.pre[i], dout = a.dout[i];
    if (a.out) a.out[i] = activate(a.activation, pre);
    a.din[i] = dout * activate_derivative(a.activation, pre);
  }
}

}  // namespace triarch::kernels::reference
