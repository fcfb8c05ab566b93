// 11. The parameters of a differential equation, fitted through its solver.
//
// Hares and lynxes: u' = αu − βuv, v' = δuv − γv. Forty noisy observations of a run from known
// numbers; the four parameters and the start are found again by gradients of the squared error
// through every step of a Runge–Kutta solver. Nothing is special about the solver: it is ordinary
// code on recorded values.
#include <cstdio>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

constexpr double kStep = 0.1;
constexpr int kObservations = 40, kStepsBetween = 3;

Var slope(const Var& state, const Var& p) {
  const Var u = select(state, 0, 0), v = select(state, 0, 1);
  const auto k = [&](std::int64_t i) { return select(p, 0, i); };
  return stack({k(0) * u - k(1) * u * v, k(2) * u * v - k(3) * v});
}

Var runge_kutta(const Var& y, const Var& p) {
  const Var a = slope(y, p), b = slope(y + 0.5 * kStep * a, p);
  const Var c = slope(y + 0.5 * kStep * b, p), d = slope(y + kStep * c, p);
  return y + kStep / 6 * (a + 2 * b + 2 * c + d);
}

Var trajectory(Var y, const Var& p) {
  std::vector<Var> seen;
  for (int i = 0; i < kObservations; ++i) {
    for (int k = 0; k < kStepsBetween; ++k) y = runge_kutta(y, p);
    seen.push_back(y);
  }
  return stack(seen);
}

}  // namespace

int main() {
  const Tensor truth{1.1, 0.4, 0.1, 0.4}, start{10, 5};
  Rng rng(1);
  const Tensor clean = trajectory(start, truth).value();
  const Tensor observed = (clean + rng.normal(clean.shape(), 0, 0.05, f64)).value();

  // Logarithms, so that nothing becomes negative.
  Parameter log_p(log(Tensor{0.8, 0.3, 0.15, 0.6}).value(), "log p");
  Parameter log_y(log(Tensor{9, 6}).value(), "log y");
  const auto error = [&](Tape& tape) {
    const Var p = exp(tape.parameter(log_p)), y = exp(tape.parameter(log_y));
    return nn::mse_loss(log(trajectory(y, p)), log(observed));
  };
  const GradcheckReport report = gradcheck_parameters(error, {log_p, log_y});
  expect("the gradient through 120 solver steps is right", report.ok());

  optim::LBFGS lbfgs({log_p, log_y}, {.max_iterations = 200});
  const double before = [&] {
    Tape tape;
    return error(tape).item();
  }();
  lbfgs.step([&]() -> optim::Evaluation {
    Tape tape;
    const Var e = error(tape);
    const double loss = e.item();
    return {loss, tape.gradient(e, {log_p, log_y})};
  });
  const Tensor p = exp(log_p.value()).value(), y = exp(log_y.value()).value();
  const char* names[] = {"alpha", "beta", "delta", "gamma"};
  for (std::int64_t i = 0; i < 4; ++i) expect(names[i], p.flat(i), truth.flat(i), 0.03);
  expect("hares at the start", y.flat(0), 10, 0.3);
  expect("lynxes at the start", y.flat(1), 5, 0.3);
  Tape tape;
  std::printf("  error %.3g before, %.3g after\n", before, error(tape).item());
  return failures != 0;
}
