// 4. The two-layer logistic network in matrices, and its gradients on paper:
//
//     Z₁ = X W₁ + b₁, A₁ = σ(Z₁), Z₂ = A₁ W₂ + b₂, A₂ = σ(Z₂),
//     L  = −mean(Y ln A₂ + (1 − Y) ln(1 − A₂))
//
//     ∂L/∂W₂ = A₁ᵀ (−(Y − A₂)) / m                     ∂L/∂b₂ = 1ᵀ (−(Y − A₂)) / m
//     ∂L/∂W₁ = Xᵀ (−(Y − A₂) W₂ᵀ ⊙ A₁ ⊙ (1 − A₁)) / m   ∂L/∂b₁ = 1ᵀ (…) / m
//
// The tape gives the same numbers without the paper.
#include <cstdio>

#include <xtape/xtape.hpp>

#include "check.hpp"

int main() {
  using namespace xtape;
  Rng rng(7);
  constexpr std::int64_t m = 50, inputs = 3, hidden = 2;
  const Tensor X = rng.normal({m, inputs}, 0, 1, f64);
  const Tensor Y = (cast(Var(rng.uniform({m, 1}, 0, 1, f64)) > 0.5, f64)).value();

  Tape tape;
  const Var W1 = tape.variable(rng.normal({inputs, hidden}, 0, 1, f64));
  const Var b1 = tape.variable(rng.normal({hidden}, 0, 1, f64));
  const Var W2 = tape.variable(rng.normal({hidden, 1}, 0, 1, f64));
  const Var b2 = tape.variable(rng.normal({1}, 0, 1, f64));
  const Var A1 = sigmoid(matmul(X, W1) + b1);
  const Var A2 = sigmoid(matmul(A1, W2) + b2);
  const Var loss = nn::binary_cross_entropy(A2, Y);
  const auto g = tape.gradient(loss, {W1, b1, W2, b2});
  std::printf("logistic loss %.9f\n", loss.item());

  // The same on paper. no_grad keeps the values and drops the history.
  const Var a1 = no_grad(A1), delta = -(Y - no_grad(A2)) / double(m);
  const Var back = matmul(delta, no_grad(W2), {.transpose_b = true}) * a1 * (1 - a1);
  const Var paper[] = {matmul(X, back, {.transpose_a = true}), sum(back, 0),
                       matmul(a1, delta, {.transpose_a = true}), sum(delta, 0)};
  const char* names[] = {"dL/dW1", "dL/db1", "dL/dW2", "dL/db2"};
  for (std::size_t i = 0; i < 4; ++i) {
    const double worst = max(abs(g[i] - paper[i])).item();
    expect((std::string(names[i]) + ": largest difference").c_str(), worst, 0, 1e-12);
  }
  return failures != 0;
}
