#include "support.hpp"

// Recurrent and attention layers.
namespace xtape {
namespace {

using test::relative_difference;

constexpr double kSame = 1e-13;

Tensor draw(const Shape& s, std::uint64_t seed) { return Rng(seed).normal(s, 0, 1, f64); }

template <class M>
M drawn(M m) {
  m.to(f64);
  std::uint64_t seed = 100;
  for (Parameter p : m.parameters()) p.assign((draw(p.shape(), seed++) * 0.5).value());
  return m;
}

// The parameters of `to` become those of `from` with these endings.
void load(const nn::Module& to, const nn::Module& from, const std::string& ending) {
  for (Parameter p : to.parameters()) p.assign(from.parameter(p.name() + ending).value());
}

template <class Cell>
void check_lengths(const Cell& cell) {
  const std::int64_t time = 5, batch = 4;
  const std::vector<std::int64_t> lengths{5, 3, 1, 0};
  const Tensor x = draw({time, batch, 3}, 1);
  const auto r = cell.run(no_grad(x), {}, Tensor::from(lengths));
  Parameters p = cell.parameters();
  Tape tape;
  const Var in = tape.variable(x);
  const Tensors g = tape.gradient(sum(sin(cell.run(in, {}, Tensor::from(lengths)).output)), p);
  Tensors expected;
  for (std::int64_t b = 0; b < batch; ++b) {
    INFO("sequence " << b);
    const std::int64_t n = lengths[static_cast<std::size_t>(b)];
    const Tensor beyond = slice(r.output, {{n, {}}, {b, b + 1}}).value();
    CHECK(identical(beyond, Tensor::zeros(beyond.shape(), f64)));
    if (n == 0) continue;
    const Tensor alone = slice(x, {{0, n}, {b, b + 1}}).value();
    const auto single = cell.run(no_grad(alone));
    CHECK(relative_difference(slice(r.output, {{0, n}, {b, b + 1}}).value(),
                              single.output.value()) < kSame);
    CHECK(relative_difference(slice(r.state.h, 1, {b, b + 1}).value(), single.state.h.value()) <
          kSame);
    if (r.state.c.defined()) {
      CHECK(relative_difference(slice(r.state.c, 1, {b, b + 1}).value(), single.state.c.value()) <
            kSame);
    }
    Tape one;
    const Tensors part = one.gradient(sum(sin(cell.run(one.input(alone)).output)), p);
    for (std::size_t i = 0; i < p.size(); ++i) {
      if (expected.size() < p.size()) {
        expected.push_back(part[i]);
      } else {
        expected[i] = (Var(expected[i]) + part[i]).value();
      }
    }
  }
  for (std::size_t i = 0; i < p.size(); ++i) {
    INFO(p[i].name());
    CHECK(relative_difference(g[i], expected[i]) < 1e-12);
  }
}

}  // namespace

TEST_CASE("recurrent parameters are named and shaped as PyTorch's", "[nn][recurrent]") {
  const nn::LSTM lstm(3, 4, {.layers = 2, .bidirectional = true});
  std::string names;
  for (const Parameter& p : lstm.parameters()) names += p.name() + p.shape().str() + " ";
  CHECK(names ==
        "weight_ih_l0(16, 3) weight_hh_l0(16, 4) bias_ih_l0(16,) bias_hh_l0(16,) "
        "weight_ih_l0_reverse(16, 3) weight_hh_l0_reverse(16, 4) bias_ih_l0_reverse(16,) "
        "bias_hh_l0_reverse(16,) "
        "weight_ih_l1(16, 8) weight_hh_l1(16, 4) bias_ih_l1(16,) bias_hh_l1(16,) "
        "weight_ih_l1_reverse(16, 8) weight_hh_l1_reverse(16, 4) bias_ih_l1_reverse(16,) "
        "bias_hh_l1_reverse(16,) ");
  CHECK(nn::GRU(3, 4, {.bias = false}).parameters().size() == 2);
  CHECK(lstm.describe() == "LSTM(3 → 4, 2 layers, bidirectional)");
}

TEST_CASE("an LSTM with a projection gives W_hr h, to itself and to the next layer",
          "[nn][recurrent]") {
  nn::LSTM lstm(nn::infer, 4, {.layers = 2, .projection = 2, .dtype = f64});
  const Tensor x = draw({3, 5, 6}, 1);
  lstm(no_grad(x));
  lstm = drawn(lstm);
  std::string names;
  for (const Parameter& p : lstm.parameters()) names += p.name() + p.shape().str() + " ";
  CHECK(
      names ==
      "weight_ih_l0(16, 6) weight_hh_l0(16, 2) bias_ih_l0(16,) bias_hh_l0(16,) weight_hr_l0(2, 4) "
      "weight_ih_l1(16, 2) weight_hh_l1(16, 2) bias_ih_l1(16,) bias_hh_l1(16,) weight_hr_l1(2, "
      "4) ");
  CHECK(lstm.describe() == "LSTM(? → 4, 2 layers, projected to 2)");
  const Tensor h0 = draw({2, 5, 2}, 2), c0 = draw({2, 5, 4}, 3);
  std::vector<Var> sequence;
  for (std::int64_t t = 0; t < 3; ++t) sequence.push_back(select(no_grad(x), 0, t));
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    const auto w = [&](const std::string& name) {
      return no_grad(lstm.parameter(name + "_l" + std::to_string(layer)));
    };
    const auto times = [](const Var& a, const Var& b) {
      return matmul(a, b, {.transpose_b = true});
    };
    Var h = select(no_grad(h0), 0, layer), c = select(no_grad(c0), 0, layer);
    for (Var& s : sequence) {
      const Var g =
          times(s, w("weight_ih")) + w("bias_ih") + times(h, w("weight_hh")) + w("bias_hh");
      const std::vector<Var> gates = split(g, {4, 4, 4, 4}, 1);
      c = sigmoid(gates[1]) * c + sigmoid(gates[0]) * tanh(gates[2]);
      s = h = times(sigmoid(gates[3]) * tanh(c), w("weight_hr"));
    }
    const auto r = lstm.run(no_grad(x), {no_grad(h0), no_grad(c0)});
    CHECK(relative_difference(select(r.state.h, 0, layer).value(), h.value()) < kSame);
    CHECK(relative_difference(select(r.state.c, 0, layer).value(), c.value()) < kSame);
    if (layer == 1) CHECK(relative_difference(r.output.value(), stack(sequence).value()) < kSame);
  }
  REQUIRE_ERROR(lstm.run(x, {no_grad(c0), {}}), ShapeError, "hidden] = (2, 5, 2)");
  REQUIRE_ERROR(nn::GRU(3, 4, {.projection = 2}), ValueError, "projection 2");
  REQUIRE_ERROR(nn::LSTM(3, 4, {.projection = 4}), ValueError, "projection 4");
  const nn::TextNetwork n = nn::parse_network("7x3 lstm:4:projection=2 select:1:-1 dense:2");
  CHECK(n.net(no_grad(Tensor::ones({2, 7, 3}, f32))).shape() == Shape{2, 2});
  CHECK(nn::parse_network(n.text).text == n.text);
  CHECK_THAT(n.text, ContainsSubstring("projection=2"));
}

