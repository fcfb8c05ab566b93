#pragma once

#include <xtape/optim/optimizer.hpp>

// Rules with a rate for each element, from the squares of its gradients. With weight decay λ, g is
// the gradient plus λ p.
namespace xtape::optim {

/// Settings of Adagrad.
struct AdagradOptions {
  double learning_rate = 0.01;     ///< η ≥ 0.
  double rate_decay = 0;           ///< γ ≥ 0.
  double weight_decay = 0;         ///< λ ≥ 0.
  double initial_accumulator = 0;  ///< s before the first step, ≥ 0.
  double epsilon = 1e-10;          ///< ε > 0.
  bool maximize = false;           ///< −g in place of g.
};

/// s ← s + g², p ← p − η / (1 + (t − 1) γ) · g / (√s + ε). State: sum (s). Duchi et al., "Adaptive
/// subgradient methods for online learning and stochastic optimization", 2011.
class Adagrad : public Rule<Adagrad, AdagradOptions> {
 public:
  using Rule::Rule;
  static void check(const AdagradOptions& o);                   ///< As Rule says.
  static std::vector<State> state_of(const AdagradOptions& o);  ///< As Rule says.
  /// As Rule says.
  static bool counts_of(const AdagradOptions& o) { return o.rate_decay != 0; }

 protected:
  void update(Update& u) override;
};

/// Settings of RMSprop.
struct RMSpropOptions {
  double learning_rate = 0.01;  ///< η ≥ 0.
  double alpha = 0.99;          ///< In [0, 1).
  double epsilon = 1e-8;        ///< ε > 0.
  double weight_decay = 0;      ///< λ ≥ 0.
  double momentum = 0;          ///< μ in [0, 1). Without it set_momentum() throws.
  bool centered = false;        ///< The variance in place of the square.
  bool maximize = false;        ///< −g in place of g.
};

/// v ← α v + (1 − α) g², q = g / (√v + ε), p ← p − η q; centered: v less the square of the average
/// of g; with momentum b ← μ b + q, p ← p − η b. State: square (v), mean where centered, momentum
/// (b). Tieleman and Hinton, "Lecture 6.5: rmsprop", 2012; centered: Graves, "Generating sequences
/// with recurrent neural networks", 2013.
class RMSprop : public Rule<RMSprop, RMSpropOptions> {
 public:
  using Rule::Rule;
  static void check(const RMSpropOptions& o);                         ///< As Rule says.
  static std::vector<State> state_of(const RMSpropOptions& o);        ///< As Rule says.
  static std::optional<double> momentum_of(const RMSpropOptions& o);  ///< As Rule says.

 protected:
  void update(Update& u) override;
};

/// Settings of Adadelta.
struct AdadeltaOptions {
  double learning_rate = 1;  ///< η ≥ 0.
  double rho = 0.9;          ///< ρ in [0, 1).
  double epsilon = 1e-6;     ///< ε > 0.
  double weight_decay = 0;   ///< λ ≥ 0.
  bool maximize = false;     ///< −g in place of g.
};

/// v ← ρ v + (1 − ρ) g², d = √(a + ε) / √(v + ε) · g, a ← ρ a + (1 − ρ) d², p ← p − η d. State:
/// square (v), moved (a). Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
class Adadelta : public Rule<Adadelta, AdadeltaOptions> {
 public:
  using Rule::Rule;
  static void check(const AdadeltaOptions& o);                   ///< As Rule says.
  static std::vector<State> state_of(const AdadeltaOptions& o);  ///< As Rule says.

 protected:
  void update(Update& u) override;
};

}  // namespace xtape::optim
