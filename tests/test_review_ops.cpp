#include "support.hpp"

// What a reviewer found in operations, modules and optimizers, each as a test.
namespace xtape {
namespace {

Tensor ints(std::initializer_list<detail::Number> values) { return Tensor(values, i64); }

}  // namespace

TEST_CASE("attention keeps the gradients of its projections, whichever operand is recorded",
          "[review][nn]") {
  const nn::MultiheadAttention m(2, 1, {.dtype = f64});
  const Tensor q{{1, 2}, {3, 4}}, k{{.5, -1}, {2, 1}};
  Tape plain, recorded;
  const Var a = m(q, plain.variable(k)), b = m(recorded.input(q), recorded.variable(k));
  const Tensors one = plain.gradient(sum(square(a)), m.parameters());
  const Tensors other = recorded.gradient(sum(square(b)), m.parameters());
  for (std::size_t i = 0; i < one.size(); ++i) CHECK(identical(one[i], other[i]));
  CHECK(max(abs(slice(one[0], 0, {0, 2}))).item() > 0);
  REQUIRE_ERROR(m(q, k), TapeError, "meets no tape");
  CHECK(m(no_grad(q), no_grad(k)).value().shape() == Shape{2, 2});
}

TEST_CASE("the gradient of matrix_exp is linear in its cotangent", "[review][linalg]") {
  Tape tape;
  const Var x = tape.variable(Tensor{{.1, .4}, {-.3, .2}});
  const GradientOptions keep{.keep_tape = true};
  const Tensor one = tape.gradient(sum(matrix_exp(x)), x, keep);
  for (const double c : {1e10, 1e200, 1e-200}) {
    const Tensor g = tape.gradient(c * sum(matrix_exp(x)), x, keep);
    CHECK(max(abs(g / c - one)).item() < 1e-13);
  }
  CHECK(max(abs(tape.gradient(0 * sum(matrix_exp(x)), x, keep))).item() == 0);
}

TEST_CASE("clipping by a norm that f32 cannot hold squared", "[review][optim]") {
  const std::vector<Tensor> g{Tensor({2e19}, f32), Tensor({1.}, f32)};
  CHECK(optim::global_norm(g) == Approx(2e19));
  const Tensors clipped = optim::clip_by_norm(g, 1);
  CHECK(clipped[0].item() == Approx(1));
  CHECK(clipped[1].item() == Approx(5e-20));
  const std::vector<Tensor> bad{Tensor({INFINITY}, f32), Tensor({1.}, f32)};
  for (const Tensor& t : optim::clip_by_norm(bad, 1)) CHECK(std::isnan(t.item()));
}

TEST_CASE("ctc_loss refuses lengths out of range and knows the empty path", "[review][losses]") {
  const Var log_probs = log_softmax(Tensor::ones({3, 1, 3}, f64), -1);
  const Tensor targets = ints({1, 2}).reshape({1, 2});
  CHECK(ctc_loss(log_probs, targets, ints({0}), ints({0})).item() == 0);
  CHECK(std::isinf(ctc_loss(log_probs, targets, ints({0}), ints({1})).item()));
  REQUIRE_ERROR(ctc_loss(log_probs, targets, ints({-1}), ints({0})), ValueError,
                "input_lengths[0] = -1: must be in [0, 3]");
  REQUIRE_ERROR(ctc_loss(log_probs, targets, ints({4}), ints({0})), ValueError, "= 4");
  REQUIRE_ERROR(ctc_loss(log_probs, targets, ints({3}), ints({3})), ValueError,
                "target_lengths[0] = 3: must be in [0, 2]");
}

TEST_CASE("hvp refuses directions of another shape", "[review][calculus]") {
  const auto f = [](const Var& x) { return sum(x * x * x); };
  REQUIRE_ERROR(hvp(f, Tensor{1, 2, 3}, Tensor::ones({2, 3}, f64)), ShapeError, "f64(2, 3)");
  REQUIRE_ERROR(hvp(f, Tensor{1, 2, 3}, Tensor::scalar(1)), ShapeError, "f64(3,)");
  CHECK(identical(hvp(f, Tensor{1, 2, 3}, Tensor::ones({3}, f64)), Tensor{6, 12, 18}));
}

TEST_CASE("scopes end with what rewind forgets", "[review][diagnostics]") {
  Tape tape;
  tape.detect_anomaly();
  const Var x = tape.variable(Tensor{-1.});
  const std::uint32_t mark = tape.size();
  {
    const Scope s(tape, "encoder");
    Var a = x * 2;
    a = a * 3 * 4;
  }
  tape.rewind(mark);
  const Var b = x * 1.0;
  try {
    sqrt(b);
    FAIL("no error");
  } catch (const AnomalyError& e) {
    CHECK(std::string(e.what()).find("encoder") == std::string::npos);
  }
}

TEST_CASE("a rule of custom_vjp may say that there is no gradient", "[review][calculus]") {
  const auto f =
      custom_vjp("half", [](std::span<const Var> x) { return x[0] + x[1]; },
                 {[](const CustomVjp& v) { return v.ct; }, [](const CustomVjp&) { return Var(); }});
  Tape tape;
  const Var a = tape.variable(Tensor{1.}), b = tape.variable(Tensor{2.});
  const Tensors g = tape.gradient(sum(f({a, b})), {a, b});
  CHECK(g[0].item() == 1);
  CHECK(g[1].item() == 0);
}

TEST_CASE("parameters join the tape of the other operand", "[review]") {
  Tape tape;
  const Var a = tape.variable(Tensor{{3, 1}, {1, 2}}), v = tape.variable(Tensor{1, 2});
  const Parameter b(Tensor{1, 2}, "b"), one(Tensor::scalar(0.5), "one");
  const auto slope = [&](const Var& y) { return tape.gradient(sum(y), {b}, {.keep_tape = true}); };
  CHECK(slope(solve(a, b))[0].size() == 2);
  CHECK(slope(least_squares(a, b))[0].size() == 2);
  const Parameter row(Tensor{{1, 2}}, "row");
  const Var y = solve_triangular(a, row, {.left = false});
  CHECK(tape.gradient(sum(y), {row}, {.keep_tape = true})[0].shape() == Shape{1, 2});
  const Var h = linear_recurrence(v, v, {.axis = 0, .initial = one});
  CHECK(tape.gradient(sum(h), {one}, {.keep_tape = true})[0].item() == 1 + 2);
  CHECK(slope(cov(v, {.weights = b}))[0].size() == 2);
  CHECK(quantile(v, one).item() == 1.5);
}

TEST_CASE("averages follow a change of dtype, frozen parameters stay", "[review][optim]") {
  Parameter p(Tensor({1, 2}, f32), "p");
  optim::WeightAverage average({p});
  average.update();
  p.to(f64);
  average.update();
  CHECK(average.state()[1].dtype() == f64);

  Parameter a(Tensor{3.}, "a"), q(Tensor{3.}, "q");
  const auto evaluate = [&]() -> optim::Evaluation {
    const double x = a.value().item(), z = q.value().item();
    return {x * x + z * z, {Tensor{2 * x}, Tensor{2 * z}}};
  };
  optim::LBFGS both({a, q});
  q.freeze();
  REQUIRE_ERROR(both.step(evaluate), ValueError, "'q' was frozen since");
  CHECK(a.value().item() == 3);
  optim::LBFGS lbfgs({a, q});
  lbfgs.step(evaluate);
  CHECK(a.value().item() == Approx(0).margin(1e-6));
  CHECK(q.value().item() == 3);
}

TEST_CASE("linear algebra says where there is no result", "[review][linalg]") {
  Tape tape;
  const Var a = tape.variable(Tensor{{-1, 0}, {0, 2}});
  const Var y = logdet(a);
  CHECK(std::isnan(y.item()));
  CHECK(identical(tape.gradient(y, a), Tensor{{-1, 0}, {0, 0.5}}));
  REQUIRE_ERROR(cholesky(Tensor{{NAN, 1}, {1, 2}}), ValueError, "leading minor of order 1");
  REQUIRE_ERROR(pseudoinverse(Tensor{{1, 2}}, Tensor::scalar(NAN)), ValueError, "cutoff");
  REQUIRE_ERROR(least_squares(Tensor{{1, 2}, {3, 4}}, Tensor{{1.}}), ShapeError, "[least_squares]");
  EmbeddingBagOptions o;
  o.offsets = ints({0, 3});
  REQUIRE_ERROR(embedding_bag(ints({0, 1}), Tensor{{1.}, {2.}}, o), ValueError, "offset 3");
  o.offsets = ints({0, 2, 1});
  REQUIRE_ERROR(embedding_bag(ints({0, 1}), Tensor{{1.}, {2.}}, o), ValueError, "must ascend");
}

}  // namespace xtape
