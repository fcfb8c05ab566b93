#include <algorithm>
#include <limits>

#include <xtape/optim/gradients.hpp>
#include <xtape/optim/rule.hpp>

namespace xtape::optim {
namespace {

constexpr double kSmallest = 1e-6;  // beside the norm, so that 0 can be divided by

std::vector<Var> vars(std::span<const Tensor> tensors) {
  return std::vector<Var>(tensors.begin(), tensors.end());
}

Tensors values(const std::vector<Var>& xs) {
  Tensors out;
  for (const Var& x : xs) out.push_back(x.defined() ? x.value() : Tensor());
  return out;
}

// What was made of gradients, for the parameters that they were of.
Vars of_those(const std::vector<Var>& made, const Vars& gradients) {
  Vars out(made.begin(), made.end());
  out.of = gradients.of;
  return out;
}

void require_limit(const char* function, double limit) {
  require(limit > 0, function, "limit", limit, "positive");
}

}  // namespace

Var global_norm(const std::vector<Var>& gradients) {
  Var total = Tensor::scalar(0);
  for (const Var& g : gradients) {
    if (g.defined()) total = hypot(total, cast(euclidean_norm(g), f64));
  }
  return total;
}

double global_norm(std::span<const Tensor> gradients) {
  return global_norm(vars(gradients)).item();
}

std::vector<Var> clip_by_norm(const std::vector<Var>& gradients, double limit) {
  require_limit("clip_by_norm", limit);
  const Var norm = global_norm(gradients);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Var factor = where(is_finite(norm), minimum(limit / (norm + kSmallest), 1), nan);
  std::vector<Var> out;
  for (const Var& g : gradients) out.push_back(g.defined() ? g * cast(factor, g.dtype()) : g);
  return out;
}

Tensors clip_by_norm(std::span<const Tensor> gradients, double limit) {
  return values(clip_by_norm(vars(gradients), limit));
}

Vars clip_by_norm(const Vars& gradients, double limit) {
  return of_those(clip_by_norm(static_cast<const std::vector<Var>&>(gradients), limit), gradients);
}

std::vector<Var> clip_by_value(const std::vector<Var>& gradients, double limit) {
  require_limit("clip_by_value", limit);
  std::vector<Var> out;
  for (const Var& g : gradients) out.push_back(g.defined() ? clamp(g, -limit, limit) : g);
  return out;
}

Tensors clip_by_value(std::span<const Tensor> gradients, double limit) {
  return values(clip_by_value(vars(gradients), limit));
}

Vars clip_by_value(const Vars& gradients, double limit) {
  return of_those(clip_by_value(static_cast<const std::vector<Var>&>(gradients), limit), gradients);
}

GradientSum::GradientSum(const Parameters& parameters)
    : parameters_(parameters),
      weights_(Parameter::buffer(Tensor::zeros({static_cast<std::int64_t>(parameters.size())}, f64),
                                 "weights")) {
  require_once(parameters);
  for (const Parameter& p : parameters) {
    sums_.push_back(Parameter::buffer(Tensor::zeros(p.shape(), p.dtype()), p.name() + ".sum"));
  }
}

void GradientSum::check(std::size_t gradients, double weight) const {
  if (gradients != parameters_.size()) {
    throw ValueError("GradientSum", std::to_string(gradients) + " gradients for " +
                                        std::to_string(parameters_.size()) + " parameters");
  }
  require(weight > 0 && std::isfinite(weight), "GradientSum", "weight", weight,
          "finite and positive");
}

void GradientSum::check(std::size_t i, const Tensor& gradient) {
  const Parameter& p = parameters_[i];
  sums_[i].to(p.dtype());
  if (!gradient.defined()) throw ValueError(p.name(), "has no gradient");
  if (gradient.shape() != p.shape()) {
    throw ShapeError(p.name(), "gradient of shape " + gradient.shape().str() +
                                   " for a parameter of shape " + p.shape().str());
  }
  if (gradient.dtype() != sums_[i].dtype()) {
    throw DTypeError(p.name(), std::string("gradient ") + name(gradient.dtype()) +
                                   " for a sum of " + name(sums_[i].dtype()));
  }
}

// What an add() gives to the sums of weights.
Tensor GradientSum::weighed(double weight) const {
  Tensor each = Tensor::zeros(weights_.shape(), f64);
  auto* w = each.mutable_data<double>();
  for (const Parameter& p : parameters_) *w++ = p.frozen() ? 0 : weight;
  return each;
}

void GradientSum::add(std::span<const Tensor> gradients, double weight) {
  check(gradients.size(), weight);
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    if (!parameters_[i].frozen()) check(i, gradients[i]);
  }
  // All sums before any of them is kept: memory may run out.
  Tensors sums(sums_.size());
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    if (parameters_[i].frozen()) continue;
    sums[i] = multiply_add(gradients[i], weight, sums_[i].value()).value();
  }
  weights_.assign((Var(weights_.value()) + weighed(weight)).value());
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    if (sums[i].defined()) sums_[i].assign(sums[i]);
  }
}

