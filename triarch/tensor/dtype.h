// Number types. Light on purpose: kernels include it in files compiled for one instruction set.
#pragma once

#include <cstdint>
#include <cstring>

namespace triarch {

// bfloat16: the upper half of a float32. A storage type; arithmetic is done in float.
struct bf16 {
  uint16_t bits;

  bf16() = default;
  explicit bf16(float f) {
    uint32_t u;
    std::memcpy(&u, &f, 4);
    // Round to nearest even; a NaN stays a NaN.
    if ((u & 0x7fffffffu) > 0x7f800000u) {
      bits = uint16_t((u >> 16) | 0x40u);
    } else {
      bits = uint16_t((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    }
  }
  explicit operator float() const {
    const uint32_t u = uint32_t(bits) << 16;
    float f;
    std::memcpy(&f, &u, 4);
    return f;
  }
};

// The scale of a row of int8 weights: a float in the four bytes before the row. A storage type as bfloat16 is.
constexpr int64_t kScaleBytes = 4;
inline float row_scale(const int8_t* row) {
  float f;
  std::memcpy(&f, row - kScaleBytes, kScaleBytes);
  return f;
}

enum class DType : uint8_t { f32, bf16, f64, i32, i8 };

constexpr int64_t size_of(DType t) { return t == DType::f64 ? 8 : t == DType::bf16 ? 2 : t == DType::i8 ? 1 : 4; }
constexpr const char* name_of(DType t) {
  constexpr const char* names[] = {"float32", "bfloat16", "float64", "int32", "int8"};
  return names[int(t)];
}

template <class T>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct dtype_of<bf16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct dtype_of<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct dtype_of<int8_t> {
  static constexpr DType value = DType::i8;
};

// Precision is a type, not a branch: the stream (residual, statistics, loss, gradients of parameters), the operand
// (what is multiplied and kept for the backward pass), and what matrices of weights are stored as.
struct Precision {
  DType stream = DType::f32;
  DType operand = DType::f32;
  DType weights = operand;
  static constexpr Precision float32() { return {DType::f32, DType::f32}; }
  static constexpr Precision bfloat16() { return {DType::f32, DType::bf16}; }
  static constexpr Precision float64() { return {DType::f64, DType::f64}; }          // the references
  static constexpr Precision int8() { return {DType::f32, DType::f32, DType::i8}; }  // for use, not for training
  bool operator==(const Precision&) const = default;
};

}  // namespace triarch
