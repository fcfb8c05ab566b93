#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/nn/recurrent.hpp>

namespace xtape::nn {
namespace {

// x[k, …] for every k. By halves: the gradient of a single slice fills the whole of x with zeros,
// which for each of n steps would cost n².
void unbind_into(std::vector<Var>& out, const Var& x) {
  const std::int64_t n = x.shape()[0];
  if (n == 1) {
    out.push_back(reshape(x, Shape(x.shape().begin() + 1, x.shape().end())));
    return;
  }
  if (n == 0) return;
  unbind_into(out, slice(x, 0, {0, n / 2}));
  unbind_into(out, slice(x, 0, {n / 2, n}));
}

std::vector<Var> steps(const Var& x) {
  std::vector<Var> out;
  unbind_into(out, x);
  return out;
}

Var part(const Var& x, std::int64_t from, std::int64_t to, std::int64_t width) {
  return slice(x, -1, {from * width, to * width});
}

// Zeros to begin with, beside what is recorded or not.
Var zeros(const Var& like, const Shape& shape) {
  const Var z = Tensor::zeros(shape, like.dtype());
  return like.tape() ? z : no_grad(z);
}

// A parameter as an operand of operations that may not have `like` beside them.
Var on(const Parameter& p, const Var& like) { return like.tape() ? beside(p, like) : no_grad(p); }

// Batches and time exchanged.
Var exchanged(const Var& x) { return transpose(x, {1, 0, 2}); }

}  // namespace

// One direction of one layer.
struct Recurrent::Walk {
  Var projected;  // [time, batch, gates·hidden]
  Var weight;     // of the state
  Var bias;       // of the state, where it is not in `projected`
  Var to_output;  // of the projection, or none
  bool back;
  const std::vector<Var>& masks;  // of steps, or none
  RecurrentState state;
  std::vector<Var>& outputs;
};

Recurrent::Recurrent(Cell cell, std::int64_t in, std::int64_t hidden, const RecurrentOptions& o)
    : cell_(cell), in_(in), hidden_(hidden), options_(o) {
  if ((in < 1 && in != infer) || hidden < 1 || o.layers < 1) {
    throw ValueError(describe(), "extents and layers must be 1 or more");
  }
  if (!(o.dropout >= 0 && o.dropout < 1)) {
    throw ValueError(describe(), "dropout " + detail::text(o.dropout) + ": must be in [0, 1)");
  }
  if (o.projection < 0 || (o.projection > 0 && (cell != Cell::lstm || o.projection >= hidden))) {
    throw ValueError(describe(), "projection " + std::to_string(o.projection) +
                                     ": must be 0, or in an LSTM less than its extent");
  }
  const std::int64_t rows = gates() * hidden, out = this->hidden();
  for (std::int64_t layer = 0; layer < o.layers; ++layer) {
    const std::int64_t width = layer == 0 ? in : directions() * out;
    for (int d = 0; d < directions(); ++d) {
      const std::string name = "_l" + std::to_string(layer) + (d ? "_reverse" : "");
      const Fans fans{width, hidden};
      add_parameter("weight_ih" + name, {rows, width}, o.weight_init, fans, o.dtype);
      add_parameter("weight_hh" + name, {rows, out}, o.weight_init, {out, hidden}, o.dtype);
      if (o.bias) {
        add_parameter("bias_ih" + name, {rows}, o.bias_init, fans, o.dtype);
        add_parameter("bias_hh" + name, {rows}, o.bias_init, {out, hidden}, o.dtype);
      }
      if (o.projection == 0) continue;
      add_parameter("weight_hr" + name, {out, hidden}, o.weight_init, {hidden, out}, o.dtype);
    }
  }
  if (o.dropout > 0) add_generator();
}

std::string Recurrent::describe() const {
  const char* const names[] = {"RNN", "ReluRNN", "LSTM", "GRU"};
  std::string s = names[static_cast<int>(cell_)];
  s += "(" + (in_ == infer ? "?" : std::to_string(in_)) + " → " + std::to_string(hidden_);
  if (options_.layers != 1) s += ", " + std::to_string(options_.layers) + " layers";
  if (options_.bidirectional) s += ", bidirectional";
  if (options_.projection > 0) s += ", projected to " + std::to_string(options_.projection);
  return s + ")";
}

Var Recurrent::forward_all(std::span<const Var> xs) const {
  const std::size_t most = cell_ == Cell::lstm ? 3 : 2;
  if (xs.empty() || xs.size() > most) {
    throw ValueError(describe(), std::to_string(xs.size()) + " inputs: it takes x, h" +
                                     (most == 3 ? ", c" : "") + ", of which x must be there");
  }
  return run(xs[0], {xs.size() > 1 ? xs[1] : Var(), xs.size() > 2 ? xs[2] : Var()}).output;
}

void Recurrent::size(const Var& x) const {
  const std::int64_t in = x.shape()[x.rank() - 1], rows = gates() * hidden_;
  for (std::size_t k = 0; in_ == infer && k < own_parameters().size(); ++k) {
    if (!own_parameters()[k].has_value()) {
      materialize(k, k % parameters_of_one() == 0 ? Shape{rows, in} : Shape{rows}, {in, hidden_});
    }
  }
}

void Recurrent::check(const Var& x, const RecurrentState& initial) const {
  const Parameter& w = own_parameters()[0];
  const bool open = !w.has_value();
  const std::string want = open ? "in" : std::to_string(w.shape()[1]);
  if ((x.rank() != 2 && x.rank() != 3) || (!open && x.shape()[x.rank() - 1] != w.shape()[1]) ||
      x.shape()[x.rank() - 1] < 1) {
    throw ShapeError(describe(), "input of shape " + x.shape().str() + ": must be " +
                                     (options_.batch_first ? "[batch, time, " : "[time, batch, ") +
                                     want + "] or [time, " + want + "]");
  }
  for (const Var* s : {&initial.h, &initial.c}) {
    Shape state{options_.layers * directions()};
    if (x.rank() == 3) state.push_back(x.shape()[options_.batch_first ? 0 : 1]);
    state.push_back(s == &initial.h ? hidden() : hidden_);
    if (s->defined() && s->shape() != state) {
      throw ShapeError(describe(),
                       "initial state of shape " + s->shape().str() +
                           ": must be [layers·directions, batch, hidden] = " + state.str());
    }
  }
  if (initial.c.defined() && cell_ != Cell::lstm) {
    throw ValueError(describe(), "an initial c: only LSTM has one");
  }
}

Var Recurrent::mask(const Var& lengths, std::int64_t time, std::int64_t batch) const {
  if (lengths.dtype() != i64) {
    throw DTypeError(describe(),
                     std::string("lengths are ") + name(lengths.dtype()) + ": must be i64");
  }
  if (lengths.shape() != Shape{batch}) {
    throw ShapeError(describe(), "lengths of shape " + lengths.shape().str() +
                                     ": must be [batch] = " + Shape{batch}.str());
  }
  const auto check = [time, who = describe(), at = path()](std::span<const std::int64_t> all) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i] >= 0 && all[i] <= time) continue;
      ValueError e(who, "length " + std::to_string(all[i]) + " of sequence " + std::to_string(i) +
                            ": must be in [0, " + std::to_string(time) + "]");
      e.set_module(at);
      throw e;
    }
  };
  const Var checked = looked_at(lengths, check);
  return reshape(checked, {1, batch, 1}) > reshape(Tensor::arange(time), {time, 1, 1});
}

