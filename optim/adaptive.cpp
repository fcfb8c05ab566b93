#include <xtape/optim/adaptive.hpp>
#include <xtape/optim/rule.hpp>

namespace xtape::optim {

void Adagrad::check(const AdagradOptions& o) {
  require_not_negative("Adagrad", "rate_decay", o.rate_decay);
  require_not_negative("Adagrad", "weight_decay", o.weight_decay);
  require_not_negative("Adagrad", "initial_accumulator", o.initial_accumulator);
  require_epsilon("Adagrad", o.epsilon);
}
std::vector<State> Adagrad::state_of(const AdagradOptions& o) {
  return {{"sum", o.initial_accumulator, State::squares}};
}
void Adagrad::update(Update& u) {
  const AdagradOptions& o = options(u);
  const Var g = descent(u, o), s = u.set(0, multiply_add(g, g, u.state(0)));
  const Var direction = g / (sqrt(s) + o.epsilon);
  if (o.rate_decay == 0) return descend(u, direction, u.rate());
  descend(u, direction, u.rate() / (1 + (u.steps() - 1) * o.rate_decay));
}

void RMSprop::check(const RMSpropOptions& o) {
  require_factor("RMSprop", "alpha", o.alpha);
  require_factor("RMSprop", "momentum", o.momentum);
  require_epsilon("RMSprop", o.epsilon);
  require_not_negative("RMSprop", "weight_decay", o.weight_decay);
}
std::vector<State> RMSprop::state_of(const RMSpropOptions& o) {
  std::vector<State> all{{"square", 0, State::squares}};
  if (o.centered) all.push_back({"mean"});
  if (o.momentum != 0) all.push_back({"momentum"});
  return all;
}
std::optional<double> RMSprop::momentum_of(const RMSpropOptions& o) {
  return o.momentum == 0 ? std::nullopt : std::optional(o.momentum);
}
void RMSprop::update(Update& u) {
  const RMSpropOptions& o = options(u);
  const Var g = descent(u, o);
  Var v = average(u, 0, o.alpha, square(g));
  // Rounding may leave less than nothing of a variance.
  if (o.centered) v = maximum(v - square(average(u, 1, o.alpha, g)), 0);
  Var q = g / (sqrt(v) + o.epsilon);
  if (o.momentum != 0) {
    const std::size_t k = o.centered ? 2 : 1;
    q = u.set(k, multiply_add(u.state(k), u.in(u.momentum()), q));
  }
  descend(u, q, u.rate());
}

void Adadelta::check(const AdadeltaOptions& o) {
  require_factor("Adadelta", "rho", o.rho);
  require_epsilon("Adadelta", o.epsilon);
  require_not_negative("Adadelta", "weight_decay", o.weight_decay);
}
std::vector<State> Adadelta::state_of(const AdadeltaOptions&) {
  return {{"square", 0, State::squares}, {"moved"}};
}
void Adadelta::update(Update& u) {
  const AdadeltaOptions& o = options(u);
  const Var g = descent(u, o), v = average(u, 0, o.rho, square(g));
  const Var d = sqrt(u.state(1) + o.epsilon) / sqrt(v + o.epsilon) * g;
  average(u, 1, o.rho, square(d));
  descend(u, d, u.rate());
}

}  // namespace xtape::optim
