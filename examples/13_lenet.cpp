// 13. LeNet on Fashion-MNIST: convolutions, pooling, Adam, a rate that falls along a cosine; the
// whole training step is a program.
//
//   13_lenet          a test: 300 steps
//   13_lenet full     five epochs, 60,000 images: 89 % and more
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

constexpr std::int64_t kBatch = 64;

Tensor images(const Tensor& x) { return x.reshape({-1, 1, 28, 28}); }

double accuracy(nn::Module& net, const data::Dataset& test) {
  net.eval();
  std::int64_t right = 0;
  for (auto& [x, labels] : data::batches(test, 500)) {
    const Tensor scores = net(no_grad(images(x))).value();
    right += std::llround(nn::accuracy(scores, labels) * static_cast<double>(labels.size()));
  }
  net.train();
  return static_cast<double>(right) / static_cast<double>(test.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    std::printf("skipped: Fashion-MNIST (Debian package dataset-fashion-mnist) is not installed\n");
    return 77;
  }
  const bool full = argc > 1 && std::strcmp(argv[1], "full") == 0;
  const auto [train, test] = data::fashion_mnist();

  nn::Sequential net{nn::Conv2d(1, 6, 5, {.padding = 2}),
                     nn::ReLU(),
                     nn::MaxPool2d(2),
                     nn::Conv2d(6, 16, 5),
                     nn::ReLU(),
                     nn::MaxPool2d(2),
                     nn::Flatten(),
                     nn::Dense(400, 120),
                     nn::ReLU(),
                     nn::Dense(120, 84),
                     nn::ReLU(),
                     nn::Dense(84, 10)};
  net.initialize(nn::he_normal(), Rng(1));
  std::printf("%s\n", nn::summary(net, {1, 28, 28}).c_str());

  optim::Adam adam(net.parameters(), {.learning_rate = 2e-3});
  Program step = compile(
      [&](const Var& x, const Var& labels) {
        const Var loss = nn::cross_entropy(net(x), labels);
        adam.step(gradient(loss, net.parameters()));
        return loss;
      },
      {{kBatch, 1, 28, 28}, {{kBatch}, i64}});
  const int epochs = full ? 5 : 1;
  const std::int64_t per_epoch = full ? train.size() / kBatch : 300;
  const optim::Schedule falling = optim::cosine(epochs * per_epoch, 0.02);
  Rng rng(2);
  const auto start = std::chrono::steady_clock::now();
  for (int epoch = 0; epoch < epochs; ++epoch) {
    double loss = 0;
    std::int64_t taken = 0;
    for (auto& [x, labels] : data::batches(train, kBatch, rng)) {
      if (taken == per_epoch) break;  // the last, smaller batch does not fit the program
      optim::drive(adam, falling);
      loss += step(images(x), labels).item();
      ++taken;
    }
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    std::printf("  epoch %d: loss %.4f, test accuracy %.4f, %.0f s\n", epoch + 1,
                loss / static_cast<double>(taken), accuracy(net, test), passed.count());
  }
  expect(full ? "at least 89 % of the test set" : "at least 75 % of the test set",
         accuracy(net, test) >= (full ? 0.89 : 0.75));
  return failures != 0;
}