RecurrentState Recurrent::step(const Walk& w, const Var& x, const RecurrentState& s) const {
  const Var a = matmul(s.h, w.weight, {.transpose_b = true});
  const std::int64_t n = hidden_;
  switch (cell_) {
    case Cell::tanh:
      return {tanh(x + a), {}};
    case Cell::relu:
      return {relu(x + a), {}};
    case Cell::lstm: {
      const Var g = x + a;
      const Var c =
          sigmoid(part(g, 1, 2, n)) * s.c + sigmoid(part(g, 0, 1, n)) * tanh(part(g, 2, 3, n));
      const Var h = sigmoid(part(g, 3, 4, n)) * tanh(c);
      return {w.to_output.defined() ? matmul(h, w.to_output, {.transpose_b = true}) : h, c};
    }
    case Cell::gru: {
      const Var h = w.bias.defined() ? a + w.bias : a;
      const Var rz = sigmoid(part(x, 0, 2, n) + part(h, 0, 2, n));
      const Var z = part(rz, 1, 2, n);
      const Var m = tanh(part(x, 2, 3, n) + part(rz, 0, 1, n) * part(h, 2, 3, n));
      return {m + z * (s.h - m), {}};
    }
  }
  return {};
}

RecurrentState Recurrent::walk(const Walk& w) const {
  const std::vector<Var> xs = steps(w.projected);
  const std::size_t n = xs.size();
  w.outputs.assign(n, {});
  RecurrentState s = w.state;
  for (std::size_t k = 0; k < n; ++k) {
    const std::size_t t = w.back ? n - 1 - k : k;
    RecurrentState next = step(w, xs[t], s);
    if (!w.masks.empty()) {
      next.h = where(w.masks[t], next.h, s.h);
      if (s.c.defined()) next.c = where(w.masks[t], next.c, s.c);
    }
    w.outputs[t] = next.h;
    s = next;
  }
  return s;
}

