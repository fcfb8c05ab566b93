#include <cmath>
#include <cstring>

#include <xtape/autodiff/gradient.hpp>
#include <xtape/autodiff/op.hpp>
#include <xtape/fit/stepper.hpp>

namespace xtape::fit::detail {
namespace {

void check_loss(double loss) {
  if (std::isfinite(loss)) return;
  throw ValueError("loss", std::string("the loss is ") + (std::isnan(loss) ? "nan" : "infinite") +
                               ": nothing is learned where it is NaN or infinite, lower the "
                               "learning rate or clip gradients");
}

// y = x, a single number, refused when it is not finite: before a program changes anything.
constexpr Op kFiniteLoss{
    .name = "finite_loss",
    .infer = [](const InferArgs& a) { return *a.in[0]; },
    .kernel =
        [](const KernelArgs& a) {
          dispatch_floating(a.spec.dtype, [&](auto zero) {
            using T = decltype(zero);
            check_loss(static_cast<double>(*static_cast<const T*>(a.in[0].data)));
          });
          std::memcpy(a.out, a.in[0].data, a.spec.nbytes());
        },
    .throws = true};

std::int64_t rows(const Tensor& t) { return t.shape()[0]; }

}  // namespace

Stepper::Stepper(const nn::Module& net, optim::Optimizer& optimizer, const Loss& loss,
                 const Options& options, optim::WeightAverage* average)
    : net_(net), optimizer_(optimizer), loss_(loss), options_(options), average_(average) {
  for (const Parameter& p : optimizer.parameters()) {
    if (!p.frozen()) live_.push_back(p);
  }
  if (live_.empty()) throw ValueError("fit", "every parameter of the optimizer is frozen");
  if (options.accumulate > 1) sums_.emplace(live_);
}

template <class Gradients>
Gradients Stepper::clipped(Gradients gradients) const {
  return options_.clip_norm > 0 ? optim::clip_by_norm(gradients, options_.clip_norm) : gradients;
}

// With something in the places of frozen parameters, which the optimizer does not look at.
template <class T>
std::vector<T> Stepper::spread(const std::vector<T>& gradients) const {
  std::vector<T> all(optimizer_.parameters().size(), gradients[0]);
  std::size_t next = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!optimizer_.parameters()[i].frozen()) all[i] = gradients.at(next++);
  }
  return all;
}

Var Stepper::record(const Var& x, const Var& targets) {
  const Var loss = loss_(net_(x), targets);
  const std::vector<Var> gradients = gradient(loss, live_);
  if (sums_) {
    sums_->add(gradients, static_cast<double>(rows(x.value())));
  } else {
    optimizer_.step(spread(clipped(gradients)));
    if (average_) average_->update(loss);
  }
  return apply(kFiniteLoss, {&loss});
}

void Stepper::move(const Tensors& gradients) {
  const std::vector<Tensor> all = spread<Tensor>(clipped(gradients));
  optimizer_.step(std::span<const Tensor>(all));
  if (average_) average_->update();
}

double Stepper::eagerly(const data::Batch& batch) {
  Tape tape;
  const Var loss = loss_(net_(tape.input(batch.inputs)), batch.labels);
  const double value = loss.item();
  check_loss(value);
  const Tensors gradients = tape.gradient(loss, live_);
  if (sums_) {
    sums_->add(gradients, static_cast<double>(rows(batch.inputs)));
  } else {
    move(gradients);
  }
  return value;
}

double Stepper::run(const data::Batch& batch) {
  if (!options_.compiled) return eagerly(batch);
  if (!program_.defined()) {
    program_ = compile([this](const Var& x, const Var& targets) { return record(x, targets); },
                       {batch.inputs, batch.labels}, {.name = "training step", .recompile = true});
  }
  return program_(batch.inputs, batch.labels).item();
}

double Stepper::train(const data::Batch& batch, bool last) {
  const double loss = run(batch);
  if (!sums_) return loss;
  if (++waiting_ == options_.accumulate || last) {
    move(sums_->mean());
    sums_->clear();
    waiting_ = 0;
  }
  return loss;
}

}  // namespace xtape::fit::detail
