#pragma once

#include <string>

#include <xtape/autodiff/jet.hpp>
#include <xtape/autodiff/var.hpp>

namespace xtape {

/// The highest derivative that a user's elementwise function has.
inline constexpr int kMaxElementwiseOrder = 8;

namespace detail {
/// A user's scalar function with its derivatives: out[i] = f⁽ᵒʳᵈᵉʳ⁾(x[i]).
struct ElementwiseFunction : Counted {
  explicit ElementwiseFunction(std::string n) : name(std::move(n)) {}
  virtual ~ElementwiseFunction() = default;
  virtual void run(int order, const float* x, float* out, std::int64_t n) const = 0;
  virtual void run(int order, const double* x, double* out, std::int64_t n) const = 0;
  const std::string name;
};
inline void destroy(const ElementwiseFunction* f) noexcept { delete f; }
using ElementwiseRef = Ref<const ElementwiseFunction>;

template <class F>
struct ElementwiseOf final : ElementwiseFunction {
  ElementwiseOf(std::string n, F fn) : ElementwiseFunction(std::move(n)), f(std::move(fn)) {}
  void run(int order, const float* x, float* out, std::int64_t n) const override {
    each(order, x, out, n);
  }
  void run(int order, const double* x, double* out, std::int64_t n) const override {
    each(order, x, out, n);
  }

 private:
  template <class T>
  void each(int order, const T* x, T* out, std::int64_t n) const {
    // A Jet also for the value alone: with a plain double, an unqualified abs(x) could be that of
    // int.
    if (order == 0) {
      derivative<T, 0>(order, x, out, n);
    } else if (order == 1) {
      derivative<T, 1>(order, x, out, n);
    } else if (order == 2) {
      derivative<double, 2>(order, x, out, n);
    } else {
      derivative<double, kMaxElementwiseOrder>(order, x, out, n);
    }
  }
  template <class S, int N, class T>
  void derivative(int order, const T* x, T* out, std::int64_t n) const {
    for (std::int64_t i = 0; i < n; ++i) {
      const Jet<S, N> y = f(Jet<S, N>::variable(static_cast<S>(x[i])));
      out[i] = static_cast<T>(y.derivative(order));
    }
  }
  F f;
};
}  // namespace detail

/// An elementwise operation made from a scalar function, see elementwise().
class Elementwise {
 public:
  /// For elementwise(), which makes one from a lambda.
  explicit Elementwise(detail::ElementwiseRef f) : f_(std::move(f)) {}
  /// y = f(x), element by element, floating only; differentiable kMaxElementwiseOrder times.
  Var operator()(const Var& x) const;
  /// The name given to elementwise().
  const std::string& name() const { return f_->name; }

 private:
  detail::ElementwiseRef f_;
};

/// An operation from a generic lambda of one scalar; its derivatives follow from the lambda.
///
///     auto mish = elementwise("mish", [](auto x) { return x * tanh(softplus(x)); });
///     Var y = mish(x);
///
/// The lambda is evaluated on Jet, truncated Taylor series. It may use + − × ÷, comparisons and
/// branches, constants, and (without `std::` in front) exp, expm1, log, log1p, sin, cos, tanh,
/// sqrt, atan, erf, abs, min, max, and pow with a constant exponent.
template <class F>
Elementwise elementwise(std::string name, F f) {
  return Elementwise(
      detail::ElementwiseRef(new detail::ElementwiseOf<F>(std::move(name), std::move(f))));
}

}  // namespace xtape
