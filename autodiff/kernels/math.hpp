#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

// Scalar functions for the elementwise kernels. For float they are free of branches and calls, so
// that the compiler turns the loop around them into SIMD code for whichever instruction set the
// loop is compiled; for double they are the C library's.
namespace xtape::math {

// Cephes' expf: x = n ln 2 + r, |r| <= ln 2 / 2, a polynomial in r, scaled by 2^n in two steps so
// that results near both ends of the range, subnormals included, come out right.
inline float exp(float x) {
  constexpr float kMagic = 12582912.0F;  // 1.5·2^23: adding it rounds to an integer
  const float c = x < -105.0F ? -105.0F : x > 89.0F ? 89.0F : x;  // NaN stays NaN
  const float t = c * 1.44269504088896341F + kMagic;
  const float n = t - kMagic;
  const float r = (c - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1.0F;
  const auto k = std::bit_cast<std::int32_t>(t) - std::bit_cast<std::int32_t>(kMagic);
  const std::int32_t half = k >> 1;
  const auto scale = [](std::int32_t e) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(e + 127) << 23);
  };
  return p * scale(half) * scale(k - half);
}
inline double exp(double x) { return std::exp(x); }

// 1/(1+e⁻ˣ) from e^-|x|, which never overflows; precise for large negative x, too.
template <class T>
inline T sigmoid(T x) {
  const T e = exp(x < 0 ? x : -x);
  const T s = 1 / (1 + e);
  return x < 0 ? e * s : s;
}

// Cephes' tanhf: an odd polynomial near 0, 1 − 2/(e^2|x| + 1) beyond.
inline float tanh(float x) {
  const float a = x < 0 ? -x : x;
  const float z = x * x;
  float p = -5.70498872745e-3F;
  p = p * z + 2.06390887954e-2F;
  p = p * z - 5.37397155531e-2F;
  p = p * z + 1.33314422036e-1F;
  p = p * z - 3.33332819422e-1F;
  const float near = p * z * x + x;
  const float far = 1.0F - 2.0F / (exp(a + a) + 1.0F);
  return a < 0.625F ? near : x < 0 ? -far : far;
}
inline double tanh(double x) { return std::tanh(x); }

template <class T>
inline T softplus(T x) {
  return (x > 0 ? x : 0) + std::log1p(exp(x < 0 ? x : -x));
}

}  // namespace xtape::math
