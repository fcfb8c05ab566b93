#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_set>

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

/// There must be something to move.
inline void require_parameters(const char* what, const Parameters& parameters) {
  if (!parameters.empty()) return;
  throw ValueError(what,
                   "there are no parameters: a module of one's own has those that it was given by "
                   "add_parameter and add_child");
}

/// Each must stand there once.
inline void require_once(const Parameters& parameters) {
  std::unordered_set<const void*> known;
  for (const Parameter& p : parameters) {
    if (known.insert(p.id()).second) continue;
    throw ValueError(p.name(), "stands twice among these parameters");
  }
}

/// An ε beside a root that may be 0: positive, also in f32, or 0/0 makes weights NaN.
inline void require_epsilon(const char* rule, double x) {
  require(x >= 1e-30 && x < 1e300, rule, "epsilon", x, "finite and 1e-30 or more");
}

/// Whether the gradients stand in the order of these parameters, or do not say of which they are.
template <class List>
bool in_order(const List& gradients, const Parameters& parameters) {
  const auto same = [](const void* id, const Parameter& p) { return id == p.id(); };
  const auto& of = gradients.of;
  return of.empty() || of.size() != gradients.size() ||
         std::equal(of.begin(), of.end(), parameters.begin(), parameters.end(), same);
}
/// The gradients of these parameters (undefined where there is none), out of those of any.
template <class List>
List picked(const List& gradients, const Parameters& parameters) {
  List out(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto at = std::find(gradients.of.begin(), gradients.of.end(), parameters[i].id());
    if (at != gradients.of.end()) out[i] = *(gradients.begin() + (at - gradients.of.begin()));
  }
  return out;
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
