// One vector type per instruction set, on the compiler's vector extensions: a*b + c contracts to an FMA
// where the set has one. Included only by kernels/cpu/*.cpp.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "triarch/tensor/dtype.h"

namespace triarch::kernels::TRIARCH_ISA {
namespace {

#if defined(TRIARCH_ISA_avx512)
constexpr int kWidth = 16;  // floats in a vector
#elif defined(TRIARCH_ISA_avx2)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif

typedef float Vec __attribute__((vector_size(kWidth * 4)));
typedef int32_t IntVec __attribute__((vector_size(kWidth * 4)));
typedef uint32_t UintVec __attribute__((vector_size(kWidth * 4)));
typedef uint16_t HalfVec __attribute__((vector_size(kWidth * 2)));

[[gnu::always_inline]] inline Vec splat(float x) { return x - Vec{}; }  // 0 + x would add: -0
[[gnu::always_inline]] inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
[[gnu::always_inline]] inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
[[gnu::always_inline]] inline Vec load(const bf16* p) {
  HalfVec h;
  std::memcpy(&h, p, sizeof h);
  const UintVec u = __builtin_convertvector(h, UintVec) << 16;
  return (Vec)u;
}
[[gnu::always_inline]] inline Vec load(const int8_t* p) {
#if defined(TRIARCH_ISA_avx512)
  __m128i bytes;
  std::memcpy(&bytes, p, sizeof bytes);
  return (Vec)_mm512_maskz_cvtepi32_ps(0xffff,
                                       _mm512_maskz_cvtepi8_epi32(0xffff, bytes));  // as to_bf16: no plain forms
#elif defined(TRIARCH_ISA_avx2)
  return (Vec)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
  Vec v;
  for (int i = 0; i < kWidth; ++i) v[i] = float(p[i]);
  return v;
#endif
}
// Round to nearest even, as bf16(float); a NaN stays one.
[[gnu::always_inline]] inline HalfVec to_bf16(Vec v) {
  const UintVec u = (UintVec)v;
  const UintVec rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const UintVec quiet = (u >> 16) | 0x40u;
  const UintVec bits = (u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded;
  // The upper halves are zero; __builtin_convertvector takes more instructions to drop them.
#if defined(TRIARCH_ISA_avx512)
  return (HalfVec)_mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)bits);  // the plain form warns in g++ 12
#elif defined(TRIARCH_ISA_avx2)
  return (HalfVec)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)bits), _mm256_extracti128_si256((__m256i)bits, 1));
#else
  return __builtin_convertvector(bits, HalfVec);
#endif
}
[[gnu::always_inline]] inline void store(bf16* p, Vec v) {
  const HalfVec h = to_bf16(v);
  std::memcpy(p, &h, sizeof h);
}
// The first n (0 < n < kWidth) elements; the others read as zero and are not written.
template <class T>
[[gnu::always_inline]] inline Vec load_part(const T* p, int64_t n) {
  T buffer[kWidth] = {};
  std::memcpy(buffer, p, size_t(n) * sizeof(T));
  return load(buffer);
}
template <class T>
[[gnu::always_inline]] inline void store_part(T* p, Vec v, int64_t n) {
  T buffer[kWidth];
  store(buffer, v);
  std::memcpy(p, buffer, size_t(n) * sizeof(T));
}

// Vector ternaries become masked blends, maxps and minps; bitwise selections would not.
[[gnu::always_inline]] inline Vec select(IntVec condition, Vec yes, Vec no) { return condition ? yes : no; }
// If one is NaN, the result is b.
[[gnu::always_inline]] inline Vec max(Vec a, Vec b) { return a > b ? a : b; }
[[gnu::always_inline]] inline Vec min(Vec a, Vec b) { return a < b ? a : b; }

