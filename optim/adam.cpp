#include <xtape/optim/adam.hpp>
#include <xtape/optim/rule.hpp>

namespace xtape::optim {
namespace {

template <class Options>
void check_adam(const char* rule, const Options& o) {
  require_factor(rule, "beta1", o.beta1);
  require_factor(rule, "beta2", o.beta2);
  require_epsilon(rule, o.epsilon);
  require_not_negative(rule, "weight_decay", o.weight_decay);
}

std::vector<State> moments() { return {{"mean"}, {"square", 0, State::squares}}; }

template <class Options>
std::vector<State> moments(const Options& o) {
  std::vector<State> all = moments();
  if (o.amsgrad) all.push_back({"peak"});
  return all;
}

// √v̂ + ε, times √(1 − β₂ᵗ), which is `root`: one division of elements less.
struct Size {
  Var scaled, root;
};
template <class Options>
Size size_of(const Update& u, const Var& v, const Options& o) {
  const Var root = sqrt(one_minus_power(o.beta2, u.steps()));
  return {sqrt(v) + u.in(o.epsilon * root), root};
}

// p ← start − η m̂ / (√v̂ + ε).
template <class Options>
void adam(Update& u, const Var& g, const Var& start, const Options& o) {
  const Var m = average(u, 0, u.momentum(), g);
  Var v = average(u, 1, o.beta2, square(g));
  if (o.amsgrad) v = u.set(2, maximum(u.state(2), v));
  const Size s = size_of(u, v, o);
  const Var step = u.rate() * s.root / one_minus_power(u.momentum(), u.steps());
  u.move(multiply_add(m / s.scaled, u.in(-step), start));
}

}  // namespace

void Adam::check(const AdamOptions& o) { check_adam("Adam", o); }
std::vector<State> Adam::state_of(const AdamOptions& o) { return moments(o); }
void Adam::update(Update& u) {
  const AdamOptions& o = options(u);
  adam(u, descent(u, o), u.parameter(), o);
}

void AdamW::check(const AdamWOptions& o) { check_adam("AdamW", o); }
std::vector<State> AdamW::state_of(const AdamWOptions& o) { return moments(o); }
void AdamW::update(Update& u) {
  const AdamWOptions& o = options(u);
  const Var p = beside(u.parameter(), u.gradient());
  const Var kept = o.weight_decay == 0 ? p : p * u.in(1 - o.weight_decay * u.rate());
  adam(u, o.maximize ? -u.gradient() : u.gradient(), kept, o);
}

void Adamax::check(const AdamaxOptions& o) { check_adam("Adamax", o); }
std::vector<State> Adamax::state_of(const AdamaxOptions&) { return {{"mean"}, {"peak"}}; }
void Adamax::update(Update& u) {
  const AdamaxOptions& o = options(u);
  const Var g = descent(u, o);
  const Var m = average(u, 0, u.momentum(), g);
  const Var peak = u.set(1, maximum(o.beta2 * u.state(1), abs(g) + o.epsilon));
  descend(u, m / peak, u.rate() / one_minus_power(u.momentum(), u.steps()));
}

void NAdam::check(const NAdamOptions& o) {
  check_adam("NAdam", o);
  require_not_negative("NAdam", "momentum_decay", o.momentum_decay);
}
std::vector<State> NAdam::state_of(const NAdamOptions&) {
  return {{"mean"}, {"square", 0, State::squares}, {"product", 1, State::number}};
}
void NAdam::update(Update& u) {
  const NAdamOptions& o = options(u);
  const Var g = descent(u, o), t = u.steps();
  const Var m = average(u, 0, u.momentum(), g), v = average(u, 1, o.beta2, square(g));
  const auto mu = [&](const Var& step) {
    return u.momentum() * (1 - 0.5 * exp(step * (o.momentum_decay * std::log(0.96))));
  };
  const Var now = u.own(mu(t)), next = u.own(mu(t + 1)), product = u.set(2, u.state(2) * now);
  const Size s = size_of(u, v, o);
  const Var rate = u.own(u.rate() * s.root);
  const Var of_mean = rate * next / (1 - product * next);
  const Var of_gradient = rate * (1 - now) / (1 - product);
  u.move(u.parameter() - multiply_add(m, u.in(of_mean), u.in(of_gradient)*g) / s.scaled);
}

void RAdam::check(const RAdamOptions& o) { check_adam("RAdam", o); }
std::vector<State> RAdam::state_of(const RAdamOptions&) { return moments(); }
void RAdam::update(Update& u) {
  const RAdamOptions& o = options(u);
  const Var g = descent(u, o), t = u.steps();
  const Var m = average(u, 0, u.momentum(), g), v = average(u, 1, o.beta2, square(g));
  const double limit = 2 / (1 - o.beta2) - 1;
  const Var missing = one_minus_power(o.beta2, t);
  const Var rho = limit - 2 * t * (1 - missing) / missing;
  const Var known = greater(rho, 5);
  const Var safe = maximum(rho, 5);
  const Var r = sqrt((safe - 4) * (safe - 2) * limit / ((limit - 4) * (limit - 2) * safe));
  const Var adapted = m * u.in(r * sqrt(missing)) / (sqrt(v) + o.epsilon);
  descend(u, where(u.own(known), adapted, m), u.rate() / one_minus_power(u.momentum(), t));
}

void Lamb::check(const LambOptions& o) { check_adam("Lamb", o); }
std::vector<State> Lamb::state_of(const LambOptions&) { return moments(); }
void Lamb::update(Update& u) {
  const LambOptions& o = options(u);
  const Var g = o.maximize ? -u.gradient() : u.gradient();
  const Var m = average(u, 0, u.momentum(), g), v = average(u, 1, o.beta2, square(g));
  const Size s = size_of(u, v, o);
  const Var scale = u.in(s.root / one_minus_power(u.momentum(), u.steps()));
  const Var r = multiply_add(u.parameter(), o.weight_decay, m * scale / s.scaled);
  const Var p = beside(u.parameter(), g);
  const Var own = sqrt(sum(square(p))), moved = sqrt(sum(square(r)));
  const Var both = logical_and(greater(own, 0), greater(moved, 0));
  const Var trust = where(both, own / moved, 1);
  descend(u, r, u.rate() * cast(trust, f64));
}

}  // namespace xtape::optim
