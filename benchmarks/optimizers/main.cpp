#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <xtape/xtape.hpp>

#include "../ratio.hpp"
#include "subjects.hpp"

// What optimizers cost: a step of SGD and of Adam, with given gradients, in units of a loop written
// by hand and of libtorch (where it was found); the same inside training programs; and how the time
// to compile such programs and to run them grows with the number of parameters.
//   bench_optimizers [ROUNDS [THREADS]]
namespace optimizers {
#ifndef XTAPE_BENCH_TORCH
std::unique_ptr<Subject> by_torch(const Problem&, Rule) { return {}; }
void set_torch_threads(int) {}
#endif

namespace {

using namespace xtape;
using bench::Work;

Tensor tensor(const std::vector<float>& x, const std::vector<std::int64_t>& shape) {
  Shape to;
  for (const std::int64_t d : shape) to.push_back(d);
  return Tensor::from(x, to);
}

std::unique_ptr<optim::Optimizer> optimizer(const Parameters& p, Rule rule) {
  if (rule == Rule::sgd) {
    return std::make_unique<optim::SGD>(p, optim::SGDOptions{.learning_rate = kRate});
  }
  return std::make_unique<optim::Adam>(
      p, optim::AdamOptions{
             .learning_rate = kRate, .beta1 = kBeta1, .beta2 = kBeta2, .epsilon = kEpsilon});
}

class Xtape : public Subject {
 public:
  Xtape(const Problem& problem, Rule rule) {
    for (std::size_t i = 0; i < problem.shapes.size(); ++i) {
      parameters_.emplace_back(tensor(problem.start(i), problem.shapes[i]), std::to_string(i));
      gradients_.push_back(tensor(problem.gradient(i), problem.shapes[i]));
    }
    optimizer_ = optimizer(parameters_, rule);
  }
  void step() override { optimizer_->step(gradients_); }
  std::vector<float> elements() const override {
    std::vector<float> all;
    for (const Parameter& p : parameters_) {
      const auto* x = p.value().data<float>();
      all.insert(all.end(), x, x + p.value().size());
    }
    return all;
  }

 private:
  Parameters parameters_;
  std::vector<Tensor> gradients_;
  std::unique_ptr<optim::Optimizer> optimizer_;
};

// Three steps must agree, else nothing is timed.
void check(const Problem& problem, Rule rule) {
  const auto ours = std::make_unique<Xtape>(problem, rule);
  for (const auto& other : {by_hand(problem, rule), by_torch(problem, rule)}) {
    if (!other) continue;
    const auto again = std::make_unique<Xtape>(problem, rule);
    for (int i = 0; i < 3; ++i) {
      again->step();
      other->step();
    }
    const std::vector<float> a = again->elements(), b = other->elements();
    for (std::size_t k = 0; k < a.size(); ++k) {
      if (std::abs(a[k] - b[k]) <= 1e-6F) continue;
      std::fprintf(stderr, "%s: element %zu is %g here and %g there\n", problem.name.c_str(), k,
                   static_cast<double>(a[k]), static_cast<double>(b[k]));
      std::exit(1);
    }
  }
}

std::vector<Problem> problems() {
  const std::vector<std::vector<std::int64_t>> network{{128, 784}, {128},    {64, 128},
                                                       {64},       {10, 64}, {10}};
  return {{"one of 1024x1024", {{1024, 1024}}},
          {"784-128-64-10", network},
          {"64 of 16", std::vector<std::vector<std::int64_t>>(64, {16})},
          {"1600 of 16", std::vector<std::vector<std::int64_t>>(1600, {16})}};
}

void steps(int rounds) {
  std::printf("%-18s %-5s %10s %10s %10s   %-20s %-20s\n", "parameters", "rule", "xtape, µs",
              "hand, µs", "torch, µs", "xtape/hand", "xtape/torch");
  for (const Problem& problem : problems()) {
    for (const Rule rule : {Rule::sgd, Rule::adam}) {
      check(problem, rule);
      Xtape ours(problem, rule);
      const auto hand = by_hand(problem, rule), torch = by_torch(problem, rule);
      std::vector<Work> works{[&] { ours.step(); }, [&] { hand->step(); }};
      if (torch) works.push_back([&] { torch->step(); });
      const bench::Rounds r(rounds, works);
      const auto quartiles = [&](std::size_t unit) {
        if (unit >= works.size()) return std::string("–");
        char text[64];
        std::snprintf(text, sizeof text, "%6.2f (%.2f … %.2f)", r.ratio(0, unit),
                      r.ratio(0, unit, 0.25), r.ratio(0, unit, 0.75));
        return std::string(text);
      };
      std::printf("%-18s %-5s %10.2f %10.2f %10.2f   %-20s  %-20s\n", problem.name.c_str(),
                  rule == Rule::sgd ? "SGD" : "Adam", r.microseconds(0), r.microseconds(1),
                  torch ? r.microseconds(2) : 0.0, quartiles(1).c_str(), quartiles(2).c_str());
    }
  }
}

// A training step of 784-128-64-10, as a program.
struct Training {
  nn::Sequential net{nn::Dense(784, 128), nn::Sigmoid(), nn::Dense(128, 64), nn::ReLU(),
                     nn::Dense(64, 10)};
  Tensor x, y;
  std::unique_ptr<optim::Optimizer> o;
  Program program;

