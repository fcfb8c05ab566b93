#include <cmath>
#include <cstring>

#include <xtape/autodiff/gradient.hpp>
#include <xtape/autodiff/op.hpp>
#include <xtape/fit/modes.hpp>
#include <xtape/fit/stepper.hpp>

namespace xtape::fit::detail {
namespace {

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

std::vector<Var> on_tape(Tape& tape, const std::vector<Tensor>& values) {
  std::vector<Var> out;
  for (const Tensor& t : values) out.push_back(tape.input(t));
  return out;
}

}  // namespace

void check_loss(double loss) {
  if (std::isfinite(loss)) return;
  throw ValueError("loss", std::string("the loss is ") + (std::isnan(loss) ? "nan" : "infinite") +
                               ": nothing is learned where it is NaN or infinite, lower the "
                               "learning rate or clip gradients");
}

std::vector<Spec> specs(const std::vector<Tensor>& all) {
  std::vector<Spec> out;
  for (const Tensor& t : all) out.push_back(t.spec());
  return out;
}

std::vector<Tensor> arguments(const data::Batch& batch) {
  std::vector<Tensor> all{batch.inputs};
  all.insert(all.end(), batch.more.begin(), batch.more.end());
  all.push_back(batch.labels);
  return all;
}

Var outputs(const nn::Module& net, std::span<const Var> arguments) {
  return net(arguments.first(arguments.size() - 1));
}

Parameters live(const Parameters& all) {
  Parameters out;
  for (const Parameter& p : all) {
    if (!p.frozen()) out.push_back(p);
  }
  if (out.empty()) throw ValueError("fit", "every parameter of the optimizer is frozen");
  return out;
}

Stepper::Stepper(const nn::Module& net, optim::Optimizer& optimizer, const Loss& loss,
                 const Options& options, optim::WeightAverage* average)
    : net_(net),
      optimizer_(optimizer),
      loss_(loss),
      options_(options),
      average_(average),
      frozen_(frozen_of(optimizer.parameters())) {
  live(optimizer.parameters());  // throws when there is none
  if (options.accumulate > 1) sums_.emplace(optimizer.parameters());
}

template <class Gradients>
Gradients Stepper::clipped(Gradients gradients) const {
  return options_.clip_norm > 0 ? optim::clip_by_norm(gradients, options_.clip_norm) : gradients;
}

Var Stepper::record(std::span<const Var> arguments) {
  const Var loss = loss_(outputs(net_, arguments), arguments.back());
  const std::vector<Var> gradients = gradient(loss, optimizer_.parameters());
  if (sums_) {
    sums_->add(gradients, static_cast<double>(rows(arguments[0].value())));
  } else {
    optimizer_.step(clipped(gradients));
    if (average_) average_->update(loss);
  }
  return apply(kFiniteLoss, {&loss});
}

void Stepper::move(const Tensors& gradients) {
  optimizer_.step(clipped(gradients));
  if (average_) average_->update();
}

double Stepper::eagerly(const data::Batch& batch) {
  Tape tape;
  const std::vector<Var> taped = on_tape(tape, arguments(batch));
  const Var loss = loss_(outputs(net_, taped), batch.labels);
  const double value = loss.item();
  check_loss(value);
  const Tensors gradients = tape.gradient(loss, optimizer_.parameters());
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
    modes_ = modes_of(net_);
    program_ = compile([this](std::span<const Var> a) { return std::vector<Var>{record(a)}; },
                       specs(arguments(batch)), {.name = "training step", .recompile = true});
  }
  return program_.run(arguments(batch))[0].item();
}

// A callback may have frozen or thawed parameters, or changed between train() and eval().
void Stepper::follow_callbacks() {
  if (program_.defined() && modes_ != modes_of(net_)) program_ = {};
  const std::vector<bool> frozen = frozen_of(optimizer_.parameters());
  if (frozen == frozen_) return;
  if (waiting_ > 0) {
    throw ValueError("fit",
                     "parameters were frozen or thawed between batches that are accumulated: "
                     "do it behind a step");
  }
  live(optimizer_.parameters());
  frozen_ = frozen;
  program_ = {};
}

double Stepper::train(const data::Batch& batch, bool last) {
  follow_callbacks();
  const double loss = run(batch);
  if (!sums_) return loss;
  if (++waiting_ == options_.accumulate || last) {
    move(sums_->mean());
    sums_->clear();
    waiting_ = 0;
  }
  return loss;
}

QuasiNewtonStepper::QuasiNewtonStepper(const nn::Module& net, optim::LBFGS& optimizer,
                                       const Loss& loss, const Options& options,
                                       optim::WeightAverage* average)
    : net_(net),
      optimizer_(optimizer),
      loss_(loss),
      compiled_(options.compiled),
      average_(average),
      live_(live(optimizer.parameters())) {
  const char* const foreign = options.schedule         ? "a schedule"
                              : options.momentum       ? "a momentum"
                              : options.plateau        ? "a plateau"
                              : options.clip_norm > 0  ? "clip_norm"
                              : options.accumulate > 1 ? "accumulate"
                                                       : nullptr;
  if (foreign) {
    throw ValueError("fit", std::string(foreign) +
                                " and L-BFGS: its searches choose the lengths "
                                "of steps, leave it out");
  }
}

optim::Evaluation QuasiNewtonStepper::evaluate(const std::vector<Tensor>& arguments) {
  optim::Evaluation e;
  Tensors gradients;
  if (compiled_) {
    const auto both = [this](std::span<const Var> a) {
      const Var loss = loss_(outputs(net_, a), a.back());
      std::vector<Var> out = gradient(loss, live_);
      out.push_back(loss);
      return out;
    };
    if (!program_.defined()) {
      modes_ = modes_of(net_);
      program_ = compile(both, specs(arguments), {.name = "loss and gradients", .recompile = true});
    }
    const std::vector<Tensor>& out = program_.run(arguments);
    e.loss = out.back().item();
    gradients.assign(out.begin(), out.end() - 1);
  } else {
    Tape tape;
    const std::vector<Var> taped = on_tape(tape, arguments);
    const Var loss = loss_(outputs(net_, taped), taped.back());
    e.loss = loss.item();
    gradients = tape.gradient(loss, live_);
  }
  std::size_t next = 0;
  for (const Parameter& p : optimizer_.parameters()) {
    e.gradients.push_back(p.frozen() ? Tensor() : gradients.at(next++));
  }
  return e;
}

double QuasiNewtonStepper::train(const data::Batch& batch, bool) {
  if (program_.defined() && modes_ != modes_of(net_)) program_ = {};
  const std::vector<Tensor> all = arguments(batch);
  const double loss = optimizer_.step([&] { return evaluate(all); });
  check_loss(loss);
  if (average_) average_->update();
  return loss;
}

}  // namespace xtape::fit::detail
