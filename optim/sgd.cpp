#include <xtape/optim/rule.hpp>
#include <xtape/optim/sgd.hpp>

namespace xtape::optim {

void SGD::check(const SGDOptions& o) {
  require_factor("SGD", "momentum", o.momentum);
  require(o.dampening >= 0 && o.dampening <= 1, "SGD", "dampening", o.dampening, "in [0, 1]");
  require_not_negative("SGD", "weight_decay", o.weight_decay);
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0)) {
    throw ValueError("SGD", "nesterov needs momentum > 0 and dampening 0");
  }
}

std::vector<State> SGD::state_of(const SGDOptions& o) {
  if (o.momentum == 0) return {};
  return {{"momentum"}};
}

std::optional<double> SGD::momentum_of(const SGDOptions& o) {
  return o.momentum == 0 ? std::nullopt : std::optional(o.momentum);
}

void SGD::update(Update& u) {
  const SGDOptions& o = options(u);
  Var d = descent(u, o);
  if (o.momentum != 0) {
    const Var mu = u.in(u.momentum());
    // The first step is taken whole.
    const Var part = o.dampening == 0 ? d
                                      : u.in(where(less_equal(u.steps(), 1), Tensor::scalar(1),
                                                   Tensor::scalar(1 - o.dampening))) *
                                            d;
    const Var v = u.set(0, multiply_add(u.state(0), mu, part));
    d = o.nesterov ? multiply_add(v, mu, d) : v;
  }
  descend(u, d, u.rate());
}

void ASGD::check(const ASGDOptions& o) {
  require_not_negative("ASGD", "lambda", o.lambda);
  require_not_negative("ASGD", "alpha", o.alpha);
  require_not_negative("ASGD", "start", o.start);
  require_not_negative("ASGD", "weight_decay", o.weight_decay);
}

std::vector<State> ASGD::state_of(const ASGDOptions&) { return {{"average"}}; }

void ASGD::update(Update& u) {
  const ASGDOptions& o = options(u);
  const Var before = u.steps() - 1;
  const Var eta = u.rate() / pow(1 + o.lambda * u.rate() * before, o.alpha);
  const Var kept = u.parameter() * u.in(1 - o.lambda * eta);
  const Var p = multiply_add(descent(u, o), u.in(-eta), kept);
  const Var a = u.state(0);
  u.set(0, multiply_add(p - a, u.in(1 / maximum(before - o.start, 1)), a));
  u.move(p);
}

}  // namespace xtape::optim
