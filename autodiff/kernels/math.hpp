#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <xtape/autodiff/kernels/simd.hpp>

// Scalar functions for the elementwise kernels, for float and double. They are free of branches and
// calls, and use no instruction that SSE2 lacks in its vector form (as shifts of signed 64-bit
// integers), so that the compiler turns the loop around them into SIMD code at every level. They
// are right with multiply-add contraction and without. tests/test_math.cpp measures their errors.
//
// Polynomials without a source named are minimax fits made for this file by Remez' algorithm.
namespace xtape::math {

template <class T>
struct Format;
template <>
struct Format<float> {
  using Bits = std::uint32_t;
  static constexpr int kMantissa = 23, kBias = 127;
  static constexpr float kRound = 12582912.0F;  // 1.5·2^23: adding it rounds to an integer
  // ln 2 in two parts; the first has few enough bits that its product with an exponent is exact.
  static constexpr float kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  static constexpr float kExpMin = -104, kExpMax = 89;  // beyond them eˣ is 0 and ∞
  static constexpr float kExpm1Min = -20;               // below it eˣ − 1 is −1
  static constexpr float kErfMax = 4;                   // beyond it erf is 1
};
template <>
struct Format<double> {
  using Bits = std::uint64_t;
  static constexpr int kMantissa = 52, kBias = 1023;
  static constexpr double kRound = 6755399441055744.0;
  static constexpr double kLn2High = 6.93147180369123816490e-01,
                          kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kExpMin = -746, kExpMax = 710;
  static constexpr double kExpm1Min = -40;
  static constexpr double kErfMax = 6;
};

/// c[0] + c[1] x + c[2] x² + …
template <class T, std::size_t N>
XTAPE_INLINE T polynomial(T x, const T (&c)[N]) {
  T y = c[N - 1];
  for (std::size_t i = N - 1; i-- > 0;) y = y * x + c[i];
  return y;
}

/// Rounds to the nearest integer n, |n| < 2^22. The low bits of `t` are those of n.
template <class T>
struct Rounded {
  T t, n;
  XTAPE_INLINE explicit Rounded(T x) : t(x + Format<T>::kRound), n(t - Format<T>::kRound) {}
  /// 2ⁿ, n an exponent of normal numbers.
  XTAPE_INLINE T power_of_2() const {
    using Bits = typename Format<T>::Bits;
    return std::bit_cast<T>((std::bit_cast<Bits>(t) << Format<T>::kMantissa) +
                            std::bit_cast<Bits>(T{1}));
  }
};

/// |x| by its sign bit, and x with the sign of `from`.
template <class T>
XTAPE_INLINE T absolute(T x) {
  return std::bit_cast<T>(std::bit_cast<typename Format<T>::Bits>(x) &
                          ~std::bit_cast<typename Format<T>::Bits>(T{-0.0}));
}
template <class T>
XTAPE_INLINE T with_sign(T x, T from) {
  using Bits = typename Format<T>::Bits;
  return std::bit_cast<T>(std::bit_cast<Bits>(x) |
                          (std::bit_cast<Bits>(from) & std::bit_cast<Bits>(T{-0.0})));
}

/// x = n ln 2 + r, |r| <= ln 2 / 2, and eʳ − 1.
template <class T>
struct ExpParts {
  Rounded<T> n;
  T r, em1;
  XTAPE_INLINE explicit ExpParts(T x) : n(x * T(1.44269504088896340736)) {
    using F = Format<T>;
    r = (x - n.n * F::kLn2High) - n.n * F::kLn2Low;
    em1 = r + (r * r) * tail(r);
  }
  // (eʳ − 1 − r) / r²
  XTAPE_INLINE static float tail(float x) {
    constexpr float c[] = {0.49999994F, 0.166665196F, 0.0416684002F, 0.00836885162F,
                           0.00138143252F};
    return polynomial(x, c);
  }
  XTAPE_INLINE static double tail(double x) {
    constexpr double c[] = {0.50000000000000111,    0.16666666666666408,    0.041666666666528109,
                            0.0083333333334969263,  0.0013888888944247981,  0.00019841269502726355,
                            2.4801492389487458e-05, 2.7557588437438057e-06, 2.7630523070764084e-07,
                            2.4999852868185495e-08};
    return polynomial(x, c);
  }
};

/// x limited to [low, high]; NaN stays NaN.
template <class T>
XTAPE_INLINE T limited(T x, T low, T high) {
  const T y = x < low ? low : x;
  return y > high ? high : y;
}

// 2ⁿ eʳ, scaled in two steps so that results near both ends of the range, subnormals included,
// come out right.
template <class T>
XTAPE_INLINE T exp(T x) {
  const ExpParts<T> e(limited(x, Format<T>::kExpMin, Format<T>::kExpMax));
  const Rounded<T> half(e.n.n * T(0.5));
  const Rounded<T> rest(e.n.n - half.n);
  return ((e.em1 + 1) * half.power_of_2()) * rest.power_of_2();
}

// For x where neither eˣ nor its reciprocal leaves the normal range.
template <class T>
XTAPE_INLINE T moderate_exp(T x) {
  const ExpParts<T> e(x);
  return (e.em1 + 1) * e.n.power_of_2();
}

// 2ⁿ (eʳ − 1) + (2ⁿ − 1), doubled last so that 2ⁿ does not overflow before the result does.
template <class T>
XTAPE_INLINE T expm1(T x) {
  const ExpParts<T> e(limited(x, Format<T>::kExpm1Min, Format<T>::kExpMax));
  const T scale = Rounded<T>(e.n.n - 1).power_of_2();
  const T far = T(2) * (scale * e.em1 + (scale - T(0.5)));
  const T y = e.n.n == 0 ? e.em1 : far;
  return x == 0 ? x : y;
}

/// ln(1 + f) + e ln 2 + c, for √½ <= 1 + f < √2 and a small correction c.
// Cephes' logf: an alternating polynomial in f.
XTAPE_INLINE float log_parts(float f, float e, float c) {
  constexpr float k[] = {3.3333331174e-1F,  -2.4999993993e-1F, 2.0000714765e-1F,
                         -1.6668057665e-1F, 1.4249322787e-1F,  -1.2420140846e-1F,
                         1.1676998740e-1F,  -1.1514610310e-1F, 7.0376836292e-2F};
  const float z = f * f;
  const float tail = (f * z) * polynomial(f, k) + (e * Format<float>::kLn2Low + c);
  return e * Format<float>::kLn2High + (f + (tail - 0.5F * z));
}
// fdlibm's e_log.c: ln(1 + f) = f − f²/2 + s (f²/2 + R(s²)), s = f / (2 + f).
XTAPE_INLINE double log_parts(double f, double e, double c) {
  constexpr double k[] = {6.666666666666735130e-01, 3.999999999940941908e-01,
                          2.857142874366239149e-01, 2.222219843214978396e-01,
                          1.818357216161805012e-01, 1.531383769920937332e-01,
                          1.479819860511658591e-01};
  const double s = f / (2 + f);
  const double z = s * s, half = 0.5 * f * f;
  const double tail = s * (half + z * polynomial(z, k)) + (e * Format<double>::kLn2Low + c);
  return e * Format<double>::kLn2High - ((half - tail) - f);
}

/// A positive normal x as 2^e m, √½ <= m < √2.
template <class T>
struct Exponent {
  T e, m;
  XTAPE_INLINE explicit Exponent(T x) {
    using Bits = typename Format<T>::Bits;
    constexpr int kM = Format<T>::kMantissa;
    constexpr Bits kRootHalf = std::bit_cast<Bits>(T(0.707106781186547524));
    // The biased exponent becomes a number as the low bits of 2^kM; conversions from 64-bit
    // integers have no vector form before AVX-512.
    constexpr T kPower = static_cast<T>(Bits{1} << kM);
    const Bits bits = std::bit_cast<Bits>(x) + (std::bit_cast<Bits>(T{1}) - kRootHalf);
    e = std::bit_cast<T>((bits >> kM) | std::bit_cast<Bits>(kPower)) -
        (kPower + static_cast<T>(Format<T>::kBias));
    m = std::bit_cast<T>((bits & ((Bits{1} << kM) - 1)) + kRootHalf);
  }
};

/// y = ln x for x > 0, what belongs there at zeros, negative numbers, ∞ and NaN.
template <class T>
XTAPE_INLINE T log_special(T x, T y) {
  using Limits = std::numeric_limits<T>;
  const T finite = x < Limits::infinity() ? y : x;
  const T outside = x == 0 ? -Limits::infinity() : Limits::quiet_NaN();
  return x > 0 ? finite : outside;
}

template <class T>
XTAPE_INLINE T log(T x) {
  constexpr T kScale = static_cast<T>(typename Format<T>::Bits{1} << Format<T>::kMantissa);
  const bool subnormal = x < std::numeric_limits<T>::min();
  const Exponent<T> p(x * (subnormal ? kScale : T{1}));
  const T e = p.e - (subnormal ? static_cast<T>(Format<T>::kMantissa) : T{0});
  return log_special(x, log_parts(p.m - 1, e, T{0}));
}

// fdlibm's s_log1p.c: what 1 + x rounds away comes back as (x − (u − 1)) / u, u = 1 + x; where u is
// near 1, x itself is at hand.
template <class T>
XTAPE_INLINE T log1p(T x) {
  const T u = 1 + x;
  const Exponent<T> p(u);
  const bool near = p.e == 0;
  const T lost = (x - (u - 1)) / u;
  const T y = log_special(u, log_parts(near ? x : p.m - 1, p.e, near ? T{0} : lost));
  return x == 0 ? x : y;  // keeps the sign of 0
}

// With e = e^-|x|, which never overflows, and t = e / (1 + e): 1 − t and, for negative x,
// t = e − e t, whose rounding errors are smaller.
template <class T>
XTAPE_INLINE T sigmoid(T x) {
  const T e = exp(-absolute(x));
  const T t = e / (1 + e);
  const T base = x < 0 ? e : T{1};
  return base - base * t;
}

// (e^2x − 1) / (e^2x + 1), right near 0, too.
XTAPE_INLINE double tanh(double x) {
  const double a = absolute(x);
  const double e = expm1(2 * (a > 20 ? 20 : a));
  return with_sign(e / (e + 2), x);
}
// Cephes' tanhf: an odd polynomial near 0, 1 − 2 / (e^2|x| + 1) beyond.
XTAPE_INLINE float tanh(float x) {
  constexpr float c[] = {-3.33332819422e-1F, 1.33314422036e-1F, -5.37397155531e-2F,
                         2.06390887954e-2F, -5.70498872745e-3F};
  const float a = absolute(x), z = x * x;
  const float near = a + (a * z) * polynomial(z, c);
  const float far = 1 - 2 / (moderate_exp(2 * (a > 10 ? 10 : a)) + 1);
  return with_sign(a < 0.625F ? near : far, x);
}

// max(x, 0) + ln(1 + e), e = e^-|x| <= 1: as log1p, but e needs neither its corrections nor special
// cases. Where 1 + e >= √2, 1 + e = 2 (1 + (e − 1) / 2).
template <class T>
XTAPE_INLINE T softplus(T x) {
  const T e = exp(-absolute(x));
  const bool large = e > T(0.414213562373095049);
  return (x > 0 ? x : T{0}) + log_parts(large ? (e - 1) / 2 : e, large ? T{1} : T{0}, T{0});
}

// erf x / x − 1 as a polynomial in x², for |x| < 1; and ln(1 − erf x) for 1 <= x <= kErfMax, fitted
// for the error that it makes in erf x.
XTAPE_INLINE float erf_near(float z) {
  constexpr float c[] = {0.128379166F,   -0.37612626F,     0.112835854F,   -0.0268538129F,
                         0.00518832775F, -0.000801019371F, 7.85386073e-05F};
  return polynomial(z, c);
}
XTAPE_INLINE float log_erfc(float x) {
  constexpr float c[] = {0.000188468097F, -1.12958026F,    -0.633216381F,   -0.108422101F,
                         0.0252103396F,   -0.00420528464F, 0.000441472628F, -2.16976114e-05F};
  return polynomial(x, c);
}
XTAPE_INLINE double erf_near(double z) {
  constexpr double c[] = {
      0.12837916709551256,     -0.37612638903183521,    0.11283791670944185,
      -0.026866170643111441,   0.0052239776061182956,   -0.00085483259293068288,
      0.00012055293576686918,  -1.4924712298094114e-05, 1.6447131524503547e-06,
      -1.6206313408057644e-07, 1.37109789045861e-08,    -7.7794657295499956e-10};
  return polynomial(z, c);
}
XTAPE_INLINE double log_erfc(double x) {
  constexpr double c[] = {-1.8496055099332485,     -2.6389675142347322,     -0.84310725636185302,
                          -0.041561097972687241,   0.010033824605621102,    -0.0019778975192428407,
                          0.00023730116064579778,  2.6339040070426486e-05,  -2.7282747500313492e-05,
                          9.7893084363225816e-06,  -2.2527000875653293e-06, 2.9520431706453929e-07,
                          8.7349716822550992e-09,  -1.4101291704645455e-08, 3.250811548805985e-09,
                          -3.6856820350160504e-10, 1.770538239007189e-11};
  return polynomial(x - 1, c);
}

template <class T>
XTAPE_INLINE T erf(T x) {
  const T a = absolute(x);
  const T far = 1 - moderate_exp(log_erfc(limited(a, T{1}, Format<T>::kErfMax)));
  return a < 1 ? x + x * erf_near(x * x) : with_sign(far, x);
}

/// Beyond it sin and cos here lose their digits: use the C library's.
inline constexpr double kTrigonometricMax = 1e6;

/// x − n π/2 with |.| <= π/4, as a number and the quadrant n mod 4 in the lowest bits.
// π/2 in three parts of 33, 33 and 53 bits (fdlibm's e_rem_pio2.c): n times the first two is exact.
// For float two parts do; in double, since x − n π/2 in float would need a part per 8 bits.
template <class T>
struct Quadrant {
  typename Format<T>::Bits n;
  T r;
  XTAPE_INLINE explicit Quadrant(T x) {
    constexpr double kPart1 = 1.57079632673412561417e+00, kPart2 = 6.07710050630396597660e-11,
                     kPart3 = 2.02226624879595063154e-21;
    const double v = static_cast<double>(x);
    const Rounded<double> q(v * 6.36619772367581382433e-01);
    const double near = (v - q.n * kPart1) - q.n * kPart2;
    if constexpr (std::is_same_v<T, float>) {
      n = static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(q.t));
      r = static_cast<float>(near);
    } else {
      n = std::bit_cast<std::uint64_t>(q.t);
      r = near - q.n * kPart3;
    }
  }
};