TEST_CASE("sequences of different length run as if each was alone", "[nn][recurrent]") {
  const nn::RecurrentOptions deep{.layers = 2, .bidirectional = true};
  check_lengths(drawn(nn::RNN(3, 4, deep)));
  check_lengths(drawn(nn::LSTM(3, 4, deep)));
  check_lengths(drawn(nn::GRU(3, 4, deep)));
  check_lengths(drawn(nn::LSTM(3, 4)));
  check_lengths(drawn(nn::LSTM(3, 4, {.layers = 2, .bidirectional = true, .projection = 2})));
  const nn::LSTM lstm = drawn(nn::LSTM(3, 4));
  const Var x = no_grad(draw({5, 2, 3}, 1));
  REQUIRE_ERROR(lstm.run(x, {}, Tensor({6, 1}).to(i64)), ValueError, "length 6 of sequence 0");
  REQUIRE_ERROR(lstm.run(x, {}, Tensor({5, 1})), DTypeError, "lengths are f64");
  REQUIRE_ERROR(lstm.run(x, {}, Tensor({5}).to(i64)), ShapeError, "[batch] = (2,)");
  // In programs lengths are arguments.
  Program p = compile([&](const Var& v, const Var& n) { return lstm.run(v, {}, n).output; },
                      {{{5, 2, 3}, f64}, {{2}, i64}});
  for (const Tensor& n : {Tensor({5, 2}).to(i64), Tensor({1, 4}).to(i64)}) {
    CHECK(relative_difference(p(x.value(), n), lstm.run(x, {}, n).output.value()) < kSame);
  }
}

