#include "support.hpp"

// The module of docs/modules.md.
namespace xtape {
namespace {

// x + softplus(raw) · inner(x)
class Gate : public nn::Cloneable<Gate> {
 public:
  explicit Gate(std::int64_t features) {
    add_child("inner", std::make_shared<nn::Dense>(features, features));
    add_parameter("raw", {features}, nn::constant(0), {features, features}, f32);
  }
  Var forward(const Var& x) const override {
    const Var scale = softplus(beside(own("raw"), x));
    return x + scale * child<nn::Dense>(0)(x);
  }
  std::string describe() const override { return "Gate"; }
};

class Wrong : public nn::Cloneable<Wrong> {
 public:
  Wrong() { add_child("inner", std::make_shared<nn::Tanh>()); }
  Var forward(const Var& x) const override { return child<nn::Dense>(0)(x); }
  std::string describe() const override { return "Wrong"; }
};

class Keeps : public nn::Cloneable<Keeps> {
 public:
  Var forward(const Var& x) const override { return inner(x); }
  std::string describe() const override { return "Keeps"; }
  nn::Dense inner{3, 3};  // unknown to the module
};

}  // namespace

TEST_CASE("a module of one's own is trained, cloned and kept", "[nn][docs]") {
  nn::Sequential net{Gate(3), nn::Dense(3, 1)};
  net.initialize(Rng(1));
  std::string names;
  for (const Parameter& p : net.parameters()) names += p.name() + " ";
  CHECK(names == "0.raw 0.inner.weight 0.inner.bias 1.weight 1.bias ");
  const Tensor x = Rng(2).uniform({5, 3}, -1, 1);
  const auto copy = net.clone();
  const Tensor before = copy->forward(no_grad(x)).value();
  optim::Adam adam(net.parameters());
  Tape tape;
  adam.step(tape.gradient(sum(square(net(tape.input(x)))), net.parameters()));
  CHECK(identical(copy->forward(no_grad(x)).value(), before));
  CHECK_FALSE(identical(net(no_grad(x)).value(), before));
  for (Parameter p : copy->parameters()) p.assign(Tensor::zeros(p.shape()));
  CHECK(identical(copy->forward(no_grad(x)).value(), Tensor::zeros({5, 1})));
  CHECK(nn::diagnose(net, nn::loss("mse").f, x, Tensor::zeros({5, 1})).layers.size() > 1);
  REQUIRE_ERROR(Wrong()(no_grad(x)), ValueError, "child 0, 'inner', is a tanh: of another class");
}

TEST_CASE("what has no parameters is not trained in silence", "[nn][optim]") {
  const Keeps net;
  REQUIRE_ERROR(optim::SGD(net.parameters()), ValueError, "add_parameter and add_child");
  REQUIRE_ERROR(optim::LBFGS(net.parameters()), ValueError, "there are no parameters");
  REQUIRE_ERROR(optim::WeightAverage(net.parameters()), ValueError, "there are no parameters");
  REQUIRE_ERROR(net.parameters("inner.*"), ValueError, "there are no parameters");
}

TEST_CASE("gradients find their parameters in any order", "[optim]") {
  const auto make = [] {
    nn::Sequential net{nn::Dense(3, 3), nn::Tanh(), nn::Dense(3, 3)};
    net.initialize(Rng(3));
    return net;
  };
  nn::Sequential a = make(), b = make(), c = make(), d = make();
  const auto groups = [](const nn::Sequential& net) {
    return std::vector<optim::Group<optim::SGDOptions>>{
        {net.parameters("2.*"), {.learning_rate = 1}},
        {net.parameters("0.*"), {.learning_rate = 2}}};
  };
  optim::SGD own(groups(a)), all(groups(b)), recorded(groups(c)), summed(groups(d));
  optim::GradientSum sums(d.parameters());
  const Tensor x = Rng(2).uniform({5, 3}, -1, 1);
  const auto loss = [](const nn::Sequential& net, const Var& in) { return sum(square(net(in))); };
  Tape ta, tb, td;
  own.step(optim::clip_by_norm(ta.gradient(loss(a, ta.input(x)), own.parameters()), 1));
  all.step(optim::clip_by_norm(tb.gradient(loss(b, tb.input(x)), b.parameters()), 1));
  compile(
      [&](const Var& in) {
        recorded.step(optim::clip_by_norm(gradient(loss(c, in), c.parameters()), 1));
      },
      {x})(x);
  sums.add(td.gradient(loss(d, td.input(x)), summed.parameters()));
  summed.step(optim::clip_by_norm(sums.mean(), 1));
  for (const nn::Sequential* net : {&b, &c, &d}) {
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(test::relative_difference(net->parameters()[i].value(), a.parameters()[i].value()) <
            1e-6);
    }
  }
  // Of a part only: the others have none.
  Tape te;
  REQUIRE_ERROR(
      own.step(te.gradient(loss(a, te.input(x)), a.parameters("0.*"), {.keep_tape = true})),
      ValueError, "[2.weight] has no gradient");
  // Two optimizers each take their own.
  optim::SGD head(a.parameters("2.*")), body(a.parameters("0.*"));
  Tape tf;
  const Tensors both = tf.gradient(loss(a, tf.input(x)), a.parameters());
  head.step(both);
  body.step(both);
  CHECK(head.steps() == 1);
}

}  // namespace xtape
