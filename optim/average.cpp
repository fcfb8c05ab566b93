#include <cstring>

#include <xtape/autodiff/op.hpp>
#include <xtape/optim/average.hpp>
#include <xtape/optim/rule.hpp>

namespace xtape::optim {
namespace {

void check_in_place(std::int64_t swapped) {
  if (swapped == 0) return;
  throw ValueError("WeightAverage", "the averages are swapped in: let the result of swap_in() go");
}

// y = x, the number of updates, refused while the averages are swapped in.
constexpr Op kInPlace{.name = "averages_in_place",
                      .arity = 2,
                      .infer = [](const InferArgs& a) { return *a.in[0]; },
                      .kernel =
                          [](const KernelArgs& a) {
                            check_in_place(*static_cast<const std::int64_t*>(a.in[1].data));
                            std::memcpy(a.out, a.in[0].data, a.spec.nbytes());
                          },
                      .throws = true};

}  // namespace

WeightAverage::WeightAverage(const Parameters& parameters, const WeightAverageOptions& options)
    : parameters_(parameters),
      updates_(Parameter::buffer(Tensor::scalar(0, i64), "updates")),
      swapped_(Parameter::buffer(Tensor::scalar(0, i64), "swapped")),
      options_(options) {
  require_factor("WeightAverage", "decay", options.decay);
  require_parameters("WeightAverage", parameters);
  require_once(parameters);
  for (const Parameter& p : parameters) {
    averages_.push_back(Parameter::buffer(p.value(), p.name() + ".average"));
  }
}

void WeightAverage::check_in_place() const {
  optim::check_in_place(*swapped_.value().data<std::int64_t>());
}

// The averages, in the dtypes that the parameters have now.
const Parameters& WeightAverage::averages() const {
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    Parameter a = averages_[i];
    a.to(parameters_[i].dtype());
  }
  return averages_;
}

void WeightAverage::update() {
  check_in_place();
  averages();
  if (!program_.defined()) {
    program_ = compile([this](const Var& start) { update(start); }, {Signature()},
                       {.name = "average of weights", .recompile = true});
  }
  program_(0.0);
}

void WeightAverage::update(const Var& recorded) {
  check_in_place();
  const Var updates = beside(updates_, recorded), swapped = beside(swapped_, recorded);
  const Var count = apply(kInPlace, {&updates, &swapped}), t = cast(count, f64);
  const Var d = options_.warm_up ? minimum((t + 1) / (t + 10), options_.decay)
                                 : Var(Tensor::scalar(options_.decay));
  averages();
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    const Var p = beside(parameters_[i], recorded), a = beside(averages_[i], recorded);
    assign(averages_[i], multiply_add(p - a, cast(1 - d, p.dtype()), a));
  }
  assign(updates_, count + 1);
}

WeightAverage::Swapped WeightAverage::swap_in() {
  check_in_place();
  return Swapped(*this);
}

void WeightAverage::swap() {
  averages();
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    const Tensor average = averages_[i].value();
    averages_[i].assign(parameters_[i].value());
    parameters_[i].assign(average);
  }
  swapped_.assign(Tensor::scalar(1 - swapped_.value().item(), i64));
}

void WeightAverage::assign_to_parameters() {
  check_in_place();
  averages();
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    parameters_[i].assign(averages_[i].value());
  }
}

Parameters WeightAverage::state() const {
  check_in_place();
  Parameters all{updates_};
  all.insert(all.end(), averages().begin(), averages().end());
  return all;
}

}  // namespace xtape::optim