TEST_CASE("a bidirectional layer is one forward and one on the reversed", "[nn][recurrent]") {
  const auto check = [](auto both, auto forward, auto back) {
    load(forward, both, "");
    load(back, both, "_reverse");
    const Var x = no_grad(draw({6, 2, 3}, 1));
    const auto r = both.run(x);
    const auto f = forward.run(x), b = back.run(flip(x, 0));
    CHECK(relative_difference(concat({f.output, flip(b.output, 0)}, -1).value(), r.output.value()) <
          kSame);
    CHECK(relative_difference(concat({f.state.h, b.state.h}).value(), r.state.h.value()) < kSame);
  };
  const nn::RecurrentOptions both{.bidirectional = true};
  check(drawn(nn::LSTM(3, 4, both)), drawn(nn::LSTM(3, 4)), drawn(nn::LSTM(3, 4)));
  check(drawn(nn::GRU(3, 4, both)), drawn(nn::GRU(3, 4)), drawn(nn::GRU(3, 4)));
  check(drawn(nn::ReluRNN(3, 4, both)), drawn(nn::ReluRNN(3, 4)), drawn(nn::ReluRNN(3, 4)));
}

TEST_CASE("the final state continues a sequence", "[nn][recurrent]") {
  const auto check = [](const auto& cell) {
    const Var x = no_grad(draw({7, 2, 3}, 1));
    const auto whole = cell.run(x), first = cell.run(slice(x, 0, {0, 4}));
    const auto second = cell.run(slice(x, 0, {4, {}}), first.state);
    CHECK(relative_difference(concat({first.output, second.output}).value(), whole.output.value()) <
          kSame);
    CHECK(relative_difference(second.state.h.value(), whole.state.h.value()) < kSame);
  };
  check(drawn(nn::LSTM(3, 4, {.layers = 2})));
  check(drawn(nn::GRU(3, 4, {.layers = 2})));
  check(drawn(nn::RNN(3, 4, {.layers = 2})));
}

TEST_CASE("batch first only exchanges axes, one sequence needs none", "[nn][recurrent]") {
  const nn::GRU time = drawn(nn::GRU(3, 4)), batch = drawn(nn::GRU(3, 4, {.batch_first = true}));
  const Var x = no_grad(draw({5, 2, 3}, 1));
  const Tensor y = time(x).value();
  CHECK(relative_difference(transpose(batch(transpose(x, {1, 0, 2})), {1, 0, 2}).value(), y) <
        kSame);
  const auto one = batch.run(no_grad(select(x, 1, 0)));
  CHECK(relative_difference(one.output.value(), select(Var(y), 1, 0).value()) < kSame);
  CHECK(one.state.h.shape() == Shape{1, 4});
}

TEST_CASE("dropout between recurrent layers is for training", "[nn][recurrent]") {
  nn::LSTM lstm = drawn(nn::LSTM(3, 4, {.layers = 2, .dropout = 0.5}));
  const Var x = no_grad(draw({5, 2, 3}, 1));
  const Tensor a = lstm(x).value(), b = lstm(x).value();
  CHECK_FALSE(identical(a, b));
  lstm.eval();
  const Tensor still = lstm(x).value();
  CHECK(identical(still, lstm(x).value()));
  CHECK(relative_difference(still, drawn(nn::LSTM(3, 4, {.layers = 2}))(x).value()) < kSame);
  // The last layer's outputs are not dropped.
  nn::LSTM single = drawn(nn::LSTM(3, 4, {.dropout = 0.5}));
  CHECK(identical(single(x).value(), single(x).value()));
}

TEST_CASE("a recurrent layer of one step has all gradients", "[nn][recurrent]") {
  for (const bool lstm : {true, false}) {
    const nn::LSTM a = drawn(nn::LSTM(3, 4));
    const nn::GRU b = drawn(nn::GRU(3, 4));
    const nn::Module& m = lstm ? static_cast<const nn::Module&>(a) : b;
    Tape tape;
    const Var y = m(tape.input(draw({1, 2, 3}, 1)));
    CHECK(tape.gradient(sum(y), m.parameters()).size() == 4);
  }
}

