// 8. A training step recorded once and replayed: the same losses as eager code, fused, planned and
// without allocating; with dropout, and a learning rate that changes between runs.
#include <cstdio>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

struct Network {
  nn::Dense first{64, 48}, second{48, 10};
  Network() {
    first.initialize(Rng(1));
    second.initialize(Rng(2));
  }
  Parameters parameters() const {
    Parameters all = first.parameters();
    for (const Parameter& p : second.parameters()) all.push_back(p);
    return all;
  }
};

constexpr std::int64_t kBatch = 64;
constexpr int kSteps = 60;

double rate_of(int step) { return 0.5 / (1 + 0.05 * step); }

data::Dataset batch_of(const data::Dataset& all, int step) {
  const std::int64_t begin = step * kBatch % (all.size() - kBatch);
  return all.take(begin, kBatch);
}

std::vector<double> train_eagerly(const data::Dataset& digits) {
  const Network net;
  Generator random(7);
  optim::SGD sgd(net.parameters(), {.momentum = 0.8});
  std::vector<double> losses;
  for (int i = 0; i < kSteps; ++i) {
    const data::Dataset batch = batch_of(digits, i);
    sgd.set_learning_rate(rate_of(i));
    Tape tape;
    const Var hidden = dropout(relu(net.first(tape.input(batch.inputs))), 0.2, random);
    const Var loss = nn::cross_entropy(net.second(hidden), batch.labels);
    sgd.step(tape.gradient(loss, net.parameters()));
    losses.push_back(loss.item());
  }
  return losses;
}

}  // namespace

int main() {
  const auto [digits, test] = data::digits_split();
  const Network net;
  const nn::Dense &first = net.first, &second = net.second;
  const Parameters parameters = net.parameters();
  optim::SGD sgd(parameters, {.momentum = 0.8});
  Generator random(7);
  Program step = compile(
      [&](const Var& images, const Var& labels) {
        const Var hidden = dropout(relu(first(images)), 0.2, random);
        const Var loss = nn::cross_entropy(second(hidden), labels);
        sgd.step(gradient(loss, parameters));
        return loss;
      },
      {{64, 64}, {{64}, i64}}, {.name = "training step"});

  std::vector<double> losses;
  for (int i = 0; i < kSteps; ++i) {
    const data::Dataset batch = batch_of(digits, i);
    sgd.set_learning_rate(rate_of(i));  // no new recording
    losses.push_back(step(batch.inputs, batch.labels).item());
  }
  const std::vector<double> eager = train_eagerly(digits);
  double worst = 0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    worst = std::max(worst, std::abs(losses[i] - eager[i]) / eager[i]);
  }
  std::printf("%d steps with momentum, dropout and a falling rate:\n", kSteps);
  expect("first loss", losses.front(), eager.front(), 1e-5);
  expect("last loss", losses.back(), eager.back(), 1e-3);
  expect("largest relative difference to eager", worst, 0, 1e-3);
  expect("recordings", static_cast<double>(step.recordings()), 1, 0);
  expect("the arena is no larger than what lives at once, by",
         static_cast<double>(step.arena_bytes()) / static_cast<double>(step.least_bytes()), 1, 0.1);

  Program infer = compile([&](const Var& x) { return second(relu(first(x))); }, {test.inputs});
  const double accuracy = nn::accuracy(infer(test.inputs), test.labels);
  std::printf("a second program reads the same parameters:\n");
  expect("test accuracy is over 80 %", accuracy > 0.8);

  const data::Dataset batch = batch_of(digits, 0);
  std::printf("\n%s\n%s", step.str().c_str(),
              str(step.profile({batch.inputs, batch.labels})).c_str());
  return failures;
}
