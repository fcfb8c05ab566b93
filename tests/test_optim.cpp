#include <memory>
#include <set>

#include "support.hpp"

// The rules of optimizers: each eagerly and as a program, its state, and what it refuses.
namespace xtape {
namespace {

using Maker = std::function<std::unique_ptr<optim::Optimizer>(const Parameters&)>;

template <class Optimizer, class Options>
Maker with(const Options& o) {
  return [o](const Parameters& p) { return std::make_unique<Optimizer>(p, o); };
}

const std::vector<std::pair<std::string, Maker>>& rules() {
  using namespace optim;
  static const std::vector<std::pair<std::string, Maker>> all{
      {"SGD", with<SGD>(SGDOptions{.learning_rate = 0.1})},
      {"SGD with everything",
       with<SGD>(SGDOptions{
           .learning_rate = 0.1, .momentum = 0.9, .dampening = 0.2, .weight_decay = 0.01})},
      {"SGD with nesterov",
       with<SGD>(SGDOptions{.learning_rate = 0.1, .momentum = 0.9, .nesterov = true})},
      {"ASGD", with<ASGD>(ASGDOptions{.learning_rate = 0.1, .lambda = 0.1, .start = 2})},
      {"Adam", with<Adam>(AdamOptions{.learning_rate = 0.1})},
      {"Adam with amsgrad",
       with<Adam>(AdamOptions{.learning_rate = 0.1, .weight_decay = 0.1, .amsgrad = true})},
      {"AdamW", with<AdamW>(AdamWOptions{.learning_rate = 0.1, .weight_decay = 0.1})},
      {"Adamax", with<Adamax>(AdamaxOptions{.learning_rate = 0.1})},
      {"NAdam", with<NAdam>(NAdamOptions{.learning_rate = 0.1})},
      {"RAdam", with<RAdam>(RAdamOptions{.learning_rate = 0.1, .beta2 = 0.9})},
      {"Lamb", with<Lamb>(LambOptions{.learning_rate = 0.1})},
      {"Adagrad", with<Adagrad>(AdagradOptions{.learning_rate = 0.1, .rate_decay = 0.1})},
      {"RMSprop", with<RMSprop>(RMSpropOptions{.momentum = 0.5, .centered = true})},
      {"Adadelta", with<Adadelta>(AdadeltaOptions{})},
      {"Rprop", with<Rprop>(RpropOptions{.learning_rate = 0.1})},
      {"Lion", with<Lion>(LionOptions{.learning_rate = 0.1, .weight_decay = 0.1})}};
  return all;
}

// Two parameters, and a loss whose gradients change their signs on the way.
struct Problem {
  Parameters p;
  Tensor target;
  explicit Problem(DType dtype = f64) {
    Rng rng(5);
    p.emplace_back(rng.uniform({3, 7}, -1, 1, dtype), "0.weight");
    p.emplace_back(rng.uniform({7}, -1, 1, dtype), "0.bias");
    target = rng.uniform({3, 7}, -0.2, 0.2, dtype);
  }
  Var loss(const Var& goal) const {
    return sum(square(Var(p[0]) - goal)) + 3 * sum(square(beside(p[1], goal) - 0.1));
  }
  void step(optim::Optimizer& o) const {
    Tape tape;
    const Var y = loss(tape.input(target));
    o.step(tape.gradient(y, p, {.unconnected = Unconnected::zero}));  // of frozen ones
  }
  std::vector<Tensor> gradients() const {
    Tape tape;
    return tape.gradient(loss(tape.input(target)), p);
  }
};

std::vector<Tensor> values(const Parameters& all) {
  std::vector<Tensor> out;
  for (const Parameter& p : all) out.push_back(p.value());
  return out;
}

bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return identical(x, y); });
}

// f(p) = p²/2 from p = 1: the gradient is p.
double descended(optim::Optimizer& o, int steps) {
  Parameter p = o.parameters()[0];
  for (int i = 0; i < steps; ++i) o.step({p.value()});
  return p.value().item();
}
Parameter one() { return Parameter(Tensor({1.0}), "p"); }

}  // namespace

