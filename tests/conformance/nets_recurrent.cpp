#include "nets.hpp"

// Recurrent layers by their definition, in public ops.
namespace xtape::conformance {
namespace {

struct Weights {
  Var ih, hh, bias_ih, bias_hh;
};

Weights weights(const Call& c, std::int64_t layer) {
  const std::string l = "_l" + std::to_string(layer);
  return {c.operand("weight_ih" + l), c.operand("weight_hh" + l), c.operand("bias_ih" + l),
          c.operand("bias_hh" + l)};
}

Var part(const Var& x, std::int64_t i, std::int64_t width) {
  return slice(x, -1, {i * width, (i + 1) * width});
}

Var at(const Var& x, std::int64_t axis, std::int64_t i) {
  Axes perm;
  perm.push_back(axis);
  for (int k = 0; k < x.rank(); ++k) {
    if (k != axis) perm.push_back(k);
  }
  const Var y = slice(transpose(x, perm), 0, {i, i + 1});
  return reshape(y, Shape(y.shape().begin() + 1, y.shape().end()));
}

struct State {
  Var h, c;
};

State rnn(const Var& x, const State& s, const Weights& w) {
  return {tanh(linear(x, w.ih, w.bias_ih) + linear(s.h, w.hh, w.bias_hh)), s.c};
}

State gru(const Var& x, const State& s, const Weights& w) {
  const std::int64_t n = s.h.shape()[1];
  const Var a = linear(x, w.ih, w.bias_ih), b = linear(s.h, w.hh, w.bias_hh);
  const Var r = sigmoid(part(a, 0, n) + part(b, 0, n));
  const Var z = sigmoid(part(a, 1, n) + part(b, 1, n));
  const Var m = tanh(part(a, 2, n) + r * part(b, 2, n));
  return {(1 - z) * m + z * s.h, s.c};
}

State lstm(const Var& x, const State& s, const Weights& w) {
  const std::int64_t n = s.h.shape()[1];
  const Var g = linear(x, w.ih, w.bias_ih) + linear(s.h, w.hh, w.bias_hh);
  const Var c = sigmoid(part(g, 1, n)) * s.c + sigmoid(part(g, 0, n)) * tanh(part(g, 2, n));
  return {sigmoid(part(g, 3, n)) * tanh(c), c};
}

Net recurrent(State (*cell)(const Var&, const State&, const Weights&), int layers,
              bool batch_first) {
  return [=](const Call& call) {
    const int time = batch_first ? 1 : 0;
    const Var x = call.operand("x");
    std::vector<Var> sequence, h_n, c_n;
    for (std::int64_t t = 0; t < x.shape()[time]; ++t) sequence.push_back(at(x, time, t));
    for (int layer = 0; layer < layers; ++layer) {
      State s{at(call.operand("h0"), 0, layer), {}};
      if (call.has("c0")) s.c = at(call.operand("c0"), 0, layer);
      for (Var& v : sequence) {
        s = cell(v, s, weights(call, layer));
        v = s.h;
      }
      h_n.push_back(s.h);
      if (s.c.defined()) c_n.push_back(s.c);
    }
    std::map<std::string, Var> out{{"output/output", stack(sequence, time)},
                                   {"output/h_n", stack(h_n)}};
    if (!c_n.empty()) out["output/c_n"] = stack(c_n);
    return out;
  };
}

}  // namespace

void add_recurrent(Nets& nets) {
  nets["rnn_tanh"] = recurrent(rnn, 1, false);
  nets["gru_1layer"] = recurrent(gru, 1, false);
  nets["lstm_1layer"] = recurrent(lstm, 1, false);
  nets["lstm_2layer_batch_first"] = recurrent(lstm, 2, true);
}

}  // namespace xtape::conformance
