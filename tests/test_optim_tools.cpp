#include "support.hpp"

// What goes with optimizers: LBFGS, clipping, sums of gradients, averages, the range test.
namespace xtape {
namespace {

using namespace optim;

Var rosenbrock(const Var& x) {
  const Var a = slice(x, 0, {0, 1}), b = slice(x, 0, {1, 2});
  return sum(square(1 - a) + 100 * square(b - square(a)));
}

LBFGS::Closure closure(const Parameter& p, int* calls = nullptr) {
  return [p, calls] {
    if (calls) ++*calls;
    Tape tape;
    const Var y = rosenbrock(tape.parameter(p));
    return Evaluation{y.item(), tape.gradient(y, Parameters{p})};
  };
}

Parameter start() { return Parameter(Tensor({-1.2, 1.0}), "x"); }

nn::Sequential small_net() {
  nn::Sequential net{nn::Dense(4, 6), nn::Tanh(), nn::Dense(6, 3)};
  net.to(f64);
  return net;
}

std::vector<Tensor> gradients(const nn::Sequential& net, const Tensor& x, const Tensor& y) {
  Tape tape;
  return tape.gradient(nn::mse_loss(net(tape.input(x)), y), net.parameters());
}

}  // namespace

TEST_CASE("LBFGS finds the least of Rosenbrock's function", "[lbfgs]") {
  Parameter p = start();
  int calls = 0;
  LBFGS lbfgs({p}, {.max_iterations = 100});
  CHECK(lbfgs.step(closure(p, &calls)) == Approx(24.2));
  CHECK(p.value().flat(0) == Approx(1).epsilon(1e-5));
  CHECK(p.value().flat(1) == Approx(1).epsilon(1e-5));
  CHECK(calls < 70);
  CHECK(lbfgs.iterations() < 60);
}

TEST_CASE("LBFGS minimizes a quadratic without line search, and in f32", "[lbfgs]") {
  Parameter p(Tensor({3.0, -2.0, 1.0}).to(f32), "x"), still(Tensor({5.0}).to(f32), "still");
  still.freeze();
  const Tensor scale = Tensor({1.0, 4.0, 9.0}).to(f32);
  LBFGS lbfgs({p, still}, {.learning_rate = 0.5, .max_iterations = 60, .line_search = false});
  lbfgs.step([&] {
    Tape tape;
    const Var y = sum(square(tape.parameter(p)) * scale);
    return Evaluation{y.item(), {tape.gradient(y, p), Tensor()}};
  });
  for (int i = 0; i < 3; ++i) CHECK(std::abs(p.value().flat(i)) < 1e-4);
  CHECK(still.value().item() == 5);
}

TEST_CASE("the state of LBFGS restores it", "[lbfgs]") {
  Parameter p = start(), q = start();
  LBFGS a({p}, {.max_iterations = 3, .history = 2}), b({q}, {.max_iterations = 3, .history = 2});
  for (int i = 0; i < 2; ++i) a.step(closure(p));
  Parameters from = a.state(), to = b.state();
  REQUIRE(from.size() == to.size());
  for (std::size_t i = 0; i < from.size(); ++i) to[i].assign(from[i].value());
  q.assign(p.value());
  a.step(closure(p));
  b.step(closure(q));
  CHECK(identical(p.value(), q.value()));
  CHECK(b.iterations() > 4);
  CHECK(b.iterations() == a.iterations());
}

TEST_CASE("LBFGS undoes what fails", "[lbfgs][errors]") {
  Parameter p = start();
  LBFGS lbfgs({p}, {.max_iterations = 5});
  lbfgs.step(closure(p));
  const Tensor before = p.value();
  const std::int64_t iterations = lbfgs.iterations();
  const auto fails = [&p, calls = 0]() mutable {
    if (++calls == 3) throw DataError("test", "no more data");
    return closure(p)();
  };
  REQUIRE_ERROR(lbfgs.step(fails), DataError, "no more data");
  CHECK(identical(p.value(), before));
  CHECK(lbfgs.iterations() == iterations);
  REQUIRE_ERROR(lbfgs.step([&] { return Evaluation{1, {}}; }), ValueError, "0 gradients for 1");
  REQUIRE_ERROR(lbfgs.step([&] { return Evaluation{1, {Tensor()}}; }), ValueError, "[x] has no");
  REQUIRE_ERROR(lbfgs.step([&] { return Evaluation{1, {Tensor({1.0})}}; }), ShapeError, "[x]");
  REQUIRE_ERROR(lbfgs.step([&] {
    return Evaluation{std::nan(""), {Tensor({1.0, 1.0})}};
  }),
                ValueError, "NaN");
  REQUIRE_ERROR(LBFGS({p}, {.history = 0}), ValueError, "history");
  REQUIRE_ERROR(LBFGS({p, p}, {}), ValueError, "stands twice");
  REQUIRE_ERROR(LBFGS({p, Parameter(Tensor({1.0}).to(f32))}, {}), DTypeError, "one dtype");
}

TEST_CASE("a search turns back from where the function is not defined", "[lbfgs]") {
  Parameter p(Tensor({1.0}), "x");
  LBFGS lbfgs({p}, {.learning_rate = 2});
  bool left = false;
  lbfgs.step([&] {  // 3x − ln x: the first step tries x = −1
    Tape tape;
    const Var x = tape.parameter(p), y = sum(3 * x - log(x));
    left |= std::isnan(y.item());
    return Evaluation{y.item(), tape.gradient(y, Parameters{p})};
  });
  CHECK(left);
  CHECK(p.value().item() == Approx(1.0 / 3).epsilon(1e-5));
}

TEST_CASE("gradients are clipped, as tensors and recorded", "[optim]") {
  const Tensor a({3.0, 0.0}), b = Tensor({4.0});
  CHECK(global_norm(std::vector<Tensor>{a, Tensor(), b}) == Approx(5));
  const Tensors whole = clip_by_norm(std::vector<Tensor>{a, Tensor(), b}, 10);
  CHECK(identical(whole[0], a));
  CHECK_FALSE(whole[1].defined());
  const Tensors clipped = clip_by_norm(std::vector<Tensor>{a, Tensor(), b}, 1);
  CHECK(clipped[0].flat(0) == Approx(3 / (5 + 1e-6)).epsilon(1e-15));
  CHECK(clipped[2].item() == Approx(0.8));
  const Tensors bounded = clip_by_value(std::vector<Tensor>{a, b}, 3.5);
  CHECK(bounded[0].flat(0) == 3);
  CHECK(bounded[1].item() == 3.5);
  REQUIRE_ERROR(clip_by_norm(std::vector<Tensor>{a}, 0), ValueError, "[clip_by_norm] limit 0");
  REQUIRE_ERROR(clip_by_value(std::vector<Tensor>{a}, -1), ValueError, "[clip_by_value] limit");

  Parameter p(Tensor({3.0, 0.0}), "p"), q(Tensor({4.0}), "q");
  SGD sgd({p, q}, {.learning_rate = 1});
  Program step = compile(
      [&](const Var& x) {
        const Var loss = 0.5 * (sum(square(Var(p) * x)) + sum(square(Var(q) * x)));
        sgd.step(clip_by_norm(gradient(loss, {p, q}), 1));
      },
      {{Shape{1}, f64}});
  step(Tensor({1.0}));
  CHECK(p.value().flat(0) == Approx(3 - 0.6));
  CHECK(q.value().item() == Approx(4 - 0.8));
  // A norm that is not finite is refused, and nothing has moved.
  REQUIRE_ERROR(sgd.step(clip_by_norm(std::vector<Tensor>{a, Tensor({INFINITY})}, 1)), ValueError,
                "its gradient has NaN");
  CHECK(q.value().item() == Approx(3.2));
}

TEST_CASE("sums of small batches step as the large batch", "[optim]") {
  Rng rng(2);
  const Tensor x = rng.uniform({12, 4}, -1, 1, f64), y = rng.uniform({12, 3}, -1, 1, f64);
  const auto part = [&](const Tensor& t, std::int64_t from, std::int64_t to) {
    return slice(t, 0, {from, to}).value();
  };
  nn::Sequential whole = small_net(), eager = small_net(), recorded = small_net();
  SGD a(whole.parameters(), {}), b(eager.parameters(), {}), c(recorded.parameters(), {});
  GradientSum sums(eager.parameters()), buffers(recorded.parameters());
  REQUIRE_ERROR(sums.mean(), ValueError, "mean of nothing");
  Program add = compile(
      [&](const Var& in, const Var& goal) {
        buffers.add(gradient(nn::mse_loss(recorded(in), goal), recorded.parameters()), 4);
      },
      {{{4, 4}, f64}, {{4, 3}, f64}});
  Program step = compile(
      [&](const Var& go) {
        c.step(buffers.mean(go));
        buffers.clear(go);
      },
      {Signature()});
  for (int round = 0; round < 2; ++round) {
    a.step(gradients(whole, x, y));
    for (const auto& [from, to] : {std::pair{0, 3}, std::pair{3, 10}, std::pair{10, 12}}) {
      sums.add(gradients(eager, part(x, from, to), part(y, from, to)), to - from);
    }
    b.step(sums.mean());
    sums.clear();
    for (int k = 0; k < 12; k += 4) add(part(x, k, k + 4), part(y, k, k + 4));
    step(0.0);
  }
  for (std::size_t i = 0; i < whole.parameters().size(); ++i) {
    const Tensor want = whole.parameters()[i].value();
    CHECK(test::relative_difference(eager.parameters()[i].value(), want) < 1e-14);
    CHECK(test::relative_difference(recorded.parameters()[i].value(), want) < 1e-14);
  }
  CHECK(sum(sums.state()[0]).item() == 0);
  std::vector<Tensor> g = gradients(eager, x, y);
  g[1] = Tensor();
  REQUIRE_ERROR(sums.add(g), ValueError, "[0.bias] has no gradient");
  REQUIRE_ERROR(sums.add(std::vector<Tensor>{}), ValueError, "0 gradients for 4");
  CHECK(sum(sums.state()[0]).item() == 0);
  Parameter(eager.parameters()[1]).freeze();
  sums.add(g);
  CHECK_FALSE(sums.mean()[1].defined());
}

TEST_CASE("averages of weights follow, swap in and swap back", "[optim]") {
  Parameter p(Tensor({1.0}), "p"), q(Tensor({1.0}), "q");
  SGD sgd({p}, {.learning_rate = 1}), recorded({q}, {.learning_rate = 1});
  WeightAverage average({p}, {.decay = 0.5}), in_program({q}, {.decay = 0.5});
  Program step = compile(
      [&](const Var& x) {
        recorded.step(gradient(sum(x * q), {q}));
        in_program.update(x);
      },
      {{Shape{1}, f64}});
  double want = 1;
  for (int t = 0; t < 4; ++t) {
    sgd.step({Tensor({1.0})});
    average.update();
    step(Tensor({1.0}));
    const double d = std::min(0.5, (1.0 + t) / (10.0 + t));
    want = d * want + (1 - d) * (1 - (t + 1.0));
  }
  CHECK(average.average(0).item() == Approx(want));
  CHECK(identical(average.average(0), in_program.average(0)));
  {
    const auto swapped = average.swap_in();
    CHECK(p.value().item() == Approx(want));
    REQUIRE_ERROR(average.update(), ValueError, "swapped in");
    REQUIRE_ERROR(average.swap_in(), ValueError, "swapped in");
  }
  CHECK(p.value().item() == -3);
  average.update();
  CHECK(average.state()[0].value().item() == 5);
  average.assign_to_parameters();
  CHECK(identical(p.value(), average.average(0)));
  sgd.step({Tensor({1.0})});
  CHECK_FALSE(identical(p.value(), average.average(0)));
  WeightAverage constant({p}, {.decay = 0.9, .warm_up = false});
  const double old = p.value().item();
  p.assign(Tensor({0.0}));
  constant.update();
  CHECK(constant.average(0).item() == Approx(0.9 * old));
  REQUIRE_ERROR(WeightAverage({p}, {.decay = 1}), ValueError, "decay 1");
}

TEST_CASE("the range test suggests a rate and leaves no trace", "[optim]") {
  // f = p²/2 by gradient descent: falls for rates below 2, diverges above.
  Parameter p(Tensor({1.0, -2.0}), "p"), seen(Parameter::buffer(Tensor({0.0}), "seen"));
  SGD sgd({p}, {.learning_rate = 0.3, .momentum = 0.1});
  sgd.step({p.value()});
  const Tensor before = p.value();
  std::vector<Tensor> state;
  for (const Parameter& s : sgd.state()) state.push_back(s.value());
  const auto step = [&] {
    const double loss = 0.5 * sum(square(p.value())).item();
    seen.assign(Tensor({1.0}));
    sgd.step({p.value()});
    return loss;
  };
  const RangeTest t = find_learning_rate(
      sgd, step, {.from = 1e-3, .to = 1e3, .smoothing = 0.5, .restored = {seen}});
  CHECK(t.rates.size() == t.losses.size());
  CHECK(t.rates[0] == Approx(1e-3));
  CHECK(t.rates[1] / t.rates[0] == Approx(t.rates[2] / t.rates[1]));
  CHECK(t.suggestion > 0.02);
  CHECK(t.suggestion < 2);
  CHECK(t.stopped == "the loss diverges");
  CHECK(t.rates.back() < 100);
  CHECK(identical(p.value(), before));
  CHECK(seen.value().item() == 0);
  for (std::size_t i = 0; i < state.size(); ++i) CHECK(identical(sgd.state()[i].value(), state[i]));
  CHECK(sgd.learning_rate() == 0.3);
  const auto fails = [&](int after) {
    return [&step, left = after]() mutable {
      if (left-- == 0) throw ValueError("data", "is bad");
      return step();
    };
  };
  CHECK(find_learning_rate(sgd, fails(5)).stopped == "[data] is bad");
  REQUIRE_ERROR(find_learning_rate(sgd, fails(1)), ValueError, "only 1 losses");
  REQUIRE_ERROR(find_learning_rate(sgd, fails(0)), ValueError, "is bad");
  CHECK(identical(p.value(), before));
  REQUIRE_ERROR(find_learning_rate(sgd, step, {.from = 0}), ValueError, "from 0");
}

}  // namespace xtape