TEST_CASE("attention is softmax of products, head by head", "[nn][attention]") {
  const nn::MultiheadAttention m = drawn(nn::MultiheadAttention(6, 2, {.batch_first = true}));
  const Tensor q = draw({2, 3, 6}, 1), kv = draw({2, 4, 6}, 2);
  const Attention a = m.attend(no_grad(q), no_grad(kv), no_grad(kv));
  REQUIRE(a.weights.shape() == Shape{2, 2, 3, 4});
  const auto in = [&](const Tensor& x, std::int64_t part) {
    const Tensor w = m.parameter("in_proj_weight").value(), b = m.parameter("in_proj_bias").value();
    return linear(x, narrow(w, 0, 6 * part, 6), narrow(b, 0, 6 * part, 6));
  };
  const Var pq = in(q, 0), pk = in(kv, 1), pv = in(kv, 2);
  std::vector<Var> heads;
  for (std::int64_t h = 0; h < 2; ++h) {
    const auto cut = [h](const Var& v) { return narrow(v, -1, 3 * h, 3); };
    const Var w = softmax(matmul(cut(pq), cut(pk), {.transpose_b = true}) / std::sqrt(3.0));
    CHECK(relative_difference(w.value(), select(a.weights, 1, h).value()) < kSame);
    heads.push_back(matmul(w, cut(pv)));
  }
  const Var y = linear(concat(heads, -1), Var(m.parameter("out_proj.weight").value()),
                       Var(m.parameter("out_proj.bias").value()));
  CHECK(relative_difference(y.value(), a.output.value()) < kSame);
  // As a module, in both orders of axes, and for one sequence.
  CHECK(relative_difference(m(no_grad(q), no_grad(kv)).value(), y.value()) < kSame);
  const nn::MultiheadAttention t = drawn(nn::MultiheadAttention(6, 2));
  const Var self = m(no_grad(q));
  CHECK(relative_difference(transpose(t(no_grad(transpose(q, {1, 0, 2}))), {1, 0, 2}).value(),
                            self.value()) < kSame);
  CHECK(relative_difference(m(no_grad(select(Var(q), 0, 1))).value(), select(self, 0, 1).value()) <
        kSame);
}

TEST_CASE("masks say who may attend to what", "[nn][attention]") {
  const nn::MultiheadAttention m = drawn(nn::MultiheadAttention(6, 2, {.batch_first = true}));
  const nn::MultiheadAttention causal =
      drawn(nn::MultiheadAttention(6, 2, {.batch_first = true, .causal = true}));
  const Tensor x = draw({2, 4, 6}, 1);
  const Var v = no_grad(x);
  const Tensor below = (Var(Tensor::arange(4).reshape({4, 1})) >= Tensor::arange(4)).value();
  const Tensor expected = m.attend(v, v, v, {.mask = below}).output.value();
  CHECK(relative_difference(causal(v).value(), expected) < kSame);
  const Tensor numbers = where(below, Tensor::zeros({4, 4}, f64), -INFINITY).value();
  CHECK(relative_difference(m.attend(v, v, v, {.mask = numbers}).output.value(), expected) < kSame);
  // What comes later does not matter.
  const Tensor first = narrow(expected, 1, 0, 2).value();
  CHECK(relative_difference(causal(narrow(v, 1, 0, 2)).value(), first) < kSame);
  // Padding is as if it was not there, for values and gradients.
  const Tensor there = greater(Tensor({{1, 1, 1, 0}, {1, 1, 0, 0}}), 0).value();
  const Tensor y = m.attend(v, v, v, {.keys = there}).output.value();
  for (std::int64_t b = 0; b < 2; ++b) {
    const std::int64_t n = 3 - b;
    const Var alone = narrow(narrow(v, 0, b, 1), 1, 0, n);
    CHECK(relative_difference(narrow(narrow(y, 0, b, 1), 1, 0, n).value(), m(alone).value()) <
          kSame);
  }
  Tape tape;
  const Var k = tape.variable(x);
  const Attention a = m.attend(tape.input(x), k, k, {.mask = below, .keys = there});
  const Tensor g = tape.gradient(sum(a.output * a.output), k);
  CHECK(sum(abs(slice(g, {{1, 2}, {2, 4}}))).item() == 0);
  CHECK(sum(abs(slice(g, {{1, 2}, {0, 2}}))).item() > 0);
  REQUIRE_ERROR(m(no_grad(draw({2, 4, 5}, 1))), ShapeError, "must be [batch, time, 6]");
}