TEST_CASE("every rule is the same eagerly and in a program, to the bit", "[optim]") {
  for (const auto& [name, make] : rules()) {
    for (const DType dtype : {f32, f64}) {
      INFO(name << " in " << xtape::name(dtype));
      const Problem a(dtype), b(dtype);
      const auto eager = make(a.p), recorded = make(b.p);
      Program step = compile([&](const Var& goal) { recorded->step(gradient(b.loss(goal), b.p)); },
                             {b.target});
      for (int i = 0; i < 6; ++i) {
        a.step(*eager);
        step(b.target);
      }
      CHECK(same(values(a.p), values(b.p)));
      CHECK(same(values(eager->state()), values(recorded->state())));
      CHECK(eager->steps() == 6);
      CHECK_FALSE(same(values(a.p), values(Problem(dtype).p)));
    }
  }
}

TEST_CASE("every rule makes the loss less", "[optim]") {
  for (const auto& [name, make] : rules()) {
    INFO(name);
    const Problem a;
    const auto o = make(a.p);
    const auto loss = [&] { return a.loss(no_grad(a.target)).item(); };
    const double before = loss();
    for (int i = 0; i < 20; ++i) a.step(*o);
    CHECK(loss() < 0.95 * before);
  }
}

TEST_CASE("the state of every rule restores it", "[optim]") {
  for (const auto& [name, make] : rules()) {
    INFO(name);
    const Problem a(f32), b(f32);
    const auto first = make(a.p), second = make(b.p);
    for (int i = 0; i < 3; ++i) a.step(*first);
    first->set_learning_rate(0.05);
    const std::vector<Tensor> saved = values(first->state());
    Parameters state = second->state();
    REQUIRE(state.size() == saved.size());
    for (std::size_t i = 0; i < saved.size(); ++i) state[i].assign(saved[i]);
    for (std::size_t i = 0; i < a.p.size(); ++i) Parameter(b.p[i]).assign(a.p[i].value());
    for (int i = 0; i < 3; ++i) {
      a.step(*first);
      b.step(*second);
    }
    CHECK(same(values(a.p), values(b.p)));
    CHECK(second->steps() == 6);
    CHECK(second->learning_rate() == 0.05);
  }
}

TEST_CASE("gradients that are not finite change nothing, nor does a missing one", "[optim]") {
  for (const auto& [name, make] : rules()) {
    INFO(name);
    const Problem a;
    const auto o = make(a.p);
    a.step(*o);
    const std::vector<Tensor> before = values(a.p), state = values(o->state());
    std::vector<Tensor> g = a.gradients();
    g[1] = Tensor::full({7}, std::nan(""), f64);
    REQUIRE_ERROR(o->step(g), ValueError, "[0.bias] its gradient has NaN");
    g[1] = Tensor();
    REQUIRE_ERROR(o->step(g), ValueError, "[0.bias] has no gradient");
    CHECK(same(values(a.p), before));
    CHECK(same(values(o->state()), state));
  }
}

TEST_CASE("a gradient whose square the state cannot hold is refused, not remembered", "[optim]") {
  for (const auto& [name, make] : rules()) {
    INFO(name);
    const Problem a(f32);
    const auto o = make(a.p);
    const std::vector<Tensor> before = values(a.p);
    std::vector<Tensor> g = a.gradients();
    g[1] = Tensor::full({7}, 1e19, f32);
    const bool squares = std::set<std::string>{"Adam", "AdamW",   "NAdam",   "RAdam",
                                               "Lamb", "Adagrad", "RMSprop", "Adadelta"}
                             .contains(name.substr(0, name.find(' ')));
    if (squares) {
      REQUIRE_ERROR(o->step(g), ValueError, "[0.bias] its gradient has elements beyond 1.8");
      CHECK(same(values(a.p), before));
      g = optim::clip_by_value(g, 1e16);
    }
    for (int i = 0; i < 10; ++i) o->step(g);
    for (const Parameter& p : o->state()) CHECK(all_finite(p.value()));
    CHECK_FALSE(identical(a.p[1].value(), before[1]));
  }
  // The same where a product is looked at in place of the gradient.
  Parameter w(Tensor::ones({2, 2}, f32), "w");
  optim::Adam adam({w});
  Program step = compile([&](const Var& x) { adam.step(gradient(sum(matmul(x, w)), {w})); },
                         {{Shape{2, 2}, f32}});
  REQUIRE_ERROR(step(Tensor::full({2, 2}, 1e19, f32)), ValueError, "[w] its gradient has elements");
  step(Tensor::full({2, 2}, 1e15, f32));
  CHECK(all_finite(adam.state().back().value()));
}

