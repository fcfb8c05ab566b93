#include <limits>

#include "support.hpp"

// What a comparison with a peer on random options has found: losses and attention.
namespace xtape {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Tensor ctc_input(double padding) {
  Tensor x = Rng(1).uniform({4, 2, 3}, -3, -0.1, f64);
  for (std::int64_t c = 0; c < 3; ++c) x.mutable_data<double>()[(3 * 2 + 1) * 3 + c] = padding;
  return x;
}

}  // namespace

TEST_CASE("ctc_loss does not take NaN for an impossible target", "[review][losses]") {
  for (const bool zero : {false, true}) {
    Tape tape;
    const Var x = tape.variable(Tensor::full({3, 1, 3}, kNaN, f64));
    const Var y = ctc_loss(x, Tensor({{1}}, i64), Tensor({3}, i64), Tensor({1}, i64),
                           {.zero_infinity = zero});
    CHECK(std::isnan(y.item()));
    const Tensor impossible = Tensor::full({1, 1, 3}, -1, f64);  // two labels in one step
    CHECK(ctc_loss(impossible, Tensor({{1, 2}}, i64), Tensor({1}, i64), Tensor({2}, i64),
                   {.zero_infinity = zero})
              .item() == (zero ? 0 : INFINITY));
  }
  // Behind the end of a sequence anything may stand.
  const auto run = [](const Tensor& in) {
    Tape tape;
    const Var x = tape.variable(in);
    const Var y =
        ctc_loss(x, Tensor({{1, 2}, {2, 1}}, i64), Tensor({4, 3}, i64), Tensor({2, 2}, i64));
    return std::pair{y.value(), tape.gradient(y, x)};
  };
  const auto [y, g] = run(ctc_input(-1));
  for (const double padding : {kNaN, HUGE_VAL, -HUGE_VAL}) {
    const auto [other_y, other_g] = run(ctc_input(padding));
    CHECK(identical(other_y, y));
    CHECK(identical(other_g, g));
  }
}

TEST_CASE("lengths and offsets are looked at in every run of a program", "[review][program]") {
  const Tensor x = log_softmax(Rng(1).uniform({3, 1, 3})).value();
  Program ctc = compile([&](const Var& in, const Var& n,
                            const Var& m) { return ctc_loss(in, Tensor({{1}}, i64), n, m); },
                        {x, {{1}, i64}, {{1}, i64}});
  const Tensor one = Tensor({1}, i64), three = Tensor({3}, i64);
  CHECK(ctc(x, three, one).item() == ctc_loss(x, Tensor({{1}}, i64), three, one).item());
  REQUIRE_ERROR(ctc(x, Tensor({10}, i64), one), ValueError, "input_lengths[0] = 10");
  REQUIRE_ERROR(ctc(x, three, Tensor({-1}, i64)), ValueError, "target_lengths[0] = -1");
  const Tensor weight = Rng(2).uniform({5, 2}), ids = Tensor({0, 1, 2}, i64);
  Program bags = compile([&](const Var& at) { return embedding_bag(ids, weight, {.offsets = at}); },
                         {{{2}, i64}});
  CHECK(bags(Tensor({0, 2}, i64)).shape() == Shape{2, 2});
  REQUIRE_ERROR(bags(Tensor({0, 5}, i64)), ValueError, "offset 5 at position 1");
}

TEST_CASE("what would make more losses than there are is refused", "[review][losses]") {
  const Tensor y = Tensor::full({3}, 0.5, f64), large = Tensor::ones({4, 3}, f64);
  REQUIRE_ERROR(gaussian_nll_loss(y, y, large), ShapeError, "variances of shape (4, 3)");
  REQUIRE_ERROR(binary_cross_entropy(y, y, {.weight = large}), ShapeError, "weights of shape");
  REQUIRE_ERROR(kl_div(Tensor::zeros({2, 3}), Tensor({0, 1}, i64), {.log_target = true}),
                DTypeError, "labels are no logarithms");
  REQUIRE_ERROR(lp_pool1d(Tensor::ones({1, 1, 4}), HUGE_VAL, 2), ValueError, "max_pool");
}

TEST_CASE("the mean of running statistics keeps a small first one", "[review][nn]") {
  nn::BatchNorm norm(2, {.momentum = std::nullopt});
  const Tensor x = (1e-4 * Var(Rng(1).normal({64, 2}))).value();
  norm(no_grad(x));
  const Tensor var = norm.buffers()[1].value();
  CHECK(var.flat(0) > 5e-9);
  CHECK(var.flat(0) < 2e-8);
}

