#pragma once

#include <xtape/optim/optimizer.hpp>

namespace xtape::optim {

/// Settings of SGD.
struct SGDOptions {
  /// η ≥ 0.
  double learning_rate = 0.01;
  double momentum = 0;      ///< μ in [0, 1).
  double dampening = 0;     ///< δ in [0, 1].
  double weight_decay = 0;  ///< λ ≥ 0: adds λ p to the gradient.
  bool nesterov = false;    ///< Needs momentum > 0 and dampening 0.
};

/// Stochastic gradient descent. With d = g + λ p,
///
///     p ← p − η d                                       without momentum;
///     v ← d in the first step, μ v + (1 − δ) d then;
///     p ← p − η v, with nesterov p ← p − η (d + μ v).
///
/// Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML
/// 2013, in the form of torch.optim.SGD.
class SGD : public Optimizer {
 public:
  /// @throws ValueError for an option outside its range.
  SGD(Parameters parameters, const SGDOptions& options = {});

 protected:
  void update(std::size_t i, Parameter& p, const Var& gradient, const Var& rate) override;

 private:
  Var dampened(std::size_t i, const Var& d);

  SGDOptions options_;
  Parameters velocity_, moved_;
};

}  // namespace xtape::optim
