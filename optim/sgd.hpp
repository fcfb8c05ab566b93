#pragma once

#include <xtape/optim/optimizer.hpp>

// Gradient descent.
namespace xtape::optim {

/// Settings of SGD.
struct SGDOptions {
  /// η ≥ 0.
  double learning_rate = 0.01;
  double momentum = 0;      ///< μ in [0, 1). Without it set_momentum() throws.
  double dampening = 0;     ///< δ in [0, 1].
  double weight_decay = 0;  ///< λ ≥ 0: adds λ p to the gradient.
  bool nesterov = false;    ///< Needs momentum > 0 and dampening 0.
  bool maximize = false;    ///< Climbs: −g in place of g.
};

/// Stochastic gradient descent. With d = g + λ p,
///
///     p ← p − η d                                       without momentum;
///     v ← d in the first step, μ v + (1 − δ) d then;
///     p ← p − η v, with nesterov p ← p − η (d + μ v).
///
/// State: momentum (v). Sutskever et al., "On the importance of initialization and momentum in deep
/// learning", ICML 2013, in the form of torch.optim.SGD.
class SGD : public Rule<SGD, SGDOptions> {
 public:
  using Rule::Rule;
  static void check(const SGDOptions& o);                         ///< As Rule says.
  static std::vector<State> state_of(const SGDOptions& o);        ///< As Rule says.
  static std::optional<double> momentum_of(const SGDOptions& o);  ///< As Rule says.
  /// As Rule says.
  static bool counts_of(const SGDOptions& o) { return o.dampening != 0; }

 protected:
  void update(Update& u) override;
};

/// Settings of ASGD.
struct ASGDOptions {
  double learning_rate = 0.01;  ///< η ≥ 0.
  double lambda = 1e-4;         ///< Decay of weights and rate, ≥ 0.
  double alpha = 0.75;          ///< Power of the decay of the rate.
  double start = 1e6;           ///< t₀: steps before averaging begins.
  double weight_decay = 0;      ///< λ ≥ 0: adds λ p to the gradient.
  bool maximize = false;        ///< −g in place of g.
};

/// Averaged stochastic gradient descent: in step t, with ηₜ = η / (1 + λ η (t − 1))^α,
///
///     p ← (1 − λ ηₜ) p − ηₜ g;  a ← a + (p − a) / max(1, t − 1 − t₀).
///
/// State: average (a). Polyak and Juditsky, "Acceleration of stochastic approximation by
/// averaging", 1992, in the form of torch.optim.ASGD.
class ASGD : public Rule<ASGD, ASGDOptions> {
 public:
  using Rule::Rule;
  /// a, for parameter i.
  const Tensor& averaged(std::size_t i) const { return state(i, 0).value(); }
  static void check(const ASGDOptions& o);                   ///< As Rule says.
  static std::vector<State> state_of(const ASGDOptions& o);  ///< As Rule says.
  /// As Rule says.
  static bool counts_of(const ASGDOptions&) { return true; }

 protected:
  void update(Update& u) override;
};

}  // namespace xtape::optim
