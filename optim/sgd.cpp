#include <string>

#include <xtape/autodiff/error.hpp>
#include <xtape/optim/sgd.hpp>

namespace xtape::optim {
namespace {

void require(bool holds, const char* what, double value, const char* rule) {
  if (!holds) throw ValueError("SGD", what + (" " + detail::text(value)) + ": must be " + rule);
}

}  // namespace

SGD::SGD(Parameters parameters, const SGDOptions& o)
    : Optimizer(std::move(parameters), o.learning_rate), options_(o) {
  require(o.momentum >= 0 && o.momentum < 1, "momentum", o.momentum, "in [0, 1)");
  require(o.dampening >= 0 && o.dampening <= 1, "dampening", o.dampening, "in [0, 1]");
  require(o.weight_decay >= 0, "weight_decay", o.weight_decay, "0 or more");
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0)) {
    throw ValueError("SGD", "nesterov needs momentum > 0 and dampening 0");
  }
  if (o.momentum == 0) return;
  for (const Parameter& p : this->parameters()) {
    velocity_.push_back(
        Parameter::buffer(Tensor::zeros(p.shape(), p.dtype()), p.name() + ".velocity"));
    moved_.push_back(Parameter::buffer(Tensor::scalar(0, boolean), p.name() + ".moved"));
  }
}

void SGD::update(std::size_t i, Parameter& p, const Var& gradient, const Var& rate) {
  const double mu = options_.momentum;
  Var d = gradient;
  if (options_.weight_decay != 0) d = multiply_add(p, options_.weight_decay, d);
  if (mu != 0) {
    Parameter& v = velocity_[i];
    v.to(p.dtype());
    assign(v, multiply_add(v, mu, dampened(i, d)));
    d = options_.nesterov ? multiply_add(v, mu, d) : beside(v, d);
  }
  assign(p, multiply_add(d, -rate, p));
}

// The first step is taken whole.
Var SGD::dampened(std::size_t i, const Var& d) {
  if (options_.dampening == 0) return d;
  const Var moved = beside(moved_[i], d);
  assign(moved_[i], equal(moved, moved));  // true from now on
  return where(moved, (1 - options_.dampening) * d, d);
}

}  // namespace xtape::optim
