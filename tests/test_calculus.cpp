#include <cstdlib>

#include <xtape/autodiff/sample.hpp>

#include "support.hpp"

// Derivatives of functions: forward mode, Jacobians, Hessians, rules of one's own.
namespace xtape {
namespace {

using test::relative_difference;

Var rosenbrock(const Var& x) {
  const Var a = slice(x, 0, {0, -1}), b = slice(x, 0, {1});
  return sum(100 * square(b - square(a)) + square(1 - a));
}

Var swirl(const Var& x) { return concat({sin(x) * x, exp(x)}) * sum(x); }

}  // namespace

TEST_CASE("forward mode of every op is the transpose of its gradient", "[calculus][registry]") {
  // ⟨u, J v⟩ = ⟨Jᵀ u, v⟩ for fixed random u and v, eagerly and recorded.
  const char* only = std::getenv("XTAPE_ONLY");
  for (const Op* op : registry()) {
    if (only && op->name != only) continue;
    Rng draw(7);
    for (const Sample& s : op->samples(Sampler{draw, f64, *op})) {
      if (s.inputs.empty()) continue;
      Tape tape;
      std::vector<Var> in, targets, vs;
      Rng rng(11);
      for (const Tensor& t : s.inputs) {
        in.push_back(is_floating(t.dtype()) ? tape.variable(t) : tape.input(t));
        if (!is_floating(t.dtype())) continue;
        targets.push_back(in.back());
        vs.emplace_back(rng.uniform(t.shape(), -1, 1, t.dtype()));
      }
      const Var y = s.call(in);
      if (!is_floating(y.dtype()) || !y.tape() || targets.empty()) continue;
      INFO(op->name << ' ' << s.label);
      const Tensor u = rng.uniform(y.shape(), -1, 1, y.dtype());
      const Tensor forward = tape.jvp(y, targets, vs, Unconnected::zero);
      const Var recorded = jvp(y, targets, vs, Unconnected::zero);
      const auto back = tape.gradient(
          y, targets, {.cotangent = u, .keep_tape = true, .unconnected = Unconnected::zero});
      double expected = 0, scale = 1e-300;
      for (std::size_t i = 0; i < back.size(); ++i) {
        expected += sum(cast(chain(back[i], vs[i]), f64)).item();
        scale += sum(abs(cast(chain(back[i], vs[i]), f64))).item();
      }
      const double tolerance = y.dtype() == f32 ? 1e-5 : 1e-11;
      CHECK(std::abs(sum(cast(Var(u) * forward, f64)).item() - expected) <= tolerance * scale);
      CHECK(relative_difference(recorded.value(), forward) <= tolerance);
    }
  }
}

TEST_CASE("what is flagged linear is", "[calculus][registry]") {
  // y(αx + βz) = αy(x) + βy(z), for all inputs together or with the others fixed. Forward mode
  // applies the op itself, so the sample is asked directly.
  constexpr double kAlpha = 1.5, kBeta = -0.75;
  for (const Op* op : registry()) {
    if (op->linear == Linear::no) continue;
    Rng draw(7), rng(12);
    for (const Sample& s : op->samples(Sampler{draw, f64, *op})) {
      const auto floating = [](const Tensor& t) { return t.dtype() == f64; };
      if (!std::all_of(s.inputs.begin(), s.inputs.end(), floating)) continue;
      const bool each = op->linear == Linear::each;
      for (std::size_t k = 0; k < (each ? s.inputs.size() : 1); ++k) {
        std::vector<Var> x, z, both;
        for (std::size_t i = 0; i < s.inputs.size(); ++i) {
          const bool moves = !each || i == k;
          x.emplace_back(s.inputs[i]);
          z.push_back(moves ? Var(rng.uniform(s.inputs[i].shape(), -1, 1, f64)) : x[i]);
          both.push_back(moves ? kAlpha * x[i] + kBeta * z[i] : x[i]);
        }
        INFO(op->name << ' ' << s.label << " input " << k);
        const Var expected = kAlpha * s.call(x) + kBeta * s.call(z);
        CHECK(relative_difference(s.call(both).value(), expected.value()) <= 1e-12);
      }
    }
  }
}

TEST_CASE("grad, value_and_grad, vjp and jvp of a function", "[calculus]") {
  const Tensor x{0.5, -1.25, 2};
  Tape tape;
  const Var v = tape.variable(x);
  const Tensor expected = tape.gradient(rosenbrock(v), v);
  CHECK(identical(grad(rosenbrock, x), expected));
  const auto [value, slope] = value_and_grad(rosenbrock, x);
  CHECK(value.item() == rosenbrock(x).item());
  CHECK(identical(slope, expected));

  const Tensor J = jacobian(swirl, x), ct{1, -2, 3, 0.5, 0.25, 1}, d{0.1, 0.2, -0.3};
  CHECK(relative_difference(vjp(swirl, x, ct).second, matmul(ct, J).value()) < 1e-14);
  CHECK(relative_difference(jvp(swirl, x, d).second, matmul(J, d).value()) < 1e-14);
  CHECK(identical(jvp(swirl, x, d).first, swirl(x).value()));
}

TEST_CASE("a Jacobian by rows is one by columns, and has both shapes", "[calculus]") {
  const Tensor x({{0.5, -1.25}, {2, 0.1}, {0.3, 0.4}});
  const auto f = [](const Var& m) { return matmul(m, sin(transpose(m))); };
  const Tensor by_rows = jacobian(f, x, JacobianMode::rows);
  CHECK(by_rows.shape() == Shape{3, 3, 3, 2});
  CHECK(relative_difference(jacobian(f, x, JacobianMode::columns), by_rows) < 1e-14);
  CHECK(identical(jacobian(f, x), jacobian(f, x, JacobianMode::columns)));  // 6 columns, 9 rows
  CHECK(jacobian([](const Var& m) { return sum(m); }, x).shape() == x.shape());
  CHECK(identical(jacobian(
                      [](const Var&) {
                        return Var(Tensor{1, 2});
                      },
                      Tensor{3}),
                  Tensor::zeros({2, 1}, f64)));
}

TEST_CASE("a Hessian is symmetric, and hvp multiplies by it", "[calculus]") {
  const Tensor x{0.5, -1.25, 2, 0.75}, v{1, -1, 0.5, 2};
  const Tensor H = hessian(rosenbrock, x);
  CHECK(H.shape() == Shape{4, 4});
  CHECK(relative_difference(transpose(H).value(), H) < 1e-15);
  CHECK(H.at({0, 0}) == Approx(1200 * 0.25 - 400 * -1.25 + 2));
  CHECK(relative_difference(hvp(rosenbrock, x, v), matmul(H, v).value()) < 1e-14);
  CHECK(identical(hessian([](const Var& a) { return sum(3 * a); }, x), Tensor::zeros({4, 4}, f64)));
}

TEST_CASE("derivatives of functions nest, and only the argument counts", "[calculus]") {
  // d/dx (x · d/dy (x y²)) at y = x is d/dx (2 x³) for the inner y alone.
  const Tensor x = Tensor::scalar(1.5);
  const auto outer = [](const Var& a) {
    const Var inner = grad([&](const Var& y) { return a * square(y); }, a);
    return a * inner;  // a · 2 a · a
  };
  CHECK(grad(outer, x).item() == Approx(6 * 1.5 * 1.5));
  const auto third = [](const Var& a) {
    return grad(
        [](const Var& b) {
          return sum(grad([](const Var& c) { return sum(square(c) * square(c)); }, b));
        },
        a);
  };
  CHECK(third(Var(Tensor{2.})).value().item() == Approx(48));
  // Recorded by compile.
  Program p = compile(
      [&](const Var& a) {
        return hvp(rosenbrock, a, Tensor{1, 2, 3});
      },
      {{{3}, f64}});
  const Tensor at{0.5, -1.25, 2};
  CHECK(relative_difference(p(at), hvp(rosenbrock, at, Tensor{1, 2, 3})) < 1e-13);
}

TEST_CASE("jvp refuses what it cannot do", "[calculus]") {
  Tape tape;
  const Var x = tape.variable(Tensor{1, 2}), z = tape.variable(Tensor{1, 2});
  const Var y = sum(x * x);
  const Var short_one = Tensor{1};
  REQUIRE_ERROR(jvp(y, x, short_one), ShapeError, "direction f64(1,) for a target f64(2,)");
  REQUIRE_ERROR(jvp(y, z, z), GradientError, "depends on none of the targets");
  CHECK(jvp(y, z, z, Unconnected::zero).item() == 0);
  tape.gradient(y, x);
  REQUIRE_ERROR(jvp(y, x, x), GradientError, "consumed");
  // A target that depends on another target.
  Tape other;
  const Var a = other.variable(Tensor::scalar(3)), b = a * a;
  const Var targets[] = {a, b}, directions[] = {Tensor::scalar(1), Tensor::scalar(10)};
  CHECK(other.jvp(a * b, targets, directions).item() == 9 + 3 * 6 + 3 * 10);
  Parameter w(Tensor{1, 2}, "w");
  Tape third;
  const Var loss = sum(square(third.parameter(w)));
  w.assign(Tensor{3, 4});
  const Var p = third.used_parameters()[0];
  const Var d = Tensor{1, 1};
  REQUIRE_ERROR(jvp(loss, p, d), TapeError, "'w' was modified");
}

TEST_CASE("by parameters: Jacobian, Hessian product, gradient of each sample", "[calculus]") {
  nn::Sequential net{nn::Dense(3, 4, {.dtype = f64}), nn::Tanh(), nn::Dense(4, 2, {.dtype = f64})};
  Rng rng(3);
  const Tensor x = rng.normal({5, 3}, 0, 1, f64), t = rng.normal({5, 2}, 0, 1, f64);
  const Parameters params = net.parameters();
  const auto J = jacobian([&](Tape& tape) { return net(tape.input(x)); }, params);
  REQUIRE(J.size() == params.size());
  CHECK(J[0].shape() == Shape{5, 2, 4, 3});
  const auto loss = [&](Tape& tape) { return nn::mse_loss(net(tape.input(x)), t); };

  const auto each =
      per_sample_gradients([&](std::span<const Var> s) { return nn::mse_loss(net(s[0]), s[1]); },
                           params, std::vector<Tensor>{x, t});
  Tape tape;
  const auto whole = tape.gradient(loss(tape), params);
  for (std::size_t k = 0; k < params.size(); ++k) {
    CHECK(each[k].shape()[0] == 5);
    CHECK(relative_difference(mean(each[k], 0).value(), whole[k]) < 1e-13);
  }

  std::vector<Tensor> v;
  for (const Parameter& p : params) v.push_back(rng.normal(p.shape(), 0, 1, f64));
  const auto Hv = hvp(loss, params, v);
  const double h = 1e-6;
  const auto moved = [&](double step) {
    std::vector<Tensor> old;
    for (std::size_t k = 0; k < params.size(); ++k) {
      Parameter p = params[k];
      old.push_back(p.value());
      p.assign((p.value() + step * v[k]).value());
    }
    Tape there;
    auto g = there.gradient(loss(there), params);
    for (std::size_t k = 0; k < params.size(); ++k) Parameter(params[k]).assign(old[k]);
    return g;
  };
  const auto up = moved(h), down = moved(-h);
  for (std::size_t k = 0; k < params.size(); ++k) {
    CHECK(relative_difference(((up[k] - down[k]) / (2 * h)).value(), Hv[k]) < 1e-7);
  }
}

TEST_CASE("vmap applies a function to each slice", "[calculus]") {
  const Tensor x({{1., 2.}, {3., 4.}, {5., 6.}});
  CHECK(identical(vmap([](const Var& r) { return sum(r * r); }, x), Tensor{5, 25, 61}));
  CHECK(identical(vmap([](const Var& r) { return sum(r); }, x, 1), Tensor{9, 12}));
  const Var two[] = {x, Tensor{1, 2, 3}};
  CHECK(identical(vmap([](std::span<const Var> s) { return s[0] * s[1]; }, two).value(),
                  Tensor({{1., 2.}, {6., 8.}, {15., 18.}})));
  const Tensor g = grad(
      [](const Var& m) { return sum(vmap([](const Var& r) { return square(sum(r)); }, m)); }, x);
  CHECK(identical(g, Tensor({{6., 6.}, {14., 14.}, {22., 22.}})));
  const Var uneven[] = {x, Tensor{1, 2}};
  REQUIRE_ERROR(vmap([](std::span<const Var> s) { return s[0]; }, uneven), ShapeError, "3 and 2");
}

TEST_CASE("custom_vjp: rules instead of what follows from the function", "[calculus]") {
  // The straight-through estimator: rounds forward, passes gradients.
  const auto rounded = custom_vjp("straight_through",
                                  [](std::span<const Var> x) { return cast(cast(x[0], i64), f64); },
                                  {[](const CustomVjp& v) { return v.ct; }});
  Tape tape;
  const Var x = tape.variable(Tensor{1.25, 2.75});
  const Var y = rounded({x * 2});
  CHECK(identical(y.value(), Tensor{2, 5}));
  CHECK(identical(tape.gradient(sum(y * y), x), Tensor{8, 20}));

  // What the function captured has its own gradient.
  Tape other;
  const Var a = other.variable(Tensor::scalar(2)), w = other.variable(Tensor::scalar(5));
  const auto scaled = custom_vjp("scaled", [&](std::span<const Var> v) { return w * v[0]; },
                                 {[&](const CustomVjp& v) { return v.ct * 100; }});
  const auto g = other.gradient(scaled({a}), {a, w});
  CHECK(g[0].item() == 100);
  CHECK(g[1].item() == 2);

  // The checker sees a wrong rule, and a rule of the wrong shape is an error.
  const auto wrong = custom_vjp("wrong", [](std::span<const Var> v) { return square(v[0]); },
                                {[](const CustomVjp& v) { return v.ct * v.in[0]; }});
  CHECK_FALSE(gradcheck([&](const Var& v) { return wrong({v}); }, {Tensor{1, 2}}));
  const auto flat = custom_vjp("flat", [](std::span<const Var> v) { return square(v[0]); },
                               {[](const CustomVjp& v) { return sum(v.ct); }});
  Tape third;
  const Var b = third.variable(Tensor{1, 2});
  const Var out = sum(flat({b}));
  REQUIRE_ERROR(third.gradient(out, b, {.keep_tape = true}), GradientError,
                "returns f64() for an input f64(2,)");
  REQUIRE_ERROR(flat({b, b}), ValueError, "2 inputs and has 1 rules");
}

}  // namespace xtape