TEST_CASE("state has the dtype of its parameter and a fixed order", "[optim]") {
  Problem a(f32);
  optim::Adam adam(a.p, {.amsgrad = true});
  std::vector<std::string> names;
  for (const Parameter& s : adam.state()) names.push_back(s.name());
  CHECK(names == std::vector<std::string>{"steps", "learning_rate", "momentum", "counts",
                                          "0.weight.mean", "0.weight.square", "0.weight.peak",
                                          "0.bias.mean", "0.bias.square", "0.bias.peak"});
  CHECK(adam.state()[4].dtype() == f32);
  a.step(adam);
  for (Parameter& p : a.p) p.to(f64);
  a.target = a.target.to(f64);
  a.step(adam);
  CHECK(adam.state()[4].dtype() == f64);
  CHECK(adam.state()[4].shape() == a.p[0].shape());
  // A number keeps its dtype, even beside a parameter of its shape.
  Parameter scalar(Tensor::scalar(1, f32), "s");
  optim::NAdam nadam({scalar});
  nadam.step({Tensor::scalar(1, f32)});
  CHECK(nadam.state().back().name() == "s.product");
  CHECK(nadam.state().back().dtype() == f64);
}

TEST_CASE("groups have options of their own", "[optim]") {
  const Problem a, b;
  optim::AdamW both({{{a.p[0]}, {.learning_rate = 0.1, .weight_decay = 0.2}},
                     {{a.p[1]}, {.learning_rate = 0.02, .beta1 = 0.5}}});
  optim::AdamW first({b.p[0]}, {.learning_rate = 0.1, .weight_decay = 0.2});
  optim::AdamW second({b.p[1]}, {.learning_rate = 0.02, .beta1 = 0.5});
  CHECK(both.groups() == 2);
  for (int i = 0; i < 4; ++i) {
    if (i == 2) {
      both.set_learning_rate(1, 0.03);
      second.set_learning_rate(0.03);
    }
    a.step(both);
    const std::vector<Tensor> g = b.gradients();
    first.step({g[0]});
    second.step({g[1]});
  }
  CHECK(same(values(a.p), values(b.p)));
  CHECK(both.learning_rate(0) == 0.1);
  CHECK(both.learning_rate(1) == 0.03);
  CHECK(both.base_learning_rate(1) == 0.02);
  CHECK(both.momentum(1) == 0.5);
  both.set_learning_rate(0.5);
  CHECK(both.learning_rate(1) == 0.5);
  REQUIRE_ERROR(both.learning_rate(2), ValueError, "group 2 of 2");
  REQUIRE_ERROR(optim::SGD({{{a.p[0]}, {}}, {{a.p[0]}, {}}}), ValueError, "stands twice");
}

TEST_CASE("a frozen parameter stays, and starts afresh when it thaws", "[optim]") {
  for (const auto& [name, make] : rules()) {
    INFO(name);
    Problem a, fresh;
    const auto o = make(a.p), late = make({fresh.p[1]});
    a.p[1].freeze();
    for (int i = 0; i < 3; ++i) a.step(*o);
    CHECK(identical(a.p[1].value(), fresh.p[1].value()));
    a.p[1].freeze(false);
    for (int i = 0; i < 3; ++i) {
      a.step(*o);
      late->step({fresh.gradients()[1]});
    }
    CHECK(identical(a.p[1].value(), fresh.p[1].value()));
    for (Parameter& p : a.p) p.freeze();
    o->step({Tensor(), Tensor()});
    CHECK(o->steps() == 7);
  }
}

