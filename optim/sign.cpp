#include <xtape/optim/rule.hpp>
#include <xtape/optim/sign.hpp>

namespace xtape::optim {

void Rprop::check(const RpropOptions& o) {
  require(o.shrink > 0 && o.shrink < 1, "Rprop", "shrink", o.shrink, "in (0, 1)");
  require(o.grow > 1 && o.grow < 1e300, "Rprop", "grow", o.grow, "finite and more than 1");
  require_not_negative("Rprop", "smallest", o.smallest);
  require(o.largest >= o.smallest, "Rprop", "largest", o.largest, "at least the smallest step");
}
std::vector<State> Rprop::state_of(const RpropOptions& o) {
  return {{"previous"}, {"step", o.learning_rate}};
}
void Rprop::update(Update& u) {
  const RpropOptions& o = options(u);
  const Var g = o.maximize ? -u.gradient() : u.gradient();
  // Not the product of both gradients, which may vanish.
  const Var same = sign(g) * sign(u.state(0));
  const Var changed = less(same, 0);
  const auto number = [&](double x) { return u.in(Tensor::scalar(x)); };
  const Var kept = where(greater(same, 0), number(o.grow), number(1));
  const Var factor = where(changed, number(o.shrink), kept);
  const Var step = u.set(1, clamp(u.state(1) * factor, o.smallest, o.largest));
  const Var used = u.set(0, masked_fill(g, changed, 0));
  u.move(u.parameter() - step * sign(used));
}

void Lion::check(const LionOptions& o) {
  require_factor("Lion", "beta1", o.beta1);
  require_factor("Lion", "beta2", o.beta2);
  require_not_negative("Lion", "weight_decay", o.weight_decay);
}
std::vector<State> Lion::state_of(const LionOptions&) { return {{"mean"}}; }
void Lion::update(Update& u) {
  const LionOptions& o = options(u);
  const Var g = o.maximize ? -u.gradient() : u.gradient(), m = u.state(0);
  const Var beta = u.momentum();
  const Var direction = sign(multiply_add(m, u.in(beta), u.in(1 - beta) * g));
  average(u, 0, o.beta2, g);
  descend(u, multiply_add(u.parameter(), o.weight_decay, direction), u.rate());
}

}  // namespace xtape::optim
