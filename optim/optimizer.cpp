#include <algorithm>
#include <cmath>
#include <unordered_set>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/optim/rule.hpp>

namespace xtape::optim {
namespace {

void check_rate(double rate) {
  if (!(rate >= 0) || !std::isfinite(rate)) {
    throw ValueError("optimizer",
                     "learning rate " + detail::text(rate) + ": must be finite and not negative");
  }
}

[[noreturn]] void throw_without_momentum() {
  throw ValueError("optimizer", "has no momentum: give one in its options");
}

}  // namespace

const Var& Update::momentum() const {
  if (!momentum_.defined()) throw ValueError(parameter_.name(), "its rule has no momentum");
  return momentum_;
}

const Var& Update::steps() const {
  if (!steps_.defined()) throw ValueError(parameter_.name(), "its rule does not count steps");
  return steps_;
}

Var Update::state(std::size_t k) const { return beside(state_.at(k), gradient_); }

Var Update::own(const Var& numbers) const {
  return numbers.rank() == 0 ? numbers : select(numbers, 0, position_);
}

Var Update::set(std::size_t k, const Var& value) {
  assign(state_.at(k), value);
  return value;
}

void Optimizer::add_group(const Parameters& parameters, const GroupSpec& spec) {
  check_rate(spec.learning_rate);
  require_parameters("optimizer", parameters);
  std::int64_t position = 0;
  std::unordered_set<const void*> known;
  for (const Parameter& p : parameters_) known.insert(p.id());
  for (const Parameter& p : parameters) {
    p.value();  // throws for an empty handle
    if (!known.insert(p.id()).second) {
      throw ValueError(p.name(), "stands twice among the parameters of an optimizer");
    }
    Slot slot{groups_.size(), position++, {}, {}};
    for (const State& s : spec.state) {
      const Tensor fill = s.kind == State::number ? Tensor::scalar(s.fill)
                                                  : Tensor::full(p.shape(), s.fill, p.dtype());
      slot.kinds.push_back(s.kind);
      slot.state.push_back(Parameter::buffer(fill, p.name() + "." + s.name));
    }
    parameters_.push_back(p);
    slots_.push_back(std::move(slot));
  }
  // Names differ, for files.
  const std::string prefix = groups_.empty() ? "" : "group" + std::to_string(groups_.size()) + ".";
  Numbers numbers{Parameter::buffer(Tensor::scalar(spec.learning_rate), prefix + "learning_rate"),
                  {},
                  {},
                  spec.learning_rate};
  if (spec.momentum) {
    numbers.momentum = Parameter::buffer(Tensor::scalar(*spec.momentum), prefix + "momentum");
  }
  if (spec.counts) {
    numbers.counts = Parameter::buffer(Tensor::zeros({position}, i64), prefix + "counts");
  }
  groups_.push_back(std::move(numbers));
}

const Optimizer::Numbers& Optimizer::at(std::size_t group) const {
  if (group >= groups_.size()) {
    throw ValueError("optimizer", "group " + std::to_string(group) + " of " +
                                      std::to_string(groups_.size()) + ": there is none");
  }
  return groups_[group];
}

double Optimizer::learning_rate(std::size_t group) const { return at(group).rate.value().item(); }

void Optimizer::set_learning_rate(double learning_rate) {
  for (std::size_t g = 0; g < groups_.size(); ++g) set_learning_rate(g, learning_rate);
}

void Optimizer::set_learning_rate(std::size_t group, double learning_rate) {
  check_rate(learning_rate);
  Parameter rate = at(group).rate;
  rate.assign(Tensor::scalar(learning_rate));
}

void Optimizer::set_learning_rate(const Var& learning_rate) {
  if (!learning_rate.tape()) return set_learning_rate(learning_rate.item());
  const Var rate = require_finite(cast(reshape(learning_rate, {}), f64),
                                  {"optimizer", FiniteCheck::not_negative});
  for (Numbers& g : groups_) assign(g.rate, rate);
}

double Optimizer::momentum(std::size_t group) const {
  if (!at(group).momentum.defined()) throw_without_momentum();
  return at(group).momentum.value().item();
}

void Optimizer::set_momentum(double momentum) {
  if (!(momentum >= 0 && momentum < 1)) {
    throw ValueError("optimizer", "momentum " + detail::text(momentum) + ": must be in [0, 1)");
  }
  for (const Numbers& g : groups_) {
    if (!g.momentum.defined()) throw_without_momentum();
  }
  for (Numbers& g : groups_) g.momentum.assign(Tensor::scalar(momentum));
}

Parameters Optimizer::state() const {
  Parameters all{steps_};
  for (const Numbers& g : groups_) {
    all.push_back(g.rate);
    if (g.momentum.defined()) all.push_back(g.momentum);
    if (g.counts.defined()) all.push_back(g.counts);
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Parameters& own = state_of(i);
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

// What is remembered of a parameter, in the dtype that it has now.
const Parameters& Optimizer::state_of(std::size_t i) const {
  const Slot& slot = slots_[i];
  for (std::size_t k = 0; k < slot.state.size(); ++k) {
    Parameter s = slot.state[k];
    if (slot.kinds[k] != State::number) s.to(parameters_[i].dtype());
  }
  return slot.state;
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

[[noreturn]] void Optimizer::throw_missing(const Parameter& p) {
  throw ValueError(p.name(), "has no gradient: take it from tape.gradient(loss, parameters)");
}

// The update of every parameter that is not frozen, noted on the tape of its gradient.
void Optimizer::record(const std::vector<Var>& gradients) {
  const Var& recorded = *std::find_if(gradients.begin(), gradients.end(),
                                      [](const Var& g) { return g.tape() != nullptr; });
  const std::vector<Var> counts = count(recorded);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (parameters_[i].frozen()) continue;
    // A gradient that the loss does not depend on is a constant: it joins the recording here.
    const Var g = gradients[i].tape() ? gradients[i] : recorded.tape()->input(gradients[i].value());
    const auto& kinds = slots_[i].kinds;
    const bool squares = std::count(kinds.begin(), kinds.end(), State::squares) > 0;
    const FiniteCheck check{parameters_[i].name(),
                            squares ? FiniteCheck::small_squares : FiniteCheck::none};
    Update u = update_of(i, require_finite(g, check), counts[slots_[i].group]);
    update(u);
  }
  assign(steps_, beside(steps_, recorded) + 1);
}

// The steps of the parameters of each group that counts, with this one.
std::vector<Var> Optimizer::count(const Var& recorded) {
  std::vector<Tensor> taken;
  for (const Numbers& g : groups_) {
    taken.push_back(g.counts.defined() ? Tensor::zeros(g.counts.shape(), i64) : Tensor());
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Tensor& t = taken[slots_[i].group];
    if (t.defined()) t.mutable_data<std::int64_t>()[slots_[i].position] = !parameters_[i].frozen();
  }
  std::vector<Var> out(groups_.size());
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (!taken[g].defined()) continue;
    const Var counts = beside(groups_[g].counts, recorded) + taken[g];
    assign(groups_[g].counts, counts);
    out[g] = cast(counts, f64);
  }
  return out;
}

Update Optimizer::update_of(std::size_t i, const Var& gradient, const Var& steps) {
  const Slot& slot = slots_[i];
  const Numbers& numbers = groups_[slot.group];
  Update u;
  u.parameter_ = parameters_[i];
  u.state_ = state_of(i);
  u.group_ = slot.group;
  u.position_ = slot.position;
  u.gradient_ = gradient;
  u.rate_ = beside(numbers.rate, gradient);
  if (numbers.momentum.defined()) u.momentum_ = beside(numbers.momentum, gradient);
  u.steps_ = steps;
  return u;
}

bool Optimizer::program_fits() const {
  if (!program_.defined()) return false;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (slots_[i].frozen != parameters_[i].frozen()) return false;
    if (slots_[i].dtype != parameters_[i].dtype()) return false;
  }
  return true;
}

// The rule, compiled for gradients that are arguments.
void Optimizer::compile_step() {
  std::vector<Spec> signatures;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    slots_[i].frozen = p.frozen();
    slots_[i].dtype = p.dtype();
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
    if (needed && !gradients[i].defined()) throw_missing(parameters_[i]);
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

void Optimizer::step(const Tensors& gradients) {
  if (in_order(gradients, parameters_)) {
    return step(std::span<const Tensor>(gradients));
  }
  step(std::span<const Tensor>(picked(gradients, parameters_)));
}

void Optimizer::step(const Vars& gradients) {
  const std::vector<Var>& all = gradients;
  if (in_order(gradients, parameters_)) return step(all);
  const Vars own = picked(gradients, parameters_);
  step(static_cast<const std::vector<Var>&>(own));
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
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const bool needed = i < parameters_.size() && !parameters_[i].frozen();
    if (needed && !gradients[i].defined()) throw_missing(parameters_[i]);
    specs.push_back(needed ? gradients[i].value().spec() : Spec{});
  }
  check(specs);
  record(gradients);
}

}  // namespace xtape::optim
