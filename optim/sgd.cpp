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
    : Optimizer(std::move(parameters), o.learning_rate),
      options_(o),
      velocity_(this->parameters().size()) {
  require(o.momentum >= 0 && o.momentum < 1, "momentum", o.momentum, "in [0, 1)");
  require(o.dampening >= 0 && o.dampening <= 1, "dampening", o.dampening, "in [0, 1]");
  require(o.weight_decay >= 0, "weight_decay", o.weight_decay, "0 or more");
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0)) {
    throw ValueError("SGD", "nesterov needs momentum > 0 and dampening 0");
  }
}

Tensor SGD::update(std::size_t i, const Tensor& value, const Tensor& gradient) {
  const double eta = learning_rate(), mu = options_.momentum;
  Var d = gradient;
  if (options_.weight_decay != 0) d = multiply_add(value, options_.weight_decay, d);
  if (mu != 0) {
    Tensor& v = velocity_[i];
    v = v.defined() ? multiply_add(v, mu, (1 - options_.dampening) * d).value() : d.value();
    d = options_.nesterov ? multiply_add(v, mu, d) : Var(v);
  }
  return multiply_add(d, -eta, value).value();
}

}  // namespace xtape::optim