  Training(std::int64_t batch, Rule rule) {
    Rng rng(1);
    x = rng.uniform({batch, 784});
    y = rng.uniform({batch, 10});
    o = optimizer(net.parameters(), rule);
    program = compile(
        [&](const Var& in, const Var& target) {
          const Var loss = nn::mse_loss(net(in), target);
          o->step(gradient(loss, net.parameters()));
          return loss;
        },
        {x, y});
  }
  void step() { program(x, y); }
};

void training(int rounds) {
  std::printf("\ntraining step of 784-128-64-10 as a program: Adam / SGD (quartiles)\n");
  for (const std::int64_t batch : {1, 16, 64}) {
    Training sgd(batch, Rule::sgd), adam(batch, Rule::adam);
    const bench::Rounds r(rounds, {[&] { adam.step(); }, [&] { sgd.step(); }});
    std::printf("batch %-4lld %6.2f (%.2f … %.2f)   %.2f µs of %.2f µs\n",
                static_cast<long long>(batch), r.ratio(0, 1), r.ratio(0, 1, 0.25),
                r.ratio(0, 1, 0.75), r.microseconds(0), r.microseconds(1));
  }
}

// A chain of `count` parameters of 16 elements each, trained by Adam as one program.
class Chain {
 public:
  explicit Chain(int count) {
    Rng rng(1);
    for (int i = 0; i < count; ++i) p_.emplace_back(rng.uniform({16}, 0.9, 1.1), std::to_string(i));
    x_ = rng.uniform({16});
    o_ = optimizer(p_, Rule::adam);
  }
  void compile() {
    program_ = xtape::compile(
        [&](const Var& in) {
          Var y = in;
          for (const Parameter& p : p_) y = tanh(y * p);
          const Var loss = sum(square(y));
          o_->step(gradient(loss, p_));
          return loss;
        },
        {x_});
  }
  void step() { program_(x_); }

 private:
  Parameters p_;
  Tensor x_;
  std::unique_ptr<optim::Optimizer> o_;
  Program program_;
};

// Times for n parameters, and the exponent of their growth since half as many.
void growth(int rounds) {
  std::printf("\nparameters of 16 elements: ms to make, µs to run, (exponents of their growth)\n");
  std::printf("%6s  %-20s  %-20s  %-20s  %-20s\n", "", "Adam: make", "run", "training: make",
              "run");
  std::vector<double> before;
  for (int n = 100; n <= 3200; n *= 2) {
    const Problem problem{
        "", std::vector<std::vector<std::int64_t>>(static_cast<std::size_t>(n), {16})};
    std::vector<double> make_eager, make_program;
    std::unique_ptr<Xtape> eager;
    std::unique_ptr<Chain> chain;
    for (int k = 0; k < std::max(1, std::min(rounds, 3)); ++k) {
      eager = std::make_unique<Xtape>(problem, Rule::adam);
      make_eager.push_back(bench::seconds([&] { eager->step(); }, 1));
      chain = std::make_unique<Chain>(n);
      make_program.push_back(bench::seconds([&] { chain->compile(); }, 1));
    }
    const bench::Rounds r(rounds, {[&] { eager->step(); }, [&] { chain->step(); }});
    const std::vector<double> now{1e3 * bench::quantile(make_eager, 0.5), r.microseconds(0),
                                  1e3 * bench::quantile(make_program, 0.5), r.microseconds(1)};
    std::printf("%6d", n);
    for (std::size_t k = 0; k < now.size(); ++k) {
      std::printf("  %10.2f", now[k]);
      if (before.empty()) {
        std::printf("  %8s", "");
      } else {
        std::printf("  (%6.2f)", std::log2(now[k] / before[k]));
      }
    }
    std::printf("\n");
    std::fflush(stdout);
    before = now;
  }
}

}  // namespace
}  // namespace optimizers

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 41;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  xtape::set_num_threads(threads);
  optimizers::set_torch_threads(threads);
  optimizers::steps(rounds);
  optimizers::training(rounds);
  optimizers::growth(rounds);
  return 0;
}