TEST_CASE("a transformer's layer is what its definition says", "[nn][attention]") {
  const auto check = [](bool norm_first) {
    const nn::TransformerOptions o{.feedforward = 5,
                                   .dropout = 0.3,
                                   .activation = nn::GELU(),
                                   .batch_first = true,
                                   .norm_first = norm_first};
    nn::TransformerDecoderLayer m = drawn(nn::TransformerDecoderLayer(4, 2, o));
    const Var x = no_grad(draw({2, 3, 4}, 1)), memory = no_grad(draw({2, 5, 4}, 2));
    CHECK_FALSE(identical(m(x, memory).value(), m(x, memory).value()));  // dropout
    m.eval();
    const auto child = [&](const std::string& name) -> const nn::Module& {
      for (const auto& c : m.children()) {
        if (c.name == name) return *c.module;
      }
      throw ValueError("test", name);
    };
    const auto block = [&](const Var& v, const std::string& norm, auto f) {
      const nn::Module& n = child(norm);
      return norm_first ? v + f(n(v)) : n(v + f(v));
    };
    Var y = block(x, "norm1", [&](const Var& v) { return child("self_attn")(v); });
    y = block(y, "norm2", [&](const Var& v) { return child("multihead_attn")(v, memory); });
    y = block(y, "norm3",
              [&](const Var& v) { return child("linear2")(gelu(child("linear1")(v))); });
    CHECK(relative_difference(m(x, memory).value(), y.value()) < kSame);
  };
  check(false);
  check(true);
  const nn::TransformerEncoderLayer e(4, 2, {.feedforward = 5});
  std::string names;
  for (const Parameter& p : e.parameters()) names += p.name() + " ";
  CHECK(names ==
        "self_attn.in_proj_weight self_attn.in_proj_bias self_attn.out_proj.weight "
        "self_attn.out_proj.bias linear1.weight linear1.bias linear2.weight linear2.bias "
        "norm1.weight norm1.bias norm2.weight norm2.bias ");
  REQUIRE_ERROR(nn::TransformerDecoderLayer(4, 2)(no_grad(draw({3, 2, 4}, 1))), ValueError,
                "it takes x and memory");
  // Errors name the part.
  const nn::Sequential net(nn::Identity(), nn::TransformerEncoderLayer(4, 2));
  REQUIRE_ERROR(net(no_grad(Tensor::ones({3, 2, 5}))), ShapeError,
                "[1.self_attn] MultiheadAttention: queries of shape (3, 2, 5)");
}

TEST_CASE("transformers stack layers that begin unlike each other", "[nn][attention]") {
  const nn::TransformerOptions o{.feedforward = 5, .dropout = 0};
  const nn::TransformerEncoder e(nn::TransformerEncoderLayer(4, 2, o), 2, true);
  CHECK(e.parameters().size() == 2 * 12 + 2);
  CHECK(e.parameters("layers.1.self_attn.*").size() == 4);
  CHECK(e.parameters("norm.*").size() == 2);
  CHECK_FALSE(identical(e.parameter("layers.0.linear1.weight").value(),
                        e.parameter("layers.1.linear1.weight").value()));
  const Var x = no_grad(draw({3, 2, 4}, 1).to(f32)), memory = no_grad(draw({5, 2, 4}, 2).to(f32));
  const auto& layers = e.children()[0].module->children();
  const Var y = (*e.children()[1].module)((*layers[1].module)((*layers[0].module)(x)));
  CHECK(identical(e(x).value(), y.value()));
  // Masks reach each layer: the last step sees itself alone.
  const Tensor last = Tensor({{0, 0, 1}}).to(boolean);
  const Var masked = e.encode(x, {.mask = Var(last)});
  CHECK_FALSE(identical(masked.value(), y.value()));
  const nn::TransformerDecoder d(nn::TransformerDecoderLayer(4, 2, o), 3);
  Var z = x;
  for (const auto& c : d.children()[0].module->children()) z = (*c.module)(z, memory);
  CHECK(identical(d(x, memory).value(), z.value()));
  CHECK(d.describe() ==
        "TransformerDecoder(3 × TransformerDecoderLayer(MultiheadAttention(4, 2 heads)))");
  REQUIRE_ERROR(d(x), ValueError, "it takes x and memory");
  REQUIRE_ERROR(nn::TransformerEncoder(nn::TransformerEncoderLayer(4, 2), 0), ValueError,
                "0 layers: must be 1 or more");
}

}  // namespace xtape
