#include "models.hpp"

#include <cmath>

namespace with_xtape {

using namespace xtape;
using bench::Network;
using Kind = bench::Function::Kind;

namespace {

nn::Activation activation(Network::Activation a) {
  switch (a) {
    case Network::Activation::sigmoid:
      return nn::Sigmoid();
    case Network::Activation::relu:
      return nn::ReLU();
    default:
      return nn::Tanh();
  }
}

nn::Sequential layers(const Network& net, const bench::Layers& start) {
  nn::Sequential out;
  for (std::size_t l = 0; l < net.layers(); ++l) {
    const std::int64_t in = net.sizes[l], neurons = net.sizes[l + 1];
    out.add(nn::Dense(in, neurons,
                      {.weight_init = nn::values(Tensor::from(start.weights[l], {neurons, in})),
                       .bias_init = nn::values(Tensor::from(start.biases[l]))}));
    if (net.activated(l)) out.add(activation(net.activation));
  }
  return out;
}

Var cauchy(const Var& x, double scale) { return -log(scale + x * x / scale); }

// The first element of x through f, the others as they are.
template <class F>
Var first_through(const Var& x, F f) {
  return concat({f(slice(x, {{.stop = 1}})), slice(x, {{.start = 1}})});
}

// Π x by halves.
Var product(Var x) {
  Var rest = 1;
  while (x.size() > 1) {
    const std::int64_t half = x.size() / 2;
    if (x.size() % 2 == 1) rest = rest * slice(x, {{.start = -1}});
    x = slice(x, {{.stop = half}}) * slice(x, {{.start = half, .stop = 2 * half}});
  }
  return sum(x * rest);
}

}  // namespace

Model::Model(const Network& n) : description(n) {
  const bench::Start start = bench::make_start(n);
  input = Tensor::from(start.input, {n.batch, n.sizes.front()});
  target = n.error == Network::Error::cross_entropy
               ? Tensor::from(start.labels)
               : Tensor::from(start.target, {n.batch, n.sizes.back()});
  net = layers(n, start.layers);
  parameters = net.parameters();
}

Var Model::error(const Var& x, const Var& t) const {
  const Var y = net(x);
  switch (description.error) {
    case Network::Error::mean_square:
      return nn::mse_loss(y, t);
    case Network::Error::half_square_sum:
      return nn::half_squared_error(y, t);
    default:
      return nn::cross_entropy(y, t);
  }
}

std::vector<double> Model::result() const { return {error(no_grad(input), target).item()}; }

std::vector<Tensor> direction(const Network& net) {
  const bench::Layers d = bench::make_direction(net);
  std::vector<Tensor> out;
  for (std::size_t l = 0; l < net.layers(); ++l) {
    out.push_back(Tensor::from(d.weights[l], {net.sizes[l + 1], net.sizes[l]}));
    out.push_back(Tensor::from(d.biases[l]));
  }
  return out;
}

Var chain(const bench::Chain& chain, Var z, const Var& a, const Var& b) {
  for (std::int64_t i = 0; i < chain.length; ++i) z = z * a + b;
  return z;
}

Var gate(const Var& x, const Var& a, const Var& b, const Var& c) {
  return mean(sigmoid(a * x + b) * tanh(c * x) + exp(-square(x)));
}

Rows::Rows(const bench::Rows& rows) {
  const bench::RowsData data = bench::make_data(rows);
  x = Tensor::from(data.x, {rows.rows, rows.columns});
  if (!data.g.empty()) g = Tensor::from(data.g, {rows.rows, rows.columns});
}

Function::Function(const bench::Function& f) : f_(f) {
  const bench::FunctionData data = bench::make_data(f);
  for (const auto& p : data.parameters) {
    const Tensor t = Tensor::from(p);
    parameters.push_back(f.kind == Kind::matrix ? t.reshape({f.side(), f.side()}) : t);
  }
  y_ = Tensor::from(data.y);
  x_ = Tensor::from(data.x);
  if (f.kind == Kind::regression) x_ = x_.reshape({f.samples(), f.n});
}

Var Function::operator()(const std::vector<Var>& p) const {
  constexpr double kMean = bench::Function::kMean, kDeviation = bench::Function::kDeviation;
  switch (f_.kind) {
    case Kind::sum:
      return sum(p[0]);
    case Kind::product:
      return product(p[0]);
    case Kind::logsumexp:
      return logsumexp(p[0]);
    case Kind::matrix:
      return sum(matmul(p[0], p[1]));
    case Kind::normal:
      return -0.5 * sum(square((p[0] - kMean) / kDeviation)) -
             static_cast<double>(f_.n) * std::log(kDeviation);
    case Kind::regression:
      return regression(p);
    default:
      return volatility(p);
  }
}

Var Function::regression(const std::vector<Var>& p) const {
  const Var &w = p[0], &b = p[1], &deviation = p[2];
  const Var z = (y_ - matmul(x_, w) - b) / deviation;
  return -0.5 * (sum(square(z)) + sum(square(w)) + sum(square(b))) -
         static_cast<double>(f_.samples()) * sum(log(deviation));
}

// The recurrence d[i] = u[i] + φ d[i−1] by doubling: log n operations on all of it.
Var Function::volatility(const std::vector<Var>& p) const {
  const Var &s = p[0], &phi = p[1], &sigma = p[2], &mu = p[3];
  Var d = first_through(sigma * s, [&](const Var& u) { return u / sqrt(1 - phi * phi); });
  Var power = phi;
  for (std::int64_t k = 1; k < f_.n; k *= 2, power = power * power) {
    d = concat({slice(d, {{.stop = k}}),
                slice(d, {{.start = k}}) + power * slice(d, {{.stop = f_.n - k}})});
  }
  const Var h = d + mu;
  return -0.5 * sum(square(y_) * exp(-h) + h + square(s)) + sum(cauchy(sigma, 5)) +
         sum(cauchy(mu, 10));
}

std::vector<double> flat(const std::vector<Tensor>& tensors) {
  std::vector<double> all;
  for (const Tensor& t : tensors) {
    dispatch(t.dtype(), [&](auto zero) {
      const auto values = t.span<decltype(zero)>();
      for (const auto v : values) all.push_back(static_cast<double>(v));
    });
  }
  return all;
}

}  // namespace with_xtape
