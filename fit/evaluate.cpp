#include <xtape/autodiff/error.hpp>
#include <xtape/fit/evaluate.hpp>
#include <xtape/fit/modes.hpp>

namespace xtape::fit {
namespace detail {

// Outputs and loss.
std::vector<Tensor> Evaluator::run(const data::Batch& batch) {
  const auto both = [this](const Var& x, const Var& targets) {
    const Var y = net_(x);
    return std::vector<Var>{y, loss_(y, targets)};
  };
  if (!options_.compiled) {
    const std::vector<Var> out = both(no_grad(batch.inputs), batch.labels);
    return {out[0].value(), out[1].value()};
  }
  if (!program_.defined()) {
    program_ =
        compile(both, {batch.inputs, batch.labels}, {.name = "evaluation", .recompile = true});
  }
  return program_.run({batch.inputs, batch.labels});
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
  const detail::Modes modes(net);
  net.eval();
  if (batch_size == 0) return net(no_grad(inputs)).value();
  data::Dataset rows;
  rows.inputs = rows.labels = inputs;
  std::vector<Var> parts;
  for (const data::Batch& batch : data::batches(rows, batch_size)) {
    parts.push_back(net(no_grad(batch.inputs)).value());
  }
  return parts.empty() ? net(no_grad(inputs)).value() : concat(parts, 0).value();
}

}  // namespace xtape::fit