TEST_CASE("Adam is Adam", "[optim]") {
  double p = 1, m = 0, v = 0;
  for (int t = 1; t <= 5; ++t) {
    m = 0.8 * m + 0.2 * p;
    v = 0.9 * v + 0.1 * p * p;
    p -= 0.1 * (m / (1 - std::pow(0.8, t))) / (std::sqrt(v / (1 - std::pow(0.9, t))) + 1e-3);
  }
  optim::Adam adam({one()}, {.learning_rate = 0.1, .beta1 = 0.8, .beta2 = 0.9, .epsilon = 1e-3});
  CHECK(descended(adam, 5) == Approx(p).epsilon(1e-14));
  // In f32 the factors of late steps are still taken in f64: 1 − 0.999¹ has no f32 error.
  Parameter q(Tensor::scalar(1, f32), "q");
  optim::Adam single({q}, {.learning_rate = 0.1});
  single.step({Tensor::scalar(0.5, f32)});
  CHECK(q.value().item() == Approx(0.9).epsilon(1e-7));
}

TEST_CASE("Lion, Lamb, Rprop and ASGD follow their definitions", "[optim]") {
  double p = 1, m = 0;
  for (int t = 1; t <= 8; ++t) {
    const double c = 0.9 * m + 0.1 * p, g = p;
    p -= 0.3 * ((c > 0) - (c < 0) + 0.1 * p);
    m = 0.99 * m + 0.01 * g;
  }
  optim::Lion lion({one()}, {.learning_rate = 0.3, .weight_decay = 0.1});
  CHECK(descended(lion, 8) == Approx(p).epsilon(1e-14));

  // One element: r/‖r‖ = sign r, so each step is η |p|.
  optim::Lamb lamb({one()}, {.learning_rate = 0.1, .weight_decay = 0});
  CHECK(descended(lamb, 3) == Approx(0.729).epsilon(1e-14));
  Parameter zero(Tensor({0.0}), "zero");
  optim::Lamb from_zero({zero}, {.learning_rate = 0.1, .epsilon = 1e-30});
  from_zero.step({Tensor({2.0})});
  CHECK(zero.value().item() == Approx(-0.1));

  // Steps .5, .6; then the sign changes: it waits, and goes on with half the step.
  optim::Rprop rprop({one()}, {.learning_rate = 0.5});
  CHECK(descended(rprop, 1) == Approx(0.5));
  CHECK(descended(rprop, 1) == Approx(-0.1));
  CHECK(descended(rprop, 1) == Approx(-0.1));
  CHECK(descended(rprop, 1) == Approx(0.2));
  optim::Rprop bounded({one()}, {.learning_rate = 0.5, .largest = 0.2});
  CHECK(descended(bounded, 1) == Approx(0.8));

  double q = 1, a = 0;
  for (int t = 1; t <= 5; ++t) {
    const double eta = 0.1 / std::pow(1 + 0.2 * 0.1 * (t - 1), 0.75);
    q = q * (1 - 0.2 * eta) - eta * q;
    a += (q - a) / std::max(1.0, t - 1 - 1.0);
  }
  optim::ASGD asgd({one()}, {.learning_rate = 0.1, .lambda = 0.2, .start = 1});
  CHECK(descended(asgd, 5) == Approx(q).epsilon(1e-14));
  CHECK(asgd.averaged(0).item() == Approx(a).epsilon(1e-14));
}

TEST_CASE("a variance of equal gradients is 0, not less", "[optim]") {
  Parameter p(Rng(1).uniform({64}, -1, 1, f32), "p");
  const Tensor g = Rng(2).uniform({64}, 10, 1000, f32);
  optim::RMSprop rmsprop({p}, {.learning_rate = 1e-9, .alpha = 0.5, .centered = true});
  for (int i = 0; i < 100; ++i) rmsprop.step({g});
  for (int i = 0; i < 64; ++i) CHECK(std::isfinite(p.value().flat(i)));
}

