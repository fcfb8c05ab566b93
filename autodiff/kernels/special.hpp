#pragma once

#include <cmath>
#include <limits>
#include <numbers>

// Special functions of one number, in double.
namespace xtape::math {

/// e^x² erfc x. Up to 12 as it stands, with the rounding of x² made good; beyond by its asymptotic
/// series (Abramowitz and Stegun, 7.1.23).
inline double erfcx(double x) {
  if (x < -27) return std::numeric_limits<double>::infinity();
  if (x < 12) {
    const double high = x * x, low = std::fma(x, x, -high);
    return std::exp(high) * (1 + low) * std::erfc(x);
  }
  const double q = 1 / (2 * x * x);
  double sum = 1, term = 1;
  for (int n = 1; n < 12; ++n) sum += term *= -(2 * n - 1) * q;
  return sum / (x * std::sqrt(std::numbers::pi));
}

/// The inverse of erf: Giles, "Approximating the erfinv function" (2010), to four digits, then two
/// steps of Halley's method on erf, or on erfc near ±1.
inline double erfinv(double x) {
  if (!(std::abs(x) < 1)) {
    return std::abs(x) == 1 ? std::copysign(std::numeric_limits<double>::infinity(), x)
                            : std::numeric_limits<double>::quiet_NaN();
  }
  const double w = -std::log((1 - x) * (1 + x));
  double y =
      w < 5 ? 1.50140941 + (w - 2.5) * (0.246640727 + (w - 2.5) * (-0.00417768164))
            : 2.83297682 + (std::sqrt(w) - 3) * (1.00167406 + (std::sqrt(w) - 3) * 0.00943887047);
  y *= x;
  for (int i = 0; i < 3; ++i) {
    const double error = std::abs(x) < 0.5 ? std::erf(y) - x
                                           : std::copysign(1 - std::abs(x), x) -
                                                 std::copysign(std::erfc(std::abs(y)), x);
    const double step = error * std::sqrt(std::numbers::pi) / 2 * std::exp(y * y);
    y -= step / (1 + y * step);
  }
  return y;
}

/// ln Φ(x).
inline double log_ndtr(double x) {
  const double t = x / std::numbers::sqrt2;
  return x < -1 ? std::log(erfcx(-t) / 2) - t * t : std::log1p(-std::erfc(t) / 2);
}

/// ψ(x): reflected to the right half, moved beyond 10 by ψ(x) = ψ(x + 1) − 1/x, then the asymptotic
/// series (Abramowitz and Stegun, 6.3.18).
inline double digamma(double x) {
  if (x == 0) return std::copysign(std::numeric_limits<double>::infinity(), -x);
  if (x < 0) {
    if (x == std::floor(x)) return std::numeric_limits<double>::quiet_NaN();
    // tan of the fraction alone: π x has no digits left for large x
    return digamma(1 - x) - std::numbers::pi / std::tan(std::numbers::pi * (x - std::floor(x)));
  }
  double y = 0;
  for (; x < 10; ++x) y -= 1 / x;
  const double q = 1 / (x * x);
  constexpr double c[] = {1. / 12,  -1. / 120,     1. / 252, -1. / 240,
                          1. / 132, -691. / 32760, 1. / 12};
  double series = 0, power = q;
  for (const double k : c) {
    series += k * power;
    power *= q;
  }
  return y + std::log(x) - 0.5 / x - series;
}

/// ψ⁽ⁿ⁾(x), n ≥ 1, is (−1)ⁿ⁺¹ n! Σ 1/(x + k)ⁿ⁺¹: the first terms as they are, the rest by Euler and
/// Maclaurin (Abramowitz and Stegun, 6.4.10, 23.1.30).
inline double polygamma(int n, double x) {
  if (n == 0) return digamma(x);
  if (x <= 0 && x == std::floor(x)) return std::numeric_limits<double>::infinity();
  const double s = n + 1;
  double sum = 0;
  const double far = 12.0 + n;
  if (x < -1e6) return std::numeric_limits<double>::quiet_NaN();  // too many terms to take
  for (; x < far; ++x) sum += std::pow(x, -s);
  // Σ_{k≥0} (x + k)^−s = x^(1−s)/(s−1) + x^−s/2 + Σ B₂ⱼ/(2j)! s(s+1)…(s+2j−2) x^(1−s−2j)
  sum += std::pow(x, 1 - s) / (s - 1) + std::pow(x, -s) / 2;
  constexpr double bernoulli[] = {1. / 6,       -1. / 30,      1. / 42, -1. / 30,
                                  5. / 66,      -691. / 2730,  7. / 6,  -3617. / 510,
                                  43867. / 798, -174611. / 330};
  double factor = s / 2 * std::pow(x, -s - 1);  // s / 2! x^(−1−s)
  for (int j = 1; j <= 10; ++j) {
    sum += bernoulli[j - 1] * factor;
    factor *= (s + 2 * j - 1) * (s + 2 * j) / ((2. * j + 1) * (2. * j + 2)) / (x * x);
  }
  return (n % 2 ? 1 : -1) * std::tgamma(n + 1.0) * sum;
}

}  // namespace xtape::math