void GradientSum::add(const std::vector<Var>& gradients, double weight) {
  check(gradients.size(), weight);
  const auto taped = [](const Var& g) { return g.tape() != nullptr; };
  const auto recorded = std::find_if(gradients.begin(), gradients.end(), taped);
  if (recorded == gradients.end()) return add(values(gradients), weight);
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    if (!parameters_[i].frozen()) check(i, gradients[i].value());
  }
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    if (parameters_[i].frozen()) continue;
    assign(sums_[i], multiply_add(gradients[i], weight, beside(sums_[i], *recorded)));
  }
  assign(weights_, beside(weights_, *recorded) + weighed(weight));
}

void GradientSum::add(const Tensors& gradients, double weight) {
  const bool known = in_order(gradients, parameters_);
  const Tensors own = known ? Tensors() : picked(gradients, parameters_);
  add(std::span<const Tensor>(known ? gradients : own), weight);
}

void GradientSum::add(const Vars& gradients, double weight) {
  const bool known = in_order(gradients, parameters_);
  const std::vector<Var>& all = gradients;
  add(known ? all : static_cast<std::vector<Var>>(picked(gradients, parameters_)), weight);
}

Tensors GradientSum::mean() const {
  const std::span<const double> weights = weights_.value().span<double>();
  if (std::all_of(weights.begin(), weights.end(), [](double w) { return w == 0; })) {
    throw ValueError("GradientSum", "mean of nothing: add() gradients first");
  }
  Tensors out;
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    if (!parameters_[i].frozen() && weights[i] == 0) {
      throw ValueError(parameters_[i].name(),
                       "was frozen in every add(): clear() after thawing, then add() gradients");
    }
    out.push_back(parameters_[i].frozen() ? Tensor()
                                          : (Var(sums_[i].value()) / weights[i]).value());
    out.of.push_back(parameters_[i].id());
  }
  return out;
}

Vars GradientSum::mean(const Var& recorded) const {
  const Var weights = beside(weights_, recorded);
  Vars out;
  for (const Parameter& p : parameters_) out.of.push_back(p.id());
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    if (parameters_[i].frozen()) {
      out.emplace_back();
      continue;
    }
    const Var weight = select(weights, 0, static_cast<std::int64_t>(i));
    out.push_back(beside(sums_[i], recorded) / cast(weight, sums_[i].dtype()));
  }
  return out;
}

void GradientSum::clear() {
  for (Parameter& s : sums_) s.assign(Tensor::zeros(s.shape(), s.dtype()));
  weights_.assign(Tensor::zeros(weights_.shape(), f64));
}

void GradientSum::clear(const Var& recorded) {
  const auto zero = [&](Parameter& p) {
    assign(p, recorded.tape()->input(Tensor::zeros(p.shape(), p.dtype())));
  };
  for (Parameter& s : sums_) zero(s);
  zero(weights_);
}

Parameters GradientSum::state() const {
  Parameters all{weights_};
  all.insert(all.end(), sums_.begin(), sums_.end());
  return all;
}

}  // namespace xtape::optim