[[gnu::always_inline]] inline Vec sqrt(Vec v) {
#if defined(TRIARCH_ISA_avx512)
  return (Vec)_mm512_maskz_sqrt_ps(0xffff, (__m512)v);
#elif defined(TRIARCH_ISA_avx2)
  return (Vec)_mm256_sqrt_ps((__m256)v);
#else
  return (Vec)_mm_sqrt_ps((__m128)v);
#endif
}

// The numbers of lanes, as a pack of the functions that take one.
using AllLanes = std::make_integer_sequence<int, kWidth>;

// One step of sums_of: lanes at distance D are added, pairs of vectors becoming one.
template <int D, int... L>
[[gnu::always_inline]] inline void add_pairs(Vec* v, std::integer_sequence<int, L...>) {
#pragma GCC unroll 16
  for (int i = 0; i < D; ++i) {
    const Vec a = v[i], b = v[i + D];
    v[i] = __builtin_shufflevector(a, b, ((L & D) ? kWidth + L : L)...) +
           __builtin_shufflevector(a, b, ((L & D) ? kWidth + L - D : L + D)...);
  }
  if constexpr (D > 1) add_pairs<D / 2>(v, std::integer_sequence<int, L...>{});
}

// Element i is the sum of v[i]'s elements.
[[gnu::always_inline]] inline Vec sums_of(Vec* v) {
  add_pairs<kWidth / 2>(v, AllLanes{});
  return v[0];
}

// Element i of the result is element (i + distance) mod kWidth of v.
template <int distance, int... i>
[[gnu::always_inline]] inline Vec rotate(Vec v, std::integer_sequence<int, i...>) {
  return __builtin_shufflevector(v, v, ((i + distance) % kWidth)...);
}
// Sums in a fixed order: halves are added until one is left.
template <int half = kWidth / 2>
[[gnu::always_inline]] inline float sum(Vec v) {
  v += rotate<half>(v, AllLanes{});
  if constexpr (half > 1) return sum<half / 2>(v);
  return v[0];
}
template <int half = kWidth / 2>
[[gnu::always_inline]] inline float largest(Vec v) {
  v = max(v, rotate<half>(v, AllLanes{}));
  if constexpr (half > 1) return largest<half / 2>(v);
  return v[0];
}

// 1 / v to about 1 ulp, for normal v and 1 / v.
[[gnu::always_inline]] inline Vec reciprocal(Vec v) {
#if defined(TRIARCH_ISA_avx512)
  // A 512-bit division takes 16 cycles; an estimate of 14 bits and one step of Newton's take 3.
  const Vec estimate = (Vec)_mm512_maskz_rcp14_ps(0xffff, (__m512)v);
  return estimate * (2.0f - v * estimate);
#else
  return 1.0f / v;
#endif
}

// e^x to about 2 ulp (Cephes' polynomial on [-ln2/2, ln2/2]); below -87.3 zero, above 88.3 clamped, NaN stays NaN.
[[gnu::always_inline]] inline Vec exp(Vec x) {
  const Vec magic = splat(12582912.0f);  // 1.5 2^23: adding it rounds to an integer
#if defined(TRIARCH_ISA_avx512)
  const __mmask16 normal = _mm512_cmp_ps_mask((__m512)x, (__m512)splat(-87.3f), _CMP_NLT_UQ);
  x = min(splat(88.3f), x);
#else
  const IntVec tiny = (IntVec)(x < -87.3f);
  x = min(splat(88.3f), max(splat(-87.3f), x));
#endif
  const Vec n = (x * 1.44269504088896341f + magic) - magic;
  const Vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Vec p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
#if defined(TRIARCH_ISA_avx512)
  const Vec y = (p * r + 1.0f) * r + 1.0f;
  return (Vec)_mm512_maskz_scalef_ps(normal, (__m512)y, (__m512)n);
#else
  const Vec y = p * (r * r) + r + 1.0f;
  const IntVec e = (__builtin_convertvector(n, IntVec) + 127) << 23;
  return select(tiny, splat(0), y * (Vec)e);
#endif
}

}  // namespace
}  // namespace triarch::kernels::TRIARCH_ISA
