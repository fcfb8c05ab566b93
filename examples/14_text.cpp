// 14. Letters: an LSTM and a small GPT learn to continue a text, character by character. The text
// is the GNU General Public License, which every Debian has.
//
//   14_text           a test: few steps of both, a short sample of each
//   14_text full      some minutes, better samples
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

constexpr std::int64_t kBatch = 16, kLength = 64, kLetters = 128;

std::string read(const char* path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Pieces of the text, and the same one letter on: what is to be predicted.
struct Pieces {
  Tensor letters = Tensor::empty({kBatch, kLength}, i64),
         next = Tensor::empty({kBatch, kLength}, i64);
  void draw(const std::string& text, Rng& rng) {
    auto *x = letters.mutable_data<std::int64_t>(), *y = next.mutable_data<std::int64_t>();
    for (std::int64_t b = 0; b < kBatch; ++b) {
      const auto at = static_cast<std::size_t>(
          rng.integer(static_cast<std::int64_t>(text.size()) - kLength - 1));
      for (std::int64_t k = 0; k < kLength; ++k) {
        x[b * kLength + k] = text[at + static_cast<std::size_t>(k)] & 127;
        y[b * kLength + k] = text[at + static_cast<std::size_t>(k) + 1] & 127;
      }
    }
  }
};

// x + positions, learned.
class Positions : public nn::Cloneable<Positions> {
 public:
  explicit Positions(std::int64_t features) {
    add_parameter("weight", {kLength, features}, nn::normal(0, 0.02), {}, f32);
  }
  Var forward(const Var& x) const override {
    return x + slice(beside(operand("weight"), x), 0, {0, x.shape()[1]});
  }
  std::string describe() const override { return "Positions"; }
};

nn::Sequential lstm() {
  return nn::Sequential{nn::Embedding(kLetters, 32), nn::LSTM(32, 128, {.batch_first = true}),
                        nn::Dense(128, kLetters)};
}

nn::Sequential gpt() {
  const nn::TransformerOptions block{.feedforward = 256,
                                     .dropout = 0,
                                     .activation = nn::activation("gelu"),
                                     .batch_first = true,
                                     .norm_first = true,
                                     .causal = true};
  return nn::Sequential{nn::Embedding(kLetters, 64, {.weight_init = nn::normal(0, 0.02)}),
                        Positions(64),
                        nn::TransformerEncoderLayer(64, 4, block),
                        nn::TransformerEncoderLayer(64, 4, block),
                        nn::LayerNorm(64),
                        nn::Dense(64, kLetters)};
}

// One letter after the other, each drawn by its probability.
std::string sample(const nn::Module& net, std::string text, int letters, Rng& rng) {
  for (int i = 0; i < letters; ++i) {
    const auto n = std::min<std::int64_t>(kLength, static_cast<std::int64_t>(text.size()));
    Tensor x = Tensor::empty({1, n}, i64);
    for (std::int64_t k = 0; k < n; ++k) {
      x.mutable_data<std::int64_t>()[k] =
          text[text.size() - static_cast<std::size_t>(n) + static_cast<std::size_t>(k)];
    }
    const Tensor p = softmax(select(net(no_grad(x)), 1, n - 1) / 0.8).value();
    double left = rng.uniform();
    std::int64_t letter = 0;
    while (letter < kLetters - 1 && (left -= p.flat(letter)) > 0) ++letter;
    text += static_cast<char>(letter);
  }
  return text;
}

double train(nn::Module& net, const std::string& text, int steps) {
  net.initialize(Rng(1));
  optim::AdamW adam(net.parameters(), {.learning_rate = 3e-3, .weight_decay = 0.01});
  Program step = compile(
      [&](const Var& x, const Var& y) {
        const Var logits = reshape(net(x), {kBatch * kLength, kLetters});
        const Var loss = nn::cross_entropy(logits, reshape(y, {kBatch * kLength}));
        adam.step(optim::clip_by_norm(gradient(loss, net.parameters()), 1));
        return loss;
      },
      {{{kBatch, kLength}, i64}, {{kBatch, kLength}, i64}});
  const optim::Schedule schedule = optim::chained({optim::warm_up(20), optim::cosine(steps, 0.05)});
  Rng rng(2);
  Pieces pieces;
  double recent = std::log(static_cast<double>(kLetters));
  for (int i = 0; i < steps; ++i) {
    optim::drive(adam, schedule);
    pieces.draw(text, rng);
    recent += 0.1 * (step(pieces.letters, pieces.next).item() - recent);
    if (i % (steps / 4) == 0) std::printf("    step %4d: loss %.3f\n", i, recent);
  }
  return recent;
}

}  // namespace

int main(int argc, char** argv) {
  const char* path = "/usr/share/common-licenses/GPL-3";
  if (!std::filesystem::exists(path)) {
    std::printf("skipped: no %s\n", path);
    return 77;
  }
  const std::string text = read(path);
  const bool full = argc > 1 && std::strcmp(argv[1], "full") == 0;
  Rng rng(3);
  // Letters by their frequency alone have 3.0 nats each.
  for (const bool recurrent : {true, false}) {
    nn::Sequential net = recurrent ? lstm() : gpt();
    std::printf("  %s\n", recurrent ? "LSTM" : "GPT");
    const double loss = train(net, text, full ? 3000 : 150);
    std::printf("%s\n", sample(net, "This License ", full ? 400 : 80, rng).c_str());
    expect(recurrent ? "nats per letter of the LSTM" : "nats per letter of the GPT", loss,
           full ? 0.8 : 2.3, full ? 0.6 : 0.4);
  }
  return failures != 0;
}
