#include "support.hpp"

// What a module is, whatever it computes.
namespace xtape {
namespace {

// Counts its calls in a buffer and scales in training only.
class Counting : public nn::Cloneable<Counting> {
 public:
  Counting() : calls_(add_buffer("calls", Tensor::scalar(0, i64))) {}
  Var forward(const Var& x) const override {
    write(calls_, read(calls_, x) + 1);
    return training() ? x * 2 : x;
  }
  std::string describe() const override { return "Counting"; }
  void rebind() override { calls_ = own_buffers()[0]; }

 private:
  Parameter calls_;
};

class Sum : public nn::Joining<Sum> {
 public:
  Var forward_all(std::span<const Var> xs) const override {
    Var y = xs[0];
    for (const Var& x : xs.subspan(1)) y = y + x;
    return y;
  }
  std::string describe() const override { return "Sum"; }
};

double calls(const nn::Module& m) { return m.buffers().at(0).value().item(); }

Tensor row(double a, double b) { return Tensor({{a, b}}, f32); }

}  // namespace

TEST_CASE("a module takes one input or several", "[nn][module]") {
  const Var a = no_grad(row(1, 2)), b = no_grad(row(10, 20));
  const Sum sum;
  CHECK(sum(a, b).value().flat(1) == 22);
  CHECK(sum(a).value().flat(1) == 2);
  const std::vector<Var> three{a, b, b};
  CHECK(sum(std::span<const Var>(three)).value().flat(0) == 21);
  const nn::Dense dense(2, 3);
  CHECK(dense(std::span<const Var>(&a, 1)).shape() == Shape{1, 3});
  REQUIRE_ERROR(dense(a, b), ValueError, "[Dense(2 → 3)] 2 inputs: it takes one");
  const nn::Sequential net(Sum(), nn::Dense(2, 3));
  CHECK(identical(net(a, b).value(), net[1](sum(a, b)).value()));
  REQUIRE_ERROR(nn::Sequential(nn::Dense(2, 3), Sum())(a, b), ValueError, "[0] Dense(2 → 3): 2");
}

TEST_CASE("buffers are walked, named, copied and kept from gradients", "[nn][module]") {
  nn::Sequential net(Counting(), nn::Dense(2, 2), nn::Sequential(Counting()));
  REQUIRE(net.buffers().size() == 2);
  CHECK(net.buffers()[0].name() == "0.calls");
  CHECK(net.buffers()[1].name() == "2.0.calls");
  CHECK(net.parameters().size() == 2);
  net(no_grad(row(1, 2)));
  net(no_grad(row(1, 2)));
  CHECK(calls(net) == 2);
  const auto clone = net.clone();
  (*clone)(no_grad(row(1, 2)));
  CHECK(calls(*clone) == 3);
  CHECK(calls(net) == 2);
  // A buffer that was read and assigned to does not spoil the gradient, nor the next call.
  Tape tape;
  const Var x = tape.variable(row(1, 2));
  CHECK(tape.gradient(sum(net(net(x))), x).shape() == Shape{1, 2});
  CHECK(calls(net) == 4);
  net.to(f64);
  CHECK(net.buffers()[0].dtype() == i64);
}

TEST_CASE("programs change buffers at every run", "[nn][module][program]") {
  const Counting m;
  Program p = compile([&](const Var& x) { return m(x); }, {{1, 2}});
  CHECK(calls(m) == 0);  // recorded, not run
  p(row(1, 2));
  p(row(1, 2));
  CHECK(calls(m) == 2);
}

TEST_CASE("train and eval change behaviour, not gradients", "[nn][module]") {
  nn::Sequential net(nn::Sequential(Counting()), nn::Dense(2, 2));
  CHECK(net.training());
  net.freeze();
  net.eval();
  CHECK_FALSE(net[0].training());
  CHECK(net[0](no_grad(row(1, 2))).value().flat(0) == 1);
  CHECK(net.parameters()[0].frozen());
  CHECK_FALSE(net.clone()->training());
  net.train();
  CHECK(net[0](no_grad(row(1, 2))).value().flat(0) == 2);
  CHECK(net.parameters()[0].frozen());
}

TEST_CASE("an error carries the path of the innermost module, once", "[nn][module][errors]") {
  const nn::Sequential net(nn::Dense(2, 2), nn::Sequential(nn::Tanh(), nn::Dense(3, 1)));
  try {
    net(no_grad(row(1, 2)));
    FAIL("no error");
  } catch (const ShapeError& e) {
    CHECK(e.module() == "1.1");
    CHECK(e.where() == "Dense");
    CHECK(std::string(e.what()) ==
          "[1.1] Dense: input of shape (1, 2): the last axis must have extent 3");
  }
  // Ops' errors, too.
  const nn::Sequential bad(
      nn::Sequential(nn::Activation("odd", [](const Var& x) { return reshape(x, {7}); }),
                     nn::Tanh()),
      nn::Tanh());
  REQUIRE_ERROR(bad(no_grad(row(1, 2))), ShapeError, "[0.0] reshape: ");
  REQUIRE_ERROR(nn::Dense(3, 1)(no_grad(row(1, 2))), ShapeError, "[Dense] input");
}

TEST_CASE("forward hooks see inputs and outputs until removed", "[nn][module]") {
  nn::Sequential net(nn::Dense(2, 3), nn::ReLU());
  std::string seen;
  nn::ForwardHook hook = net.children()[1].module->add_forward_hook(
      [&](const nn::Module& m, std::span<const Var> in, const Var& out) {
        seen += m.path() + m.describe() + in[0].shape().str() + out.shape().str();
      });
  net(no_grad(row(1, 2)));
  CHECK(seen == "1relu(1, 3)(1, 3)");
  (*net.clone())(no_grad(row(1, 2)));
  CHECK(seen.size() == 17);
  CHECK(hook.active());
  hook.remove();
  CHECK_FALSE(hook.active());
  net(no_grad(row(1, 2)));
  CHECK(seen.size() == 17);
}

TEST_CASE("gradient hooks on a module's output change gradients until removed", "[nn][module]") {
  nn::Sequential net{nn::Identity(), nn::Identity()};
  nn::ForwardHook hook =
      net.children()[0].module->add_output_gradient_hook([](const Var& g) { return g * 3; });
  const auto slope = [&] {
    Tape tape;
    const Var x = tape.variable(row(1, 2));
    const Var y = net(x * 1);
    return tape.gradient(sum(y * 2), x).flat(0);
  };
  CHECK(slope() == 6);
  // Also of outputs that are there already.
  Tape tape;
  const Var x = tape.variable(row(1, 2));
  const Var y = net(x * 1);
  hook.remove();
  CHECK(tape.gradient(sum(y * 2), x).flat(0) == 2);
  CHECK(slope() == 2);
}

TEST_CASE("open sizes are those of the first input", "[nn][module][lazy]") {
  nn::Sequential open(nn::Dense(nn::infer, 4), nn::Tanh(), nn::Dense(nn::infer, 2));
  nn::Sequential known(nn::Dense(3, 4), nn::Tanh(), nn::Dense(4, 2));
  const auto same = [](const nn::Module& a, const nn::Module& b) {
    const Parameters p = a.parameters(), q = b.parameters();
    REQUIRE(p.size() == q.size());
    for (std::size_t i = 0; i < p.size(); ++i) {
      INFO(p[i].name());
      CHECK(p[i].name() == q[i].name());
      CHECK(identical(p[i].value(), q[i].value()));
    }
  };
  Parameter weight = open.parameters()[2];
  REQUIRE_ERROR(weight.value(), ValueError, "[2.weight] the parameter has no value yet");
  REQUIRE_ERROR(weight.value(), ValueError, "call net.build(");
  REQUIRE_ERROR(optim::SGD(open.parameters(), {}), ValueError, "[0.weight]");
  CHECK(open.describe() == "Sequential(Dense(? → 4), tanh, Dense(? → 2))");
  const auto drawn = open.clone(), converted = open.clone(), tied = open.clone();
  SECTION("by default") {
    open(no_grad(Tensor::ones({5, 3})));
    same(open, known);
    CHECK(weight.shape() == Shape{2, 4});
    REQUIRE_ERROR(open(no_grad(Tensor::ones({5, 4}))), ShapeError, "must have extent 3");
  }
  SECTION("built, and drawn with a seed before") {
    drawn->initialize(nn::he_normal(), Rng(5));
    drawn->build({1, 3});
    known.initialize(nn::he_normal(), Rng(5));
    same(*drawn, known);
    drawn->initialize(Rng(6));
    known.initialize(Rng(6));
    same(*drawn, known);
  }
  SECTION("converted and frozen before") {
    converted->to(f64);
    converted->freeze();
    converted->build({1, 3});
    known.to(f64);
    same(*converted, known);
    CHECK(converted->parameters()[0].frozen());
  }
  SECTION("in a program") {
    Program p = compile([&](const Var& x) { return open(x); }, {{5, 3}});
    same(open, known);
    CHECK(test::relative_difference(p(Tensor::ones({5, 3})),
                                    known(no_grad(Tensor::ones({5, 3}))).value()) < 1e-6);
  }
  REQUIRE_ERROR(nn::Dense(nn::infer, 3)(no_grad(Tensor::scalar(1, f32))), ShapeError, "last axis");
}

TEST_CASE("shapes are found without computing", "[nn][module]") {
  const nn::Sequential net(Counting(), nn::Dense(nn::infer, 4));
  CHECK(net.output_shape({7, 3}) == Shape{7, 4});
  CHECK(calls(net) == 0);
  const Spec in[] = {{{2, 3}, f64}, {{3}, f64}};
  CHECK(Sum().output_spec(in) == Spec{{2, 3}, f64});
  REQUIRE_ERROR(net.output_shape({7, 2}), ShapeError, "[1] Dense: ");
}

TEST_CASE("tied weights are one parameter", "[nn][module]") {
  nn::Sequential net(nn::Dense(3, 3), nn::Dense(3, 3, {.bias = false}));
  net.tie("1.weight", net.parameter("0.weight"));
  REQUIRE(net.parameters().size() == 2);
  CHECK(net.parameters()[0].name() == "0.weight");
  const auto clone = net.clone();
  CHECK(clone->parameters().size() == 2);
  CHECK(clone->parameters()[0].name() == "0.weight");
  CHECK(clone->children()[1].module->own_parameters()[0] == clone->parameters()[0]);
  nn::Sequential outer(net, nn::ReLU());
  CHECK(outer.parameters()[0].name() == "0.0.weight");
  net.to(f64);
  Rng rng(1);
  const Tensor x = rng.normal({2, 3}, 0, 1, f64);
  const auto r = gradcheck_parameters([&](Tape& t) { return sum(square(net(t.input(x)))); },
                                      net.parameters(), {.order = 2});
  INFO(r);
  CHECK(r.ok());
  REQUIRE_ERROR(net.tie("1.weights", net.parameters()[0]), ValueError, "'1.weights' is not one of");
  REQUIRE_ERROR(net.tie("0.0.weight", net.parameters()[1]), ShapeError, "must be equal");
}

TEST_CASE("a module that stands twice is one module", "[nn][module]") {
  const auto shared = std::make_shared<nn::Dense>(2, 2);
  nn::Sequential net;
  net.add(shared).add(nn::Tanh()).add(shared);
  CHECK(net.parameters().size() == 2);
  CHECK(net.parameters()[0].name() == "0.weight");
  CHECK(shared->path() == "0");
  const auto clone = net.clone();
  CHECK(clone->children()[0].module == clone->children()[2].module);
  CHECK(clone->parameters()[1].name() == "0.bias");
}

TEST_CASE("parameters are grouped by their names", "[nn][module]") {
  const nn::Sequential net(nn::Sequential(nn::Dense(2, 2), nn::Dense(2, 2)), nn::Dense(2, 2));
  CHECK(net.parameters("0.*").size() == 4);
  CHECK(net.parameters("*.bias").size() == 3);
  CHECK(net.parameters("0.?.weight").size() == 2);
  CHECK(net.parameters("?.weight").size() == 1);
  REQUIRE_ERROR(net.parameters("weight"), ValueError, "'weight' matches none of 0.0.weight, ");
  CHECK(net.parameters([](const Parameter& p) { return p.shape().rank() == 1; }).size() == 3);
  for (Parameter p : net.parameters("0.*")) p.freeze();
  Tape tape;
  const Var y = net(tape.input(row(1, 2)));
  CHECK(tape.gradient(sum(y), net.parameters("1.*")).size() == 2);
}

}  // namespace xtape
