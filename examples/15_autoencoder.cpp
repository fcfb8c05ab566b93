// 15. An autoencoder: 64 pixels through 8 numbers and back, and pictures of what comes back.
//
// The handwritten digits that the library has built in, trained to give back what goes in. Above
// each pair in the picture is a test image, below it what the decoder makes of its eight numbers.
#include <cstdio>
#include <sstream>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

// 8 × 8 pixels in grey, as squares.
void draw(std::ostream& os, const Tensor& image, double left, double top) {
  constexpr double kPixel = 7;
  for (std::int64_t i = 0; i < 64; ++i) {
    const int grey = static_cast<int>(255 - 255 * std::min(1., std::max(0., image.flat(i))));
    os << "<rect x=\"" << left + kPixel * static_cast<double>(i % 8) << "\" y=\""
       << top + kPixel * static_cast<double>(i / 8) << "\" width=\"7.3\" height=\"7.3\" fill=\"rgb("
       << grey << ',' << grey << ',' << grey << ")\"/>\n";
  }
}

std::string picture(const Tensor& images, const Tensor& back) {
  std::ostringstream os;
  os << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"740\" height=\"160\">\n"
     << "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
     << "<text x=\"10\" y=\"20\" font-family=\"Helvetica\" font-size=\"13\">test images, and what "
        "comes back through 8 numbers</text>\n";
  for (std::int64_t k = 0; k < 11; ++k) {
    const double left = 10 + 66 * static_cast<double>(k);
    draw(os, select(images, 0, k).value(), left, 30);
    draw(os, select(back, 0, k).value(), left, 94);
  }
  os << "</svg>\n";
  return os.str();
}

}  // namespace

int main(int argc, char** argv) {
  const data::Split digits = data::digits_split();
  const data::Dataset &train = digits.train, &test = digits.test;
  nn::Sequential encoder{nn::Dense(64, 48), nn::Tanh(), nn::Dense(48, 8)};
  nn::Sequential decoder{nn::Dense(8, 48), nn::Tanh(), nn::Dense(48, 64), nn::Sigmoid()};
  nn::Sequential net(encoder, decoder);
  net.initialize(Rng(1));

  optim::Adam adam(net.parameters(), {.learning_rate = 3e-3});
  constexpr std::int64_t kBatch = 64;
  Program step = compile(
      [&](const Var& x) {
        const Var loss = nn::mse_loss(net(x), x);
        adam.step(gradient(loss, net.parameters()));
        return loss;
      },
      {{kBatch, 64}});
  const auto error = [&] { return nn::mse_loss(net(no_grad(test.inputs)), test.inputs).item(); };
  const double before = error();
  Rng rng(2);
  for (int epoch = 0; epoch < 60; ++epoch) {
    for (auto& [x, labels] : data::batches(train, kBatch, rng)) {
      if (x.shape()[0] == kBatch) step(x);
    }
  }
  const double after = error();
  const double variance = mean(square(test.inputs - mean(train.inputs, 0, true))).item();
  std::printf("  mean squared error on the test set: %.4f before, %.4f after\n", before, after);
  expect("share of the variance that 8 of 64 numbers keep", 1 - after / variance, 0.75, 0.15);
  const std::string file = argc > 1 ? argv[1] : "15_autoencoder.svg";
  plot::save(file, picture(test.inputs, net(no_grad(test.inputs)).value()));
  std::printf("  drawn: %s\n", file.c_str());
  return failures != 0;
}
