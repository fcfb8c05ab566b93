#include <algorithm>
#include <cmath>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/optim/optimizer.hpp>

namespace xtape::optim {
namespace {

void check_rate(double rate) {
  if (!(rate >= 0) || !std::isfinite(rate)) {
    throw ValueError("optimizer",
                     "learning rate " + detail::text(rate) + ": must be finite and not negative");
  }
}

}  // namespace

Optimizer::Optimizer(Parameters parameters, double learning_rate)
    : parameters_(std::move(parameters)),
      learning_rate_(Parameter::buffer(Tensor::scalar(0), "learning_rate")),
      steps_(Parameter::buffer(Tensor::scalar(0, i64), "steps")) {
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
  learning_rate_.assign(Tensor::scalar(learning_rate));
}

void Optimizer::set_learning_rate(const Var& learning_rate) {
  if (!learning_rate.tape()) return set_learning_rate(learning_rate.item());
  assign(learning_rate_, require_rate(cast(reshape(learning_rate, {}), f64)));
}

void Optimizer::check(const std::vector<Spec>& gradients) const {
  if (gradients.size() != parameters_.size()) {
    const bool few = gradients.size() < parameters_.size();
    throw ValueError(
        "optimizer",
        std::to_string(gradients.size()) + " gradients for " + std::to_string(parameters_.size()) +
            " parameters" +
            (few ? ": '" + parameters_[gradients.size()].name() + "' has no gradient" : ""));
  }
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Parameter& p = parameters_[i];
    const Spec& g = gradients[i];
    if (p.frozen()) continue;
    if (g.shape != p.shape()) {
      throw ShapeError(p.name(), "gradient of shape " + g.shape.str() +
                                     " for a parameter of shape " + p.shape().str());
    }
    if (g.dtype != p.dtype()) {
      throw DTypeError(p.name(), std::string("gradient ") + name(g.dtype) + " for a parameter of " +
                                     name(p.dtype()));
    }
  }
}

// The update of every parameter that is not frozen, noted on the tape of its gradient.
void Optimizer::record(const std::vector<Var>& gradients) {
  const Var& recorded = *std::find_if(gradients.begin(), gradients.end(),
                                      [](const Var& g) { return g.tape() != nullptr; });
  const Var rate = beside(learning_rate_, recorded);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    Parameter& p = parameters_[i];
    if (p.frozen()) continue;
    // A gradient that the loss does not depend on is a constant: it joins the recording here.
    const Var g = gradients[i].tape() ? gradients[i] : recorded.tape()->input(gradients[i].value());
    update(i, p, require_finite(g, p.name()), cast(rate, p.dtype()));
  }
  assign(steps_, beside(steps_, recorded) + 1);
}

bool Optimizer::program_fits() const {
  if (!program_.defined()) return false;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (recorded_frozen_[i] != parameters_[i].frozen()) return false;
    if (recorded_dtype_[i] != parameters_[i].dtype()) return false;
  }
  return true;
}

// The rule, compiled for gradients that are arguments.
void Optimizer::compile_step() {
  recorded_frozen_.clear();
  recorded_dtype_.clear();
  std::vector<Spec> signatures;
  for (const Parameter& p : parameters_) {
    recorded_frozen_.push_back(p.frozen());
    recorded_dtype_.push_back(p.dtype());
    if (!p.frozen()) signatures.push_back(p.value().spec());
  }
  program_ = compile(
      [this](std::span<const Var> gradients) -> std::vector<Var> {
        std::vector<Var> all(parameters_.size(), gradients[0]);
        std::size_t next = 0;
        for (std::size_t i = 0; i < all.size(); ++i) {
          if (!parameters_[i].frozen()) all[i] = gradients[next++];
        }
        record(all);
        return {};
      },
      signatures, {.name = "optimizer"});
}

void Optimizer::step(std::span<const Tensor> gradients) {
  specs_.clear();
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const bool needed = i < parameters_.size() && !parameters_[i].frozen();
    if (needed && !gradients[i].defined()) {
      throw ValueError(parameters_[i].name(),
                       "has no gradient: take it from tape.gradient(loss, parameters)");
    }
    specs_.push_back(needed ? gradients[i].spec() : Spec{});
  }
  check(specs_);
  live_.clear();
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!parameters_[i].frozen()) live_.push_back(gradients[i]);
  }
  if (live_.empty()) return steps_.assign(Tensor::scalar(static_cast<double>(steps() + 1), i64));
  if (!program_fits()) compile_step();
  struct Release {  // the gradients are the caller's
    std::vector<Tensor>& live;
    ~Release() { live.clear(); }
  } const release{live_};
  program_.run(live_);
}

void Optimizer::step(std::initializer_list<Tensor> gradients) {
  step(std::span(gradients.begin(), gradients.size()));
}

void Optimizer::step(const std::vector<Var>& gradients) {
  const bool recording = std::any_of(gradients.begin(), gradients.end(), [](const Var& g) {
    return g.tape() && g.tape()->recording();
  });
  if (!recording) {
    if (std::none_of(gradients.begin(), gradients.end(), [](const Var& g) { return g.tape(); })) {
      throw TapeError(
          "optimizer",
          "none of these gradients is on a tape: inside compile() such a step would act "
          "once, not in every run; give tensors for a step now");
    }
    std::vector<Tensor> values;
    for (const Var& g : gradients) values.push_back(g.defined() ? g.value() : Tensor());
    return step(std::span<const Tensor>(values));
  }
  std::vector<Spec> specs;
  for (const Var& g : gradients) specs.push_back(g.value().spec());
  check(specs);
  record(gradients);
}

}  // namespace xtape::optim