TEST_CASE("maximize climbs", "[optim]") {
  const Parameter up = one(), down = one();
  optim::RMSprop climb({up}, {.weight_decay = 0.1, .maximize = true});
  optim::RMSprop descend({down}, {.weight_decay = 0.1});
  for (int i = 0; i < 3; ++i) {
    climb.step({negative(up.value()).value()});
    descend.step({down.value()});
  }
  CHECK(identical(up.value(), down.value()));
  optim::SGD sgd({up}, {.learning_rate = 1, .maximize = true});
  const double before = up.value().item();
  sgd.step({Tensor({2.0})});
  CHECK(up.value().item() == Approx(before + 2));
}

TEST_CASE("the momentum may change between steps and runs", "[optim]") {
  const Problem a, b;
  optim::Adam x(a.p, {.beta1 = 0.9}), y(b.p, {.beta1 = 0.9});
  Program step = compile([&](const Var& goal) { y.step(gradient(b.loss(goal), b.p)); }, {b.target});
  for (const double momentum : {0.9, 0.5, 0.0}) {
    x.set_momentum(momentum);
    y.set_momentum(momentum);
    CHECK(x.momentum() == momentum);
    a.step(x);
    step(b.target);
  }
  CHECK(same(values(a.p), values(b.p)));
  const Problem c;
  optim::Adam constant(c.p, {.beta1 = 0.9});
  for (int i = 0; i < 3; ++i) c.step(constant);
  CHECK_FALSE(same(values(a.p), values(c.p)));
  optim::SGD plain({one()}, {});
  REQUIRE_ERROR(plain.set_momentum(0.5), ValueError, "has no momentum");
  REQUIRE_ERROR(plain.momentum(), ValueError, "has no momentum");
  REQUIRE_ERROR(x.set_momentum(1), ValueError, "momentum 1: must be in [0, 1)");
}

TEST_CASE("options out of range are refused", "[optim][errors]") {
  using namespace optim;
  const Parameter p = one();
  const double nan = std::nan("");
  REQUIRE_ERROR(Adam({p}, {.learning_rate = -1}), ValueError, "learning rate -1");
  REQUIRE_ERROR(Adam({p}, {.learning_rate = nan}), ValueError, "learning rate");
  REQUIRE_ERROR(Adam({p}, {.beta1 = 1}), ValueError, "[Adam] beta1 1: must be in [0, 1)");
  REQUIRE_ERROR(AdamW({p}, {.beta2 = -0.1}), ValueError, "[AdamW] beta2");
  REQUIRE_ERROR(Adamax({p}, {.epsilon = -1}), ValueError, "[Adamax] epsilon");
  REQUIRE_ERROR(NAdam({p}, {.momentum_decay = -1}), ValueError, "[NAdam] momentum_decay");
  REQUIRE_ERROR(RAdam({p}, {.weight_decay = nan}), ValueError, "[RAdam] weight_decay");
  REQUIRE_ERROR(Lamb({p}, {.beta1 = nan}), ValueError, "[Lamb] beta1");
  REQUIRE_ERROR(Lion({p}, {.beta2 = 1}), ValueError, "[Lion] beta2");
  REQUIRE_ERROR(Rprop({p}, {.shrink = 1}), ValueError, "[Rprop] shrink");
  REQUIRE_ERROR(Rprop({p}, {.grow = 1}), ValueError, "[Rprop] grow");
  REQUIRE_ERROR(Rprop({p}, {.smallest = 1, .largest = 0.5}), ValueError, "[Rprop] largest");
  REQUIRE_ERROR(Adagrad({p}, {.rate_decay = -1}), ValueError, "[Adagrad] rate_decay");
  REQUIRE_ERROR(RMSprop({p}, {.alpha = 1}), ValueError, "[RMSprop] alpha");
  REQUIRE_ERROR(Adadelta({p}, {.rho = 2}), ValueError, "[Adadelta] rho");
  REQUIRE_ERROR(ASGD({p}, {.lambda = -1}), ValueError, "[ASGD] lambda");
  REQUIRE_ERROR(SGD({p}, {.dampening = 2}), ValueError, "[SGD] dampening");
}

}  // namespace xtape