TEST_CASE("padding of sequences may hold anything", "[review][nn]") {
  nn::LSTM lstm(2, 3, {.dtype = f64});
  lstm.initialize(Rng(1));
  Tensor x = Rng(2).normal({3, 2, 2}, 0, 1, f64);
  for (int k = 0; k < 2; ++k) x.mutable_data<double>()[(2 * 2 + 1) * 2 + k] = kNaN;
  Tape tape;
  const Var in = tape.variable(x);
  const Var y = sum(lstm.run(in, {}, Tensor({3, 2}, i64)).output);
  const Tensors g = tape.gradient(y, {in, lstm.parameter("weight_ih_l0")});
  CHECK(all_finite(g[0]));
  CHECK(all_finite(g[1]));
}

TEST_CASE("graphs of several outputs call their hooks", "[review][nn]") {
  nn::TextNetwork n =
      nn::parse_network("x = input:3\na = dense:2 (x)\nb = tanh (a)\noutput (a, b)\n");
  int calls = 0;
  auto& graph = const_cast<nn::Graph&>(*n.graph);
  const nn::ForwardHook hook =
      graph.add_forward_hook([&](const nn::Module&, std::span<const Var>, const Var&) { ++calls; });
  const Var x = no_grad(Tensor::ones({1, 3}));
  CHECK(n.graph->run({&x, 1}).size() == 2);
  CHECK(calls == 1);
}

TEST_CASE("triplet_margin_loss of each is without the axis of coordinates", "[review][losses]") {
  const Tensor a = Rng(1).uniform({3, 2}), p = Rng(2).uniform({3, 2}), n = Rng(3).uniform({3, 2});
  CHECK(triplet_margin_loss(a, p, n, {.reduction = Reduction::none}).shape() == Shape{3});
  CHECK(triplet_margin_loss(a, p, n, {.reduction = Reduction::none, .swap = true}).shape() ==
        Shape{3});
}

TEST_CASE("margins have slope 1 where they are reached", "[review][losses]") {
  Tape tape;
  const Var a = tape.variable(Tensor({1.0})), b = tape.variable(Tensor({1.0}));
  const Tensors g = tape.gradient(margin_ranking_loss(a, b, Tensor({1.0})), {a, b});
  CHECK(g[0].item() == -1);
  CHECK(g[1].item() == 1);
}

TEST_CASE("class labels are no signs", "[review][losses]") {
  const Tensor y = Tensor::zeros({4, 1}), labels = Tensor({0, 1, 0, 1}, i64);
  REQUIRE_ERROR(soft_margin_loss(y, labels), ShapeError, "[soft_margin_loss]");
  REQUIRE_ERROR(soft_margin_loss(y, labels.reshape({4, 1})), DTypeError, "must be 1 and −1");
  REQUIRE_ERROR(hinge_embedding_loss(y, labels), ShapeError, "[hinge_embedding_loss]");
}

TEST_CASE("masks of attention must fit the products", "[review][attention]") {
  const Var q = Rng(1).uniform({1, 4}), k = Rng(2).uniform({3, 4}), v = Rng(3).uniform({3, 2});
  REQUIRE_ERROR(scaled_dot_product_attention(q, k, v, {.mask = Tensor::ones({5, 3}, boolean)}),
                ShapeError, "a mask (5, 3) for products (1, 3)");
  nn::MultiheadAttention m(4, 2, {.dtype = f64});
  const Var x = no_grad(Rng(4).uniform({3, 1, 4}, -1, 1, f64));
  REQUIRE_ERROR(m.attend(x, x, x, {.keys = Tensor::ones({5, 3}, boolean)}), ShapeError,
                "must be [batch, keys] = (1, 3)");
  REQUIRE_ERROR(m.attend(x, x, x, {.keys = Tensor({{1.0, 1.0, 0.0}})}), DTypeError,
                "must be boolean");
  const Attention there = m.attend(x, x, x, {.keys = Tensor({{1, 1, 0}}).to(boolean)});
  CHECK(there.output.shape() == x.shape());
  CHECK(there.weights.value().at({0, 0, 0, 2}) == 0);
}

TEST_CASE("the lowest number of a mask still allows", "[review][attention]") {
  const double low = std::numeric_limits<float>::lowest();
  const Var q = Rng(1).uniform({2, 4}), k = Rng(2).uniform({2, 4}), v = Rng(3).uniform({2, 2});
  const Tensor w = scaled_dot_product_attention(
                       q, k, v, {.mask = Tensor({{low, 0.0}, {low, 0.0}}, f32), .causal = true})
                       .weights.value();
  CHECK(w.at({0, 0}) == 1);
  CHECK(w.at({0, 1}) == 0);
  CHECK(w.at({1, 1}) == 1);
  // Rows without a key are 0, and so are their gradients.
  const Tensor mask = Tensor({{-INFINITY, -INFINITY}, {0.0, -INFINITY}}, f32);
  Tape tape;
  const Var tq = tape.variable(q.value());
  const Attention a = scaled_dot_product_attention(tq, k, v, {.mask = mask});
  CHECK(a.weights.value().at({0, 0}) == 0);
  CHECK(a.weights.value().at({1, 0}) == 1);
  CHECK(all_finite(tape.gradient(sum(square(a.output)), tq)));
}

}  // namespace xtape
