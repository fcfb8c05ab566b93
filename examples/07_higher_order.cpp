// 7. Derivatives of derivatives: a gradient is recorded on the same tape, so it can be
// differentiated like anything else.
#include <cstdio>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

Var rosenbrock(const Var& x) {
  const Var a = slice(x, 0, {0, 1}), b = slice(x, 0, {1, 2});
  return sum(square(1 - a) + 100 * square(b - square(a)));
}

// One row per element of the gradient.
Tensor hessian(Tape& tape, const Var& g, const Var& x) {
  std::vector<Var> rows;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    rows.push_back(tape.gradient(sum(slice(g, 0, {i, i + 1})), x, {.keep_tape = true}));
  }
  return stack(rows).value();
}

}  // namespace

int main() {
  std::printf("sin and its derivatives at 0.7:\n");
  Tape tape;
  const Var x = tape.variable(Tensor::scalar(0.7));
  Var d = sin(x);
  const double expected[] = {std::cos(.7), -std::sin(.7), -std::cos(.7),
                             std::sin(.7), std::cos(.7),  -std::sin(.7)};
  for (int n = 1; n <= 6; ++n) {
    d = gradient(d, x);
    expect(("derivative " + std::to_string(n)).c_str(), d.item(), expected[n - 1], 1e-14);
  }

  std::printf("the Hessian of Rosenbrock's function at (-1.2, 1):\n");
  {
    Tape t;
    const Var p = t.variable(Tensor({-1.2, 1}));
    const Tensor H = hessian(t, gradient(rosenbrock(p), p), p);
    expect("H11 = 1200 a^2 - 400 b + 2", H.at({0, 0}), 1330, 1e-9);
    expect("H12 = -400 a", H.at({0, 1}), 480, 1e-9);
    expect("H21", H.at({1, 0}), 480, 1e-9);
    expect("H22", H.at({1, 1}), 200, 1e-9);
  }

  std::printf("Newton's method from there:\n");
  double a = -1.2, b = 1;
  int steps = 0;
  for (double size = 1; size > 1e-12 && steps < 20; ++steps) {
    Tape t;
    const Var p = t.variable(Tensor({a, b}));
    const Var g = gradient(rosenbrock(p), p);
    const Tensor H = hessian(t, g, p);
    const double h11 = H.flat(0), h12 = H.flat(1), h22 = H.flat(3), det = h11 * h22 - h12 * h12;
    const double g1 = g.value().flat(0), g2 = g.value().flat(1);
    a -= (h22 * g1 - h12 * g2) / det;
    b -= (h11 * g2 - h12 * g1) / det;
    size = std::hypot(g1, g2);
    std::printf("  step %d: gradient norm %.3e -> (%.12f, %.12f)\n", steps + 1, size, a, b);
  }
  expect("a", a, 1, 1e-12);
  expect("b", b, 1, 1e-12);
  expect("steps", steps <= 8);
  return failures != 0;
}
