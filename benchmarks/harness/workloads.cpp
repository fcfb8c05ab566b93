#include "workloads.hpp"

#include <cmath>

namespace bench {
namespace {

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): the same numbers on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed = 0) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  double uniform(double low, double high) {
    return low + (high - low) * std::ldexp(static_cast<double>(next() >> 11), -53);
  }
  template <class T>
  std::vector<T> uniform(std::int64_t n, double low, double high) {
    std::vector<T> v(static_cast<std::size_t>(n));
    for (T& x : v) x = static_cast<T>(uniform(low, high));
    return v;
  }

 private:
  std::uint64_t state_;
};

Layers make_layers(const Network& net, Random& random) {
  Layers out;
  for (std::size_t l = 0; l < net.layers(); ++l) {
    const std::int64_t in = net.sizes[l], neurons = net.sizes[l + 1];
    const double r = std::sqrt(6.0 / static_cast<double>(in + neurons));
    out.weights.push_back(random.uniform<float>(in * neurons, -r, r));
    out.biases.push_back(random.uniform<float>(neurons, -0.1, 0.1));
  }
  return out;
}

Network w1(std::int64_t batch) {
  return {"W1/B" + std::to_string(batch), {784, 128, 64, 10},          batch,
          Network::Activation::sigmoid,   Network::Error::mean_square, 0.5};
}

Network w1b(std::int64_t batch) {
  return {"W1b/B" + std::to_string(batch),
          {784, 128, 64, 10},
          batch,
          Network::Activation::relu,
          Network::Error::cross_entropy,
          0.05};
}

}  // namespace

std::vector<Network> networks() {
  std::vector<Network> all;
  for (const std::int64_t batch : {1, 16, 64, 256, 1024}) all.push_back(w1(batch));
  for (const std::int64_t batch : {64, 256}) all.push_back(w1b(batch));
  all.push_back(
      {"W2", {2, 2, 2}, 1, Network::Activation::sigmoid, Network::Error::half_square_sum, 0.5});
  all.push_back({"W3", std::vector<std::int64_t>(101, 32), 32, Network::Activation::tanh,
                 Network::Error::mean_square, 0.1});
  all.push_back({"W5",
                 {1024, 4096, 4096, 1024},
                 256,
                 Network::Activation::relu,
                 Network::Error::mean_square,
                 0.1});
  return all;
}

std::vector<Network> hessian_vectors() {
  Network net = w1(64);
  net.name = "W9/B64";
  return {net};
}

std::vector<Chain> chains() {
  std::vector<Chain> all{{"W6", 1000}};
  // Two nodes for each multiply-add.
  for (const std::int64_t nodes : {1'000, 10'000, 100'000, 1'000'000}) {
    all.push_back({"growth/" + std::to_string(nodes), nodes / 2});
  }
  return all;
}

std::vector<Gate> gates() {
  return {{"W4/1e3", 1'000}, {"W4/1e5", 100'000}, {"W4/1e7", 10'000'000}};
}

std::vector<Rows> rows() {
  return {{"W10/logsumexp", Rows::Kind::logsumexp}, {"W10/softmax", Rows::Kind::softmax}};
}

std::vector<Function> functions() {
  using Kind = Function::Kind;
  const std::pair<const char*, Kind> kinds[] = {{"sum", Kind::sum},
                                                {"product", Kind::product},
                                                {"logsumexp", Kind::logsumexp},
                                                {"matrix", Kind::matrix},
                                                {"normal", Kind::normal},
                                                {"regression", Kind::regression},
                                                {"volatility", Kind::volatility}};
  std::vector<Function> all;
  for (const auto& [name, kind] : kinds) {
    for (const std::int64_t n : {10, 100, 1'000, 10'000}) {
      all.push_back({std::string("W11/") + name + "/" + std::to_string(n), kind, n});
    }
  }
  return all;
}

Chain compiled_chain() { return {"compile/1000", 500}; }

std::int64_t Function::side() const {
  return static_cast<std::int64_t>(std::sqrt(static_cast<double>(n)));
}

Start make_start(const Network& net) {
  Random random;
  Start s;
  s.input = random.uniform<float>(net.batch * net.sizes.front(), 0, 1);
  if (net.error == Network::Error::cross_entropy) {
    for (std::int64_t i = 0; i < net.batch; ++i) {
      s.labels.push_back(static_cast<std::int64_t>(random.next() >> 1) % net.sizes.back());
    }
  } else {
    s.target = random.uniform<float>(net.batch * net.sizes.back(), 0.01, 0.99);
  }
  s.layers = make_layers(net, random);
  return s;
}

Layers make_direction(const Network& net) {
  Random random(1);
  return make_layers(net, random);
}

std::vector<float> make_input(const Gate& gate) { return Random().uniform<float>(gate.n, -2, 2); }

RowsData make_data(const Rows& rows) {
  Random random;
  RowsData d;
  d.x = random.uniform<float>(rows.rows * rows.columns, -4, 4);
  if (rows.kind == Rows::Kind::softmax) {
    d.g = random.uniform<float>(rows.rows * rows.columns, -1, 1);
  }
  return d;
}

FunctionData make_data(const Function& f) {
  using Kind = Function::Kind;
  Random random;
  const auto draw = [&](std::int64_t n, double low, double high) {
    return random.uniform<double>(n, low, high);
  };
  FunctionData d;
  switch (f.kind) {
    // Near 1, so that the product of 10,000 is neither 0 nor infinite.
    case Kind::product:
      d.parameters = {draw(f.n, 0.9, 1.1)};
      break;
    case Kind::matrix: {
      const std::int64_t elements = f.side() * f.side();
      d.parameters = {draw(elements, -1, 1), draw(elements, -1, 1)};
      break;
    }
    case Kind::regression:
      d.parameters = {draw(f.n, -1, 1), {0.3}, {0.8}};
      d.x = draw(f.samples() * f.n, -1, 1);
      d.y = draw(f.samples(), -1, 1);
      break;
    case Kind::volatility:
      d.parameters = {draw(f.n, -1, 1), {0.9}, {0.7}, {-0.4}};
      d.y = draw(f.n, -1, 1);
      break;
    default:
      d.parameters = {draw(f.n, -1, 1)};
  }
  return d;
}

}  // namespace bench
