#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

// In a namespace of their own, where argument-dependent lookup finds these functions without adding
// overloads to xtape::exp and its kin.
namespace xtape::jets {

/// A truncated Taylor series f(x + t) = Σ cₖ tᵏ, k = 0…N: a scalar that knows its first N
/// derivatives, f⁽ᵏ⁾ = k!·cₖ. What Elementwise evaluates a user's function on. Comparisons look at
/// the value only, so functions may branch.
/// Recurrences: Griewank and Walther, "Evaluating Derivatives" (2008), ch. 13.
template <class T, int N>
class Jet {
 public:
  constexpr Jet() = default;
  /// The series of a constant.
  constexpr Jet(T value) { c[0] = value; }  // NOLINT: a constant is a series, too
  /// The series of the variable itself: x + t.
  static constexpr Jet variable(T x) {
    Jet j(x);
    if constexpr (N > 0) j.c[1] = 1;
    return j;
  }
  /// f(x).
  T value() const { return c[0]; }
  /// The n-th derivative, n ≤ N.
  T derivative(int n) const {
    T d = c[static_cast<std::size_t>(n)];
    for (int k = 2; k <= n; ++k) d *= static_cast<T>(k);
    return d;
  }

  /// The coefficients: c[k] = f⁽ᵏ⁾(x)/k!.
  std::array<T, N + 1> c{};
};

namespace detail {

template <class T, int N, class F>
Jet<T, N> map(F&& f) {
  Jet<T, N> y;
  for (std::size_t k = 0; k <= N; ++k) y.c[k] = f(k);
  return y;
}

/// The series of f(x) from its value f₀ and the series of f'(x): y' = f'(x)·x'.
template <class T, int N>
Jet<T, N> integrate(T f0, const Jet<T, N>& slope, const Jet<T, N>& x) {
  Jet<T, N> y(f0);
  for (std::size_t k = 1; k <= N; ++k) {
    T s = 0;
    for (std::size_t j = 1; j <= k; ++j) s += static_cast<T>(j) * x.c[j] * slope.c[k - j];
    y.c[k] = s / static_cast<T>(k);
  }
  return y;
}

/// y with y' = g(y)·x', where g is known coefficient by coefficient as y grows.
template <class T, int N, class G>
Jet<T, N> solve(T y0, const Jet<T, N>& x, G&& g) {
  Jet<T, N> y(y0), slope;
  slope.c[0] = g(y, 0);
  for (std::size_t k = 1; k <= N; ++k) {
    T s = 0;
    for (std::size_t j = 1; j <= k; ++j) s += static_cast<T>(j) * x.c[j] * slope.c[k - j];
    y.c[k] = s / static_cast<T>(k);
    slope.c[k] = g(y, k);
  }
  return y;
}

/// Coefficient k of a·b.
template <class T, int N>
T product(const Jet<T, N>& a, const Jet<T, N>& b, std::size_t k) {
  T s = 0;
  for (std::size_t j = 0; j <= k; ++j) s += a.c[j] * b.c[k - j];
  return s;
}

}  // namespace detail

template <class T, int N>
Jet<T, N> operator+(const Jet<T, N>& a, const Jet<T, N>& b) {
  return detail::map<T, N>([&](std::size_t k) { return a.c[k] + b.c[k]; });
}
template <class T, int N>
Jet<T, N> operator-(const Jet<T, N>& a, const Jet<T, N>& b) {
  return detail::map<T, N>([&](std::size_t k) { return a.c[k] - b.c[k]; });
}
template <class T, int N>
Jet<T, N> operator-(const Jet<T, N>& a) {
  return detail::map<T, N>([&](std::size_t k) { return -a.c[k]; });
}
template <class T, int N>
Jet<T, N> operator*(const Jet<T, N>& a, const Jet<T, N>& b) {
  return detail::map<T, N>([&](std::size_t k) { return detail::product(a, b, k); });
}
template <class T, int N>
Jet<T, N> operator/(const Jet<T, N>& a, const Jet<T, N>& b) {
  Jet<T, N> y;
  for (std::size_t k = 0; k <= N; ++k) {
    T s = a.c[k];
    for (std::size_t j = 0; j < k; ++j) s -= y.c[j] * b.c[k - j];
    y.c[k] = s / b.c[0];
  }
  return y;
}

// Plain numbers of any arithmetic type on either side. They act on single coefficients: as series
// they would multiply infinite ones by 0.
template <class S>
concept JetNumber = std::is_arithmetic_v<S>;

template <class T, int N, JetNumber S>
Jet<T, N> operator+(Jet<T, N> a, S b) {
  a.c[0] += static_cast<T>(b);
  return a;
}
template <class T, int N, JetNumber S>
Jet<T, N> operator+(S a, const Jet<T, N>& b) {
  return b + a;
}
template <class T, int N, JetNumber S>
Jet<T, N> operator-(Jet<T, N> a, S b) {
  a.c[0] -= static_cast<T>(b);
  return a;
}
template <class T, int N, JetNumber S>
Jet<T, N> operator-(S a, const Jet<T, N>& b) {
  return -b + a;
}
template <class T, int N, JetNumber S>
Jet<T, N> operator*(const Jet<T, N>& a, S b) {
  return detail::map<T, N>([&](std::size_t k) { return a.c[k] * static_cast<T>(b); });
}
template <class T, int N, JetNumber S>
Jet<T, N> operator*(S a, const Jet<T, N>& b) {
  return b * a;
}
template <class T, int N, JetNumber S>
Jet<T, N> operator/(const Jet<T, N>& a, S b) {
  return detail::map<T, N>([&](std::size_t k) { return a.c[k] / static_cast<T>(b); });
}
template <class T, int N, JetNumber S>
Jet<T, N> operator/(S a, const Jet<T, N>& b) {
  return Jet<T, N>(static_cast<T>(a)) / b;
}

#define XTAPE_JET_COMPARE(op)                                \
  template <class T, int N>                                  \
  bool operator op(const Jet<T, N>& a, const Jet<T, N>& b) { \
    return a.c[0] op b.c[0];                                 \
  }                                                          \
  template <class T, int N, JetNumber S>                     \
  bool operator op(const Jet<T, N>& a, S b) {                \
    return a.c[0] op static_cast<T>(b);                      \
  }                                                          \
  template <class T, int N, JetNumber S>                     \
  bool operator op(S a, const Jet<T, N>& b) {                \
    return static_cast<T>(a) op b.c[0];                      \
  }
XTAPE_JET_COMPARE(<)
XTAPE_JET_COMPARE(<=)
XTAPE_JET_COMPARE(>)
XTAPE_JET_COMPARE(>=)
XTAPE_JET_COMPARE(==)
XTAPE_JET_COMPARE(!=)
#undef XTAPE_JET_COMPARE
template <class T, int N, class S>
Jet<T, N>& operator+=(Jet<T, N>& a, const S& b) {
  return a = a + b;
}
template <class T, int N, class S>
Jet<T, N>& operator-=(Jet<T, N>& a, const S& b) {
  return a = a - b;
}
template <class T, int N, class S>
Jet<T, N>& operator*=(Jet<T, N>& a, const S& b) {
  return a = a * b;
}
template <class T, int N, class S>
Jet<T, N>& operator/=(Jet<T, N>& a, const S& b) {
  return a = a / b;
}

template <class T, int N>
Jet<T, N> exp(const Jet<T, N>& x) {
  return detail::solve(std::exp(x.c[0]), x, [](const auto& y, std::size_t k) { return y.c[k]; });
}
template <class T, int N>
Jet<T, N> expm1(const Jet<T, N>& x) {
  return detail::integrate(std::expm1(x.c[0]), exp(x), x);
}
template <class T, int N>
Jet<T, N> log(const Jet<T, N>& x) {
  return detail::integrate(std::log(x.c[0]), T{1} / x, x);
}
template <class T, int N>
Jet<T, N> log1p(const Jet<T, N>& x) {
  return detail::integrate(std::log1p(x.c[0]), T{1} / (x + T{1}), x);
}
template <class T, int N>
Jet<T, N> tanh(const Jet<T, N>& x) {
  return detail::solve(std::tanh(x.c[0]), x, [](const auto& y, std::size_t k) {
    return (k == 0 ? T{1} : T{0}) - detail::product(y, y, k);
  });
}
template <class T, int N>
Jet<T, N> sin(const Jet<T, N>& x);
template <class T, int N>
Jet<T, N> cos(const Jet<T, N>& x);
namespace detail {
template <class T, int N>
void sin_cos(const Jet<T, N>& x, Jet<T, N>& s, Jet<T, N>& c) {
  s.c[0] = std::sin(x.c[0]);
  c.c[0] = std::cos(x.c[0]);
  for (std::size_t k = 1; k <= N; ++k) {
    T a = 0, b = 0;
    for (std::size_t j = 1; j <= k; ++j) {
      a += static_cast<T>(j) * x.c[j] * c.c[k - j];
      b -= static_cast<T>(j) * x.c[j] * s.c[k - j];
    }
    s.c[k] = a / static_cast<T>(k);
    c.c[k] = b / static_cast<T>(k);
  }
}
}  // namespace detail
template <class T, int N>
Jet<T, N> sin(const Jet<T, N>& x) {
  Jet<T, N> s, c;
  detail::sin_cos(x, s, c);
  return s;
}
template <class T, int N>
Jet<T, N> cos(const Jet<T, N>& x) {
  Jet<T, N> s, c;
  detail::sin_cos(x, s, c);
  return c;
}
template <class T, int N>
Jet<T, N> sqrt(const Jet<T, N>& x) {
  Jet<T, N> y(std::sqrt(x.c[0]));
  for (std::size_t k = 1; k <= N; ++k) {
    T s = x.c[k];
    for (std::size_t j = 1; j < k; ++j) s -= y.c[j] * y.c[k - j];
    y.c[k] = s / (2 * y.c[0]);
  }
  return y;
}
template <class T, int N>
Jet<T, N> atan(const Jet<T, N>& x) {
  return detail::integrate(std::atan(x.c[0]), T{1} / (x * x + T{1}), x);
}
template <class T, int N>
Jet<T, N> erf(const Jet<T, N>& x) {
  constexpr T kTwoOverSqrtPi = static_cast<T>(1.1283791670955126);
  return detail::integrate(std::erf(x.c[0]), exp(-(x * x)) * kTwoOverSqrtPi, x);
}
template <class T, int N>
Jet<T, N> sigmoid(const Jet<T, N>& x) {
  const T e = std::exp(x.c[0] < 0 ? x.c[0] : -x.c[0]);
  return detail::solve(x.c[0] < 0 ? e / (1 + e) : 1 / (1 + e), x, [](const auto& y, std::size_t k) {
    return y.c[k] - detail::product(y, y, k);
  });
}
/// ln(1 + eˣ), without overflow.
template <class T, int N>
Jet<T, N> softplus(const Jet<T, N>& x) {
  const T tail = std::log1p(std::exp(x.c[0] < 0 ? x.c[0] : -x.c[0]));
  return detail::integrate((x.c[0] > 0 ? x.c[0] : 0) + tail, sigmoid(x), x);
}
/// With derivative 0 at 0; NaN stays NaN.
template <class T, int N>
Jet<T, N> abs(const Jet<T, N>& x) {
  return x.c[0] < 0 ? -x : x.c[0] == 0 ? Jet<T, N>(T{0}) : x;
}

namespace detail {
/// xᵠ at x ≠ 0, from x·y' = q·y·x', coefficient by coefficient.
template <class T, int N>
Jet<T, N> power(const Jet<T, N>& x, T q) {
  Jet<T, N> y(std::pow(x.c[0], q));
  for (std::size_t k = 1; k <= N; ++k) {
    T s = 0;
    for (std::size_t j = 1; j <= k; ++j) {
      s += (q * static_cast<T>(j) - static_cast<T>(k - j)) * x.c[j] * y.c[k - j];
    }
    y.c[k] = s / (static_cast<T>(k) * x.c[0]);
  }
  return y;
}

/// (x₁t + x₂t² + …)^q for q > 0 and no integer: the powers of t below vanish, those above are
/// infinite, or NaN where the series does not say.
template <class T, int N>
Jet<T, N> power_of_zero(const Jet<T, N>& x, T q) {
  std::size_t order = 1;
  while (order <= N && x.c[order] == 0) ++order;
  T sign = 1;  // of q (q − 1) … (q − k + 1)
  return map<T, N>([&](std::size_t k) {
    if (k > 0 && q < static_cast<T>(k - 1)) sign = -sign;
    if (static_cast<T>(k) < q * static_cast<T>(order)) return T{0};
    return order == 1 ? sign * std::numeric_limits<T>::infinity()
                      : std::numeric_limits<T>::quiet_NaN();
  });
}
}  // namespace detail

/// xᵖ for a constant exponent.
template <class T, int N, JetNumber S>
Jet<T, N> pow(const Jet<T, N>& x, S p) {
  const auto q = static_cast<T>(p);
  if (!(x.c[0] == 0)) return detail::power(x, q);
  if (q < 0) return T{1} / pow(x, -q);
  if (std::trunc(q) != q) return detail::power_of_zero(x, q);
  // A series without constant term vanishes in N + 1 factors.
  Jet<T, N> y(T{1});
  const int factors = q > static_cast<T>(N) ? N + 1 : static_cast<int>(q);
  for (int n = 0; n < factors; ++n) y = y * x;
  return y;
}
/// The larger value; at a tie the mean of both, so that each gets half of the derivative.
template <class T, int N>
Jet<T, N> max(const Jet<T, N>& a, const Jet<T, N>& b) {
  return a.c[0] > b.c[0] ? a : a.c[0] < b.c[0] ? b : (a + b) * T{0.5};
}
template <class T, int N, JetNumber S>
Jet<T, N> max(const Jet<T, N>& a, S b) {
  return max(a, Jet<T, N>(static_cast<T>(b)));
}
template <class T, int N, JetNumber S>
Jet<T, N> max(S a, const Jet<T, N>& b) {
  return max(b, a);
}
/// The smaller value, as max.
template <class T, int N>
Jet<T, N> min(const Jet<T, N>& a, const Jet<T, N>& b) {
  return -max(-a, -b);
}
template <class T, int N, JetNumber S>
Jet<T, N> min(const Jet<T, N>& a, S b) {
  return min(a, Jet<T, N>(static_cast<T>(b)));
}
template <class T, int N, JetNumber S>
Jet<T, N> min(S a, const Jet<T, N>& b) {
  return min(b, a);
}

}  // namespace xtape::jets

namespace xtape {
using jets::Jet;
}  // namespace xtape
