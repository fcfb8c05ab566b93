#pragma once

#include <cmath>
#include <string>

#include <xtape/autodiff/error.hpp>
#include <xtape/optim/optimizer.hpp>

// What the rules have in common.
namespace xtape::optim {

/// @throws ValueError naming the optimizer, the option and its range unless `holds`.
inline void require(bool holds, const char* rule, const char* option, double value,
                    const char* range) {
  if (holds) return;
  throw ValueError(rule, std::string(option) + " " + detail::text(value) + ": must be " + range);
}
/// 0 ≤ x < 1, for factors of averages.
inline void require_factor(const char* rule, const char* option, double x) {
  require(x >= 0 && x < 1, rule, option, x, "in [0, 1)");
}
/// 0 ≤ x < ∞.
inline void require_not_negative(const char* rule, const char* option, double x) {
  require(x >= 0 && x < 1e300, rule, option, x, "finite and not negative");
}

/// An ε beside a root that may be 0: positive, also in f32, or 0/0 makes weights NaN.
inline void require_epsilon(const char* rule, double x) {
  require(x >= 1e-30 && x < 1e300, rule, "epsilon", x, "finite and 1e-30 or more");
}

/// g of the rules: the gradient, its negative under `maximize`; and λ p beside it where the weight
/// decay λ is a part of the loss.
template <class Options>
Var descent(const Update& u, const Options& o) {
  const Var g = o.maximize ? -u.gradient() : u.gradient();
  return o.weight_decay == 0 ? g : multiply_add(u.parameter(), o.weight_decay, g);
}

/// s ← β s + (1 − β) x for state k: an exponential moving average.
inline Var average(Update& u, std::size_t k, double beta, const Var& x) {
  return u.set(k, multiply_add(u.state(k), beta, (1 - beta) * x));
}
/// The same with a recorded β.
inline Var average(Update& u, std::size_t k, const Var& beta, const Var& x) {
  return u.set(k, multiply_add(u.state(k), u.in(beta), u.in(1 - beta) * x));
}

/// 1 − βᵗ without cancellation, for t steps.
inline Var one_minus_power(const Var& beta, const Var& t) { return -expm1(t * log(beta)); }
/// The same.
inline Var one_minus_power(double beta, const Var& t) { return -expm1(t * std::log(beta)); }

/// p − step · direction; `step` is a recorded number.
inline void descend(Update& u, const Var& direction, const Var& step) {
  u.move(multiply_add(direction, u.in(-step), u.parameter()));
}

}  // namespace xtape::optim