RecurrentResult Recurrent::run_layers(Var x, const RecurrentState& initial, const Var& mask) const {
  const std::vector<Var> masks = mask.defined() ? steps(mask) : std::vector<Var>();
  if (mask.defined()) x = where(mask, x, 0);  // padding may hold anything
  const std::int64_t batch = x.shape()[1];
  const std::vector<Var> h0 = initial.h.defined() ? steps(initial.h) : std::vector<Var>(),
                         c0 = initial.c.defined() ? steps(initial.c) : std::vector<Var>();
  const Parameters& own = own_parameters();
  std::vector<Var> h, c;
  const std::size_t stride = parameters_of_one();
  std::size_t k = 0;
  for (std::int64_t layer = 0; layer < options_.layers; ++layer) {
    if (layer > 0 && options_.dropout > 0 && training())
      x = dropout(x, options_.dropout, generator());
    std::vector<Var> both;
    for (int d = 0; d < directions(); ++d) {
      Var projected = matmul(x, own[k], {.transpose_b = true}), bias;
      if (options_.bias) {
        // Where nothing stands between, both biases go to the product of all steps.
        const Var ih = on(own[k + 2], projected), hh = on(own[k + 3], projected);
        const bool apart = cell_ == Cell::gru;
        projected = projected + (apart ? ih : ih + hh);
        if (apart) bias = hh;
      }
      const bool cells = cell_ == Cell::lstm;
      const std::size_t at = h.size();
      const auto begin = [&](const std::vector<Var>& given, std::int64_t width) {
        return given.empty() ? zeros(projected, {batch, width}) : given[at];
      };
      std::vector<Var> outputs;
      const RecurrentState last =
          walk({projected,
                on(own[k + 1], projected),
                bias,
                options_.projection > 0 ? on(own[k + stride - 1], projected) : Var(),
                d == 1,
                masks,
                {begin(h0, hidden()), cells ? begin(c0, hidden_) : Var()},
                outputs});
      h.push_back(last.h);
      if (last.c.defined()) c.push_back(last.c);
      both.push_back(stack(outputs));
      k += stride;
    }
    x = both.size() == 1 ? both[0] : concat(both, -1);
    if (mask.defined()) x = where(mask, x, 0);
  }
  return {x, {stack(h), c.empty() ? Var() : stack(c)}};
}

RecurrentResult Recurrent::run(const Var& x, const RecurrentState& initial,
                               const Var& lengths) const {
  return located([&]() -> RecurrentResult {
    check(x, initial);
    size(x);
    const bool single = x.rank() == 2, exchange = options_.batch_first && !single;
    const auto batched = [&](const Var& v) { return single && v.defined() ? unsqueeze(v, 1) : v; };
    const Var sequence = exchange ? exchanged(x) : batched(x);
    const std::int64_t time = sequence.shape()[0], batch = sequence.shape()[1];
    if (time < 1) throw ShapeError(describe(), "a sequence without steps");
    RecurrentResult r = run_layers(sequence, {batched(initial.h), batched(initial.c)},
                                   lengths.defined() ? mask(lengths, time, batch) : Var());
    if (exchange) r.output = exchanged(r.output);
    if (single) {
      r.output = squeeze(r.output, 1);
      r.state.h = squeeze(r.state.h, 1);
      if (r.state.c.defined()) r.state.c = squeeze(r.state.c, 1);
    }
    return r;
  });
}

}  // namespace xtape::nn
