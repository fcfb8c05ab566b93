#pragma once

#include <xtape/optim/optimizer.hpp>

// Adam and its kin: averages of the gradient and of its square,
//
//     m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;  m̂ = m / (1 − β₁ᵗ);  v̂ = v / (1 − β₂ᵗ),
//
// in step t = 1, 2, … of the parameter. State: mean (m) and square (v). set_momentum() sets β₁.
// With weight decay λ, g is the gradient plus λ p, where nothing else is said.
namespace xtape::optim {

/// What they have in common: β₁ is the momentum, and the factors of m̂ and v̂ depend on t.
template <class Derived, class Options>
class AdamRule : public Rule<Derived, Options> {
 public:
  using Rule<Derived, Options>::Rule;
  /// As Rule says.
  static std::optional<double> momentum_of(const Options& o) { return o.beta1; }
  /// As Rule says.
  static bool counts_of(const Options&) { return true; }
};

/// Settings of Adam.
struct AdamOptions {
  double learning_rate = 1e-3;  ///< η ≥ 0.
  double beta1 = 0.9;           ///< In [0, 1).
  double beta2 = 0.999;         ///< In [0, 1).
  double epsilon = 1e-8;        ///< ε > 0.
  double weight_decay = 0;      ///< λ ≥ 0.
  bool amsgrad = false;         ///< The largest v so far in place of v; a third state, peak.
  bool maximize = false;        ///< −g in place of g.
};

/// p ← p − η m̂ / (√v̂ + ε). Kingma and Ba, "Adam: a method for stochastic optimization", 2015;
/// amsgrad: Reddi et al., "On the convergence of Adam and beyond", 2018.
class Adam : public AdamRule<Adam, AdamOptions> {
 public:
  using AdamRule::AdamRule;
  static void check(const AdamOptions& o);                   ///< As Rule says.
  static std::vector<State> state_of(const AdamOptions& o);  ///< As Rule says.

 protected:
  void update(Update& u) override;
};

/// Settings of AdamW.
struct AdamWOptions {
  double learning_rate = 1e-3;  ///< η ≥ 0.
  double beta1 = 0.9;           ///< In [0, 1).
  double beta2 = 0.999;         ///< In [0, 1).
  double epsilon = 1e-8;        ///< ε > 0.
  double weight_decay = 0.01;   ///< λ ≥ 0, of the weights themselves.
  bool amsgrad = false;         ///< As for Adam.
  bool maximize = false;        ///< −g in place of g.
};

/// Adam whose weight decay does not go through the averages: p ← (1 − η λ) p − η m̂ / (√v̂ + ε).
/// Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
class AdamW : public AdamRule<AdamW, AdamWOptions> {
 public:
  using AdamRule::AdamRule;
  static void check(const AdamWOptions& o);                   ///< As Rule says.
  static std::vector<State> state_of(const AdamWOptions& o);  ///< As Rule says.

 protected:
  void update(Update& u) override;
};

/// Settings of Adamax.
struct AdamaxOptions {
  double learning_rate = 2e-3;  ///< η ≥ 0.
  double beta1 = 0.9;           ///< In [0, 1).
  double beta2 = 0.999;         ///< In [0, 1).
  double epsilon = 1e-8;        ///< ε > 0.
  double weight_decay = 0;      ///< λ ≥ 0.
  bool maximize = false;        ///< −g in place of g.
};

/// Adam with the largest gradient in place of the square: u ← max(β₂ u, |g| + ε), p ← p − η m̂ / u.
/// State: mean (m), peak (u). Kingma and Ba 2015, section 7.
class Adamax : public AdamRule<Adamax, AdamaxOptions> {
 public:
  using AdamRule::AdamRule;
  static void check(const AdamaxOptions& o);                   ///< As Rule says.
  static std::vector<State> state_of(const AdamaxOptions& o);  ///< As Rule says.

 protected:
  void update(Update& u) override;
};

/// Settings of NAdam.
struct NAdamOptions {
  double learning_rate = 2e-3;   ///< η ≥ 0.
  double beta1 = 0.9;            ///< In [0, 1).
  double beta2 = 0.999;          ///< In [0, 1).
  double epsilon = 1e-8;         ///< ε > 0.
  double weight_decay = 0;       ///< λ ≥ 0.
  double momentum_decay = 4e-3;  ///< ψ ≥ 0.
  bool maximize = false;         ///< −g in place of g.
};

/// Adam with Nesterov's momentum: with μₜ = β₁ (1 − 0.96^(t ψ) / 2) and Pₜ = μ₁ … μₜ,
///
///     p ← p − η (μₜ₊₁ m / (1 − Pₜ₊₁) + (1 − μₜ) g / (1 − Pₜ)) / (√v̂ + ε).
///
/// State: mean (m), square (v), product (P, a number). Dozat, "Incorporating Nesterov momentum into
/// Adam", 2016.
class NAdam : public AdamRule<NAdam, NAdamOptions> {
 public:
  using AdamRule::AdamRule;
  static void check(const NAdamOptions& o);                   ///< As Rule says.
  static std::vector<State> state_of(const NAdamOptions& o);  ///< As Rule says.

 protected:
  void update(Update& u) override;
};

/// Settings of RAdam.
struct RAdamOptions {
  double learning_rate = 1e-3;  ///< η ≥ 0.
  double beta1 = 0.9;           ///< In [0, 1).
  double beta2 = 0.999;         ///< In [0, 1).
  double epsilon = 1e-8;        ///< ε > 0.
  double weight_decay = 0;      ///< λ ≥ 0.
  bool maximize = false;        ///< −g in place of g.
};

/// Adam that takes m̂ itself while too few squares are known. With ρ∞ = 2 / (1 − β₂) − 1 and
/// ρ = ρ∞ − 2t β₂ᵗ / (1 − β₂ᵗ),
///
///     p ← p − η m̂                                 for ρ ≤ 5,
///     p ← p − η r m̂ √(1 − β₂ᵗ) / (√v + ε),       r² = (ρ − 4)(ρ − 2) ρ∞ / ((ρ∞ − 4)(ρ∞ − 2) ρ).
///
/// Liu et al., "On the variance of the adaptive learning rate and beyond", 2020.
class RAdam : public AdamRule<RAdam, RAdamOptions> {
 public:
  using AdamRule::AdamRule;
  static void check(const RAdamOptions& o);                   ///< As Rule says.
  static std::vector<State> state_of(const RAdamOptions& o);  ///< As Rule says.

 protected:
  void update(Update& u) override;
};

/// Settings of Lamb.
struct LambOptions {
  double learning_rate = 1e-3;  ///< η ≥ 0.
  double beta1 = 0.9;           ///< In [0, 1).
  double beta2 = 0.999;         ///< In [0, 1).
  double epsilon = 1e-6;        ///< ε > 0.
  double weight_decay = 0.01;   ///< λ ≥ 0, beside the direction.
  bool maximize = false;        ///< −g in place of g.
};

/// Adam for large batches: with r = m̂ / (√v̂ + ε) + λ p, each parameter moves by a part of its own
/// length, p ← p − η (‖p‖ / ‖r‖) r, the quotient being 1 where either is 0. You et al., "Large
/// batch optimization for deep learning: training BERT in 76 minutes", 2020, with φ(z) = z.
class Lamb : public AdamRule<Lamb, LambOptions> {
 public:
  using AdamRule::AdamRule;
  static void check(const LambOptions& o);                   ///< As Rule says.
  static std::vector<State> state_of(const LambOptions& o);  ///< As Rule says.

 protected:
  void update(Update& u) override;
};

}  // namespace xtape::optim