// Cephes' sinf and cosf, fdlibm's k_sin.c and k_cos.c, on |r| <= π/4.
XTAPE_INLINE float sin_near(float r) {
  constexpr float c[] = {-1.6666654611e-1F, 8.3321608736e-3F, -1.9515295891e-4F};
  const float z = r * r;
  return r + (r * z) * polynomial(z, c);
}
XTAPE_INLINE float cos_near(float r) {
  constexpr float c[] = {4.166664568298827e-2F, -1.388731625493765e-3F, 2.443315711809948e-5F};
  const float z = r * r;
  return (1 - 0.5F * z) + (z * z) * polynomial(z, c);
}
XTAPE_INLINE double sin_near(double r) {
  constexpr double c[] = {-1.66666666666666324348e-01, 8.33333333332248946124e-03,
                          -1.98412698298579493134e-04, 2.75573137070700676789e-06,
                          -2.50507602534068634195e-08, 1.58969099521155010221e-10};
  const double z = r * r;
  return r + (r * z) * polynomial(z, c);
}
XTAPE_INLINE double cos_near(double r) {
  constexpr double c[] = {4.16666666666666019037e-02, -1.38888888888741095749e-03,
                          2.48015872894767294178e-05, -2.75573143513906633035e-07,
                          2.08757232129817482790e-09, -1.13596475577881948265e-11};
  const double z = r * r;
  return (1 - 0.5 * z) + (z * z) * polynomial(z, c);
}

/// sin(x + shift π/2) for |x| <= kTrigonometricMax.
template <class T>
XTAPE_INLINE T sin_shifted(T x, typename Format<T>::Bits shift) {
  using Bits = typename Format<T>::Bits;
  const Quadrant<T> q(x);
  const Bits n = q.n + shift;
  const Bits odd = Bits{0} - (n & 1);  // all ones where the cosine is wanted
  const Bits sign = (n & 2) << (sizeof(T) * 8 - 2);
  const Bits sine = std::bit_cast<Bits>(sin_near(q.r)), cosine = std::bit_cast<Bits>(cos_near(q.r));
  return std::bit_cast<T>(((sine & ~odd) | (cosine & odd)) ^ sign);
}
/// For |x| <= kTrigonometricMax.
template <class T>
XTAPE_INLINE T sin(T x) {
  return x == 0 ? x : sin_shifted(x, 0);  // keeps the sign of 0
}
/// For |x| <= kTrigonometricMax.
template <class T>
XTAPE_INLINE T cos(T x) {
  return sin_shifted(x, 1);
}

}  // namespace xtape::math
