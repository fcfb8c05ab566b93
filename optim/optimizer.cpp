#include <algorithm>
#include <cmath>

#include <xtape/autodiff/error.hpp>
#include <xtape/optim/optimizer.hpp>

namespace xtape::optim {
namespace {

void check_rate(double rate) {
  if (!(rate >= 0) || !std::isfinite(rate)) {
    throw ValueError("optimizer",
                     "learning rate " + detail::text(rate) + ": must be finite and not negative");
  }
}

void check_gradient(const Parameter& p, const Tensor& g) {
  if (!g.defined()) {
    throw ValueError(p.name(), "has no gradient: take it from tape.gradient(loss, parameters)");
  }
  if (g.shape() != p.shape()) {
    throw ShapeError(p.name(), "gradient of shape " + g.shape().str() +
                                   " for a parameter of shape " + p.shape().str());
  }
  if (g.dtype() != p.dtype()) {
    throw DTypeError(p.name(), std::string("gradient ") + name(g.dtype()) + " for a parameter of " +
                                   name(p.dtype()));
  }
  if (!all_finite(g)) {
    throw ValueError(p.name(),
                     "its gradient has NaN or infinite elements: lower the learning rate, "
                     "or look for the op that made them");
  }
}

}  // namespace

Optimizer::Optimizer(Parameters parameters, double learning_rate)
    : parameters_(std::move(parameters)) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].value();  // throws for an empty handle
    if (std::find(parameters_.begin(), parameters_.begin() + static_cast<std::ptrdiff_t>(i),
                  parameters_[i]) != parameters_.begin() + static_cast<std::ptrdiff_t>(i)) {
      throw ValueError(parameters_[i].name(), "stands twice among the parameters of an optimizer");
    }
  }
  set_learning_rate(learning_rate);
}

void Optimizer::set_learning_rate(double learning_rate) {
  check_rate(learning_rate);
  learning_rate_ = learning_rate;
}

void Optimizer::step(const std::vector<Tensor>& gradients) {
  if (gradients.size() != parameters_.size()) {
    const bool few = gradients.size() < parameters_.size();
    throw ValueError(
        "optimizer",
        std::to_string(gradients.size()) + " gradients for " + std::to_string(parameters_.size()) +
            " parameters" +
            (few ? ": '" + parameters_[gradients.size()].name() + "' has no gradient" : ""));
  }
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!parameters_[i].frozen()) check_gradient(parameters_[i], gradients[i]);
  }
  ++steps_;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    Parameter& p = parameters_[i];
    if (!p.frozen()) p.assign(update(i, p.value(), gradients[i]));
  }
}

}  // namespace xtape::optim
