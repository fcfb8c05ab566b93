#include "support.hpp"

// Programs: the same results as eager code, the same effects, and errors where a recording would
// keep something that changes.
namespace xtape {
namespace {

using test::relative_difference;

nn::Sequential small_net(DType dtype = f64) {
  nn::Sequential net{nn::Dense(5, 7), nn::Tanh(), nn::Dense(7, 4), nn::Sigmoid(), nn::Dense(4, 3)};
  net.initialize(Rng(3));
  net.to(dtype);
  return net;
}

}  // namespace

TEST_CASE("a program computes what eager code computes", "[program]") {
  Rng rng(1);
  const Tensor x = rng.uniform({4, 5}, -1, 1, f64), y = rng.uniform({4, 5}, -1, 1, f64);
  const auto f = [](const Var& a, const Var& b) { return sum(sin(a * b) + a / (b * b + 1), 1); };
  Program p = compile(f, {{{4, 5}, f64}, {{4, 5}, f64}});
  CHECK(relative_difference(p(x, y), f(x, y).value()) < 1e-14);
  CHECK(relative_difference(p(y, x), f(y, x).value()) < 1e-14);
  CHECK(p.steps() == 1);
}

TEST_CASE("a training step as a program moves parameters as eager steps do", "[program]") {
  for (const double momentum : {0.0, 0.9}) {
    nn::Sequential a = small_net(), b = small_net();
    const optim::SGDOptions options{.learning_rate = 0.1, .momentum = momentum};
    optim::SGD sgd_a(a.parameters(), options), sgd_b(b.parameters(), options);
    Rng rng(7);
    const Tensor x = rng.uniform({6, 5}, -1, 1, f64), t = rng.uniform({6, 3}, -1, 1, f64);
    Program step = compile(
        [&](const Var& in, const Var& target) {
          const Var loss = nn::mse_loss(b(in), target);
          sgd_b.step(gradient(loss, b.parameters()));
          return loss;
        },
        {x, t});
    INFO(step.str());
    for (int i = 0; i < 5; ++i) {
      Tape tape;
      const Var loss = nn::mse_loss(a(tape.input(x)), t);
      sgd_a.step(tape.gradient(loss, a.parameters()));
      CHECK(step(x, t).item() == Approx(loss.item()).epsilon(1e-13));
      sgd_a.set_learning_rate(0.1 / (i + 2));
      sgd_b.set_learning_rate(0.1 / (i + 2));
    }
    CHECK(sgd_b.steps() == 5);
    for (std::size_t i = 0; i < a.parameters().size(); ++i) {
      CHECK(relative_difference(b.parameters()[i].value(), a.parameters()[i].value()) < 1e-12);
    }
  }
}

TEST_CASE("programs give gradients of any order", "[program]") {
  const auto rosenbrock = [](const Var& x) {
    const Var a = slice(x, 0, {0, 1}), b = slice(x, 0, {1, 2});
    return sum(square(1 - a) + 100 * square(b - square(a)));
  };
  Program hvp = compile(
      [&](const Var& x, const Var& v) {
        const Var g = gradient(rosenbrock(x), x);
        return std::vector<Var>{g, gradient(sum(g * stop_gradient(v)), x)};
      },
      {{{2}, f64}, {{2}, f64}});
  const std::vector<Tensor>& out = hvp.run({Tensor({-1, 2}), Tensor({1, 0})});
  CHECK(out[0].flat(0) == Approx(396));  // −2(1 − a) − 400 a (b − a²)
  CHECK(out[0].flat(1) == Approx(200));  // 200 (b − a²)
  CHECK(out[1].flat(0) == Approx(402));  // 2 − 400 b + 1200 a²
  CHECK(out[1].flat(1) == Approx(400));  // −400 a
}

TEST_CASE("the learning rate can be an argument of a program", "[program]") {
  Parameter w(Tensor({1, 2}), "w");
  optim::SGD sgd({w}, {.learning_rate = 9});
  Program step = compile(
      [&](const Var& x, const Var& rate) {
        sgd.set_learning_rate(rate);
        sgd.step(gradient(sum(x * w), {w}));
      },
      {{{2}, f64}, {{}, f64}});
  CHECK_FALSE(step(Tensor({1, 3}), 0.5).defined());
  CHECK(identical(w.value(), Tensor({0.5, 0.5})));
  step(Tensor({1, 1}), 0.25);
  CHECK(identical(w.value(), Tensor({0.25, 0.25})));
  CHECK(sgd.learning_rate() == 0.25);
  CHECK(step.recordings() == 1);
}

TEST_CASE("dropout draws fresh numbers in every run, the same ones as eager code", "[program]") {
  Generator eager(5), recorded(5);
  const Tensor x = Tensor::ones({40, 25});
  Program p = compile([&](const Var& v) { return dropout(v, 0.3, recorded); }, {x});
  Tensor last;
  for (int run = 0; run < 3; ++run) {
    Tape tape;
    const Tensor want = dropout(tape.input(x), 0.3, eager).value();
    const Tensor got = p(x);
    CHECK(identical(got, want));
    CHECK((run == 0 || !identical(got, last)));
    last = got;
    const double kept = mean(cast(not_equal(got, 0), f64)).item();
    CHECK(kept == Approx(0.7).margin(0.05));
    CHECK(mean(got).item() == Approx(1).margin(0.08));
  }
  recorded.seek(0);
  eager.seek(0);
  CHECK(identical(p(x), dropout(x, 0.3, eager).value()));
  REQUIRE_ERROR(dropout(x, 1, eager), ValueError, "[0, 1)");
}

TEST_CASE("programs record anew for other shapes where asked, up to a limit", "[program]") {
  Program p = compile([](const Var& x) { return sum(square(x)); }, {{{2}, f64}},
                      {.recompile = true, .max_signatures = 2});
  CHECK(p(Tensor({1, 2})).item() == 5);
  CHECK(p(Tensor({1, 2, 3})).item() == 14);
  CHECK(p(Tensor({1, 2}, f32)).item() == 5);
  CHECK(p.recordings() == 3);
  CHECK(p(Tensor({1, 2, 3})).item() == 14);  // still there
  CHECK(p.recordings() == 3);
  CHECK(p(Tensor({2, 2})).item() == 8);  // had to make room
  CHECK(p.recordings() == 4);
}

TEST_CASE("programs follow parameters that become f64, where they may record anew", "[program]") {
  nn::Sequential net = small_net(f32);
  Program p = compile([&](const Var& x) { return net(x); }, {{1, 5}}, {.recompile = true});
  const Tensor x = Rng(2).uniform({1, 5});
  const Tensor single = p(x);
  net.to(f64);
  CHECK(relative_difference(p(x.to(f64)), single.to(f64)) < 1e-5);
}

TEST_CASE("a program can be listed and profiled", "[program]") {
  nn::Sequential net = small_net(f32);
  Program p =
      compile([&](const Var& x) { return mean(square(net(x))); }, {{8, 5}}, {.name = "net"});
  CHECK_THAT(p.str(), ContainsSubstring("net: ") && ContainsSubstring("matmul") &&
                          ContainsSubstring("'0.weight'") && ContainsSubstring("arena"));
  CHECK_THAT(p.json(), ContainsSubstring("\"program\": \"net\""));
  const std::vector<StepProfile> profile = p.profile({Tensor::ones({8, 5})}, 3);
  REQUIRE(profile.size() == p.steps());
  double share = 0;
  for (const StepProfile& s : profile) share += s.share;
  CHECK(share == Approx(1));
  CHECK(profile[0].flop == 2 * 8 * 5 * 7);
  CHECK(profile[0].bytes == 4 * (8 * 5 + 5 * 7 + 8 * 7));
  CHECK_THAT(str(profile), ContainsSubstring("share"));
  CHECK_THAT(json(profile), ContainsSubstring("\"flop\": 560"));
}

TEST_CASE("two optimizer steps fit into one program", "[program]") {
  Parameter a(Tensor({1, 2}), "a"), b(Tensor({1, 2}), "b");
  optim::SGD one({a}, {.learning_rate = 0.1, .momentum = 0.5}),
      two({b}, {.learning_rate = 0.1, .momentum = 0.5});
  const auto loss = [](const Var& x, const Parameter& p) { return sum(square(x * p)); };
  Program step = compile(
      [&](const Var& x) {
        for (int i = 0; i < 2; ++i) two.step(gradient(loss(x, b), {b}));
      },
      {{{2}, f64}});
  const Tensor x({1, 2});
  step(x);
  for (int i = 0; i < 2; ++i) {
    Tape tape;
    one.step({tape.gradient(loss(tape.input(x), a), a)});
  }
  CHECK(relative_difference(b.value(), a.value()) < 1e-15);
  CHECK(two.steps() == 2);
}

}  // namespace xtape
