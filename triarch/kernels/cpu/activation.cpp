#include "triarch/kernels/activation.h"

#include "triarch/kernels/cpu/activation_math.h"
#include "triarch/kernels/cpu/walk.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

template <class T>
void gated(const GatedForward<T>& a) {
  with_activation(a.activation, [&](auto kind) {
    parallel_rows(a.rows, 2 * a.cols, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* gate = a.in + i * 2 * a.cols;
        const T* up = gate + a.cols;
        T* out = a.out + i * a.cols;
        walk(a.cols, [&](int64_t j, auto part, int) TRIARCH_BODY {
          put(out + j, activate<kind()>(get(gate + j, part)) * get(up + j, part), part);
        });
      }
    });
  });
}

template <class T>
void gated(const GatedBackward<T>& a) {
  with_activation(a.activation, [&](auto kind) {
    parallel_rows(a.rows, 2 * a.cols, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* gate = a.in + i * 2 * a.cols;
        const T* up = gate + a.cols;
        const T* dout = a.dout + i * a.cols;
        T* dgate = a.din + i * 2 * a.cols;
        T* dup = dgate + a.cols;
        T* out = a.out ? a.out + i * a.cols : nullptr;
        walk(a.cols, [&](int64_t j, auto part, int) TRIARCH_BODY {
          const Vec d = get(dout + j, part);
          const ValueAndDerivative f = activate_with_derivative<kind()>(get(gate + j, part));
          const Vec u = get(up + j, part);
          if (out) put(out + j, f.value * u, part);
          put(dgate + j, d * u * f.derivative, part);
          put(dup + j, d * f.value, part);
        });
      }
    });
  });
}

template <class T>
void backward(const ActivationBackward<T>& a) {
  with_activation(a.activation, [&](auto kind) {
    parallel_elements(a.rows * a.cols, [&](int64_t begin, int64_t end) {
      walk(end - begin, [&](int64_t j, auto part, int) TRIARCH_BODY {
        const ValueAndDerivative f = activate_with_derivative<kind()>(get(a.pre + begin + j, part));
        const Vec d = get(a.dout + begin + j, part);  // before what may be written over it
        if (a.out) put(a.out + begin + j, f.value, part);
        put(a.din + begin + j, d * f.derivative, part);
      });
    });
  });
}

}  // namespace

void gated_forward(const GatedForward<float>& args) { gated(args); }
void gated_forward(const GatedForward<bf16>& args) { gated(args); }
void gated_backward(const GatedBackward<float>& args) { gated(args); }
void gated_backward(const GatedBackward<bf16>& args) { gated(args); }
void activation_backward(const ActivationBackward<float>& args) { backward(args); }
void activation_backward(const ActivationBackward<bf16>& args) { backward(args); }

}  // namespace triarch::kernels::TRIARCH_ISA
