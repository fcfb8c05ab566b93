#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <xtape/autodiff/program.hpp>
#include <xtape/data/dataset.hpp>
#include <xtape/fit/metrics.hpp>
#include <xtape/nn/module.hpp>

namespace xtape::fit {

/// The loss of outputs for targets, a scalar: the mean over the examples of a batch. That of
/// nn::loss(name).f, or any function.
using Loss = std::function<Var(const Var& outputs, const Var& targets)>;

/// What evaluate() found.
struct Evaluation {
  double loss = 0;              ///< The mean over all examples.
  std::vector<double> metrics;  ///< In their order.
};

/// How evaluate() goes about it.
struct EvaluateOptions {
  std::int64_t batch_size = 0;  ///< 0: all at once.
  bool compiled = true;         ///< As a Program.
};

/// Loss and metrics of a network in the mode eval(); afterwards every module has the mode it had,
/// also when something throws. Metrics are reset first. @throws ValueError without examples, and
/// what network, loss and metrics throw.
Evaluation evaluate(nn::Module& net, const Loss& loss, const data::Dataset& data,
                    const Metrics& metrics = {}, const EvaluateOptions& options = {});

/// The outputs for `inputs` [n, …] in the mode eval(), as evaluate(). @throws as the network, and
/// ValueError for a negative batch size.
Tensor predict(nn::Module& net, const Tensor& inputs, std::int64_t batch_size = 0);
/// The same for a network of several inputs, [n, …] each. @throws ShapeError when they differ in n.
Tensor predict(nn::Module& net, const std::vector<Tensor>& inputs, std::int64_t batch_size = 0);

namespace detail {
/// evaluate() again and again, with one program. The network and the loss must stay.
class Evaluator {
 public:
  Evaluator(nn::Module& net, const Loss& loss, const EvaluateOptions& options)
      : net_(net), loss_(loss), options_(options) {}
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  Evaluation operator()(const data::Dataset& data, const Metrics& metrics);

 private:
  std::vector<Tensor> run(const data::Batch& batch);

  nn::Module& net_;
  const Loss& loss_;
  EvaluateOptions options_;
  Program program_;
};
}  // namespace detail

}  // namespace xtape::fit
