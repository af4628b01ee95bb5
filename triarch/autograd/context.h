// What an op needs besides its operands. The same model code trains, evaluates and generates: with a
// tape it records, without one it does not, and a dry run counts operations and memory but computes
// nothing.
#pragma once

#include <cstdint>
#include <type_traits>

#include "triarch/autograd/tape.h"
#include "triarch/base/error.h"

namespace triarch {

struct Context {
  Arena& arena;
  Tape* tape = nullptr;  // null: no gradients
  Precision precision;
  bool training = false;  // dropout on
  bool dry = false;       // plan: allocate and count, run no kernel
  bool again = false;     // only what the backward pass reads is wanted (recompute)
  double flops = 0;       // of the products executed or planned, forward and backward

  Tensor stream(int64_t rows, int64_t cols) { return arena.tensor(precision.stream, rows, cols); }
  Tensor operand(int64_t rows, int64_t cols) { return arena.tensor(precision.operand, rows, cols); }
  // A Var for a new activation; it has a gradient where there is a tape and an input has one.
  Var var(Tensor value, bool wanted) { return {std::move(value), tape && wanted ? tape->gradient() : nullptr}; }
};

inline bool wanted(const Var& v) { return v.gradient != nullptr; }

// What a kernel is given for an operand that may be missing.
template <class S>
S* data_or_null(const Tensor& t) {
  return t.empty() ? nullptr : t.data<S>();
}

// Calls f.template operator()<S, T>() with the types of a precision: the one place where a run-time
// type becomes a compile-time one.
template <class F>
void dispatch(Precision precision, F&& f) {
  if (precision.stream == DType::f64) {
    f.template operator()<double, double>();
  } else if (precision.operand == DType::bf16) {
    f.template operator()<float, bf16>();
  } else {
    f.template operator()<float, float>();
  }
}
// The same for stored weights, multiplied by operands of type T: f.template operator()<W>().
template <class T, class F>
void dispatch_weights(const Tensor& weights, F&& f) {
  if constexpr (std::is_same_v<T, float>) {
    if (weights.dtype() == DType::i8) {
      require(weights.stride() == kScaleBytes + weights.cols(),
              "int8 weights: expected whole rows, found some columns");
      return f.template operator()<int8_t>();
    }
  }
  f.template operator()<T>();
}

}  // namespace triarch
