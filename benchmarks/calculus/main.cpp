#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <xtape/xtape.hpp>

#include "../ratio.hpp"

// What derivatives cost, in units of what they are derivatives of: the Hessian–vector product of a
// network in gradients, eagerly and as programs, and forward mode in evaluations of the function.
// The two sides of a ratio take turns; printed are the median and the quartiles of the ratios.
//   bench_calculus [ROUNDS]
namespace {

using namespace xtape;
using bench::Work;

void compare(const std::string& what, int rounds, const Work& dear, const Work& plain) {
  const bench::Rounds r(rounds, {dear, plain});
  std::printf("%-46s %6.2f  (%.2f … %.2f)   of %8.1f µs\n", what.c_str(), r.ratio(0, 1),
              r.ratio(0, 1, 0.25), r.ratio(0, 1, 0.75), r.microseconds(1));
}

struct Network {
  nn::Sequential net{nn::Dense(784, 128), nn::Sigmoid(), nn::Dense(128, 64), nn::ReLU(),
                     nn::Dense(64, 10)};
  Parameters parameters = net.parameters();
  Tensor images, labels;
  Tensors directions;

  Network() {
    Rng rng(1);
    images = rng.uniform({64, 784});
    labels = rng.uniform({64, 10});
    for (const Parameter& p : parameters) directions.push_back(rng.normal(p.shape()));
  }
  Var loss(Tape& tape) const { return nn::mse_loss(net(tape.input(images)), labels); }
};

void hessian_products(int rounds) {
  const Network n;
  const ParameterFunction loss = [&](Tape& tape) { return n.loss(tape); };
  const Work eager_gradient = [&] {
    Tape tape;
    static_cast<void>(tape.gradient(n.loss(tape), n.parameters));
  };
  compare(
      "Hessian-vector product / gradient, eager", rounds,
      [&] { static_cast<void>(hvp(loss, n.parameters, n.directions)); }, eager_gradient);

  const std::vector<Spec> batch{n.images.spec(), n.labels.spec()};
  Program gradient_program = compile(
      [&](const Var& x, const Var& y) { return gradient(nn::mse_loss(n.net(x), y), n.parameters); },
      batch);
  Program hvp_program = compile(
      [&](const Var& x, const Var& y) {
        const std::vector<Var> g = gradient(nn::mse_loss(n.net(x), y), n.parameters);
        Var along;
        for (std::size_t k = 0; k < g.size(); ++k) {
          const Var part = sum(g[k] * n.directions[k]);
          along = along.defined() ? along + part : part;
        }
        return gradient(along, n.parameters);
      },
      batch);
  compare(
      "Hessian-vector product / gradient, programs", rounds,
      [&] {
        hvp_program.run({n.images, n.labels});
      },
      [&] {
        gradient_program.run({n.images, n.labels});
      });
}

void forward_mode(int rounds) {
  Rng rng(2);
  const Tensor x = rng.uniform({64, 784}), v = rng.normal({64, 784});
  const Network n;
  const auto network = [&](const Var& in) { return n.net(in); };
  const auto network_of = [&](const Var& in) { return network(in); };
  const auto pointwise = [](const Var& in) { return sum(exp(-in * in) * sin(3 * in) / (1 + in)); };
  const auto rows = [](const Var& in) { return log_softmax(tanh(in)); };
  const auto compare_jvp = [&](const char* what, const auto& f) {
    compare(
        what, rounds, [&] { static_cast<void>(jvp(f, x, v)); },
        [&] {
          Tape tape;
          static_cast<void>(f(tape.input(x)));
        });
  };
  compare_jvp("forward mode / network 784-128-64-10, batch 64", network_of);
  compare_jvp("forward mode / elementwise chain, 64x784", pointwise);
  compare_jvp("forward mode / log_softmax(tanh x), 64x784", rows);
  const Tensor a = rng.uniform({128, 128}, -1, 1, f64), d = rng.normal({128, 128}, 0, 1, f64);
  const auto product = [](const Var& m) { return matmul(matmul(m, m), m); };
  compare(
      "forward mode / m m m, 128x128, f64", rounds, [&] { static_cast<void>(jvp(product, a, d)); },
      [&] {
        Tape tape;
        static_cast<void>(product(tape.input(a)));
      });
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 41;
  std::printf("%-46s  ratio  (quartiles)\n", "");
  hessian_products(rounds);
  forward_mode(rounds);
  return 0;
}
