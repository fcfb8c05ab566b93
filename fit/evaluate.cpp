#include <xtape/autodiff/error.hpp>
#include <xtape/fit/evaluate.hpp>
#include <xtape/fit/modes.hpp>
#include <xtape/fit/stepper.hpp>

namespace xtape::fit {
namespace detail {

// Outputs and loss.
std::vector<Tensor> Evaluator::run(const data::Batch& batch) {
  const auto both = [this](std::span<const Var> arguments) {
    const Var y = outputs(net_, arguments);
    return std::vector<Var>{y, loss_(y, arguments.back())};
  };
  const std::vector<Tensor> all = arguments(batch);
  if (!options_.compiled) {
    std::vector<Var> constants;
    for (const Tensor& t : all) constants.push_back(no_grad(t));
    const std::vector<Var> out = both(constants);
    return {out[0].value(), out[1].value()};
  }
  if (!program_.defined()) {
    program_ = compile(both, specs(all), {.name = "evaluation", .recompile = true});
  }
  return program_.run(all);
}

Evaluation Evaluator::operator()(const data::Dataset& data, const Metrics& metrics) {
  if (data.size() == 0) throw ValueError("evaluate", "there are no examples");
  const Modes modes(net_);
  net_.eval();
  for (const auto& m : metrics) m->reset();
  double total = 0;
  for (const data::Batch& batch : data::batches(data, options_.batch_size)) {
    const std::vector<Tensor> out = run(batch);
    total += out[1].item() * static_cast<double>(batch.inputs.shape()[0]);
    for (const auto& m : metrics) m->add(out[0], batch.labels);
  }
  Evaluation e{total / static_cast<double>(data.size()), {}};
  for (const auto& m : metrics) e.metrics.push_back(m->value());
  return e;
}

}  // namespace detail

Evaluation evaluate(nn::Module& net, const Loss& loss, const data::Dataset& data,
                    const Metrics& metrics, const EvaluateOptions& options) {
  return detail::Evaluator(net, loss, options)(data, metrics);
}

Tensor predict(nn::Module& net, const Tensor& inputs, std::int64_t batch_size) {
  return predict(net, std::vector<Tensor>{inputs}, batch_size);
}

Tensor predict(nn::Module& net, const std::vector<Tensor>& inputs, std::int64_t batch_size) {
  if (inputs.empty()) throw ValueError("predict", "no inputs");
  const detail::Modes modes(net);
  net.eval();
  const auto run = [&](const std::vector<Tensor>& xs) {
    std::vector<Var> constants;
    for (const Tensor& x : xs) constants.push_back(no_grad(x));
    return net(std::span<const Var>(constants)).value();
  };
  data::Dataset rows;
  rows.inputs = rows.labels = inputs[0];
  rows.more.assign(inputs.begin() + 1, inputs.end());
  std::vector<Var> parts;
  for (const data::Batch& batch : data::batches(rows, batch_size)) {
    std::vector<Tensor> xs = detail::arguments(batch);
    xs.pop_back();  // what stands in for labels
    parts.push_back(run(xs));
  }
  if (parts.size() == 1) return parts[0].value();
  return parts.empty() ? run(inputs) : concat(parts, 0).value();
}

}  // namespace xtape::fit
