// 5. Full-batch gradient descent, 784-128-64-10, sigmoid everywhere, on 250 images of
// Fashion-MNIST: the loss is the mean over images of the mean over outputs of (a − y)²/2, the
// learning rate 8, 25 epochs. With the initial weights in data/fmnist_mlp the losses and accuracies
// are those that PyTorch 1.13.1 gives for the same computation, which stand below.
#include <cstdio>
#include <filesystem>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

// Loss before the first epoch and after each, and how many of the 10,000 test images are right.
constexpr double kLoss[] = {
    0.22816612748691686,  0.10100446604999268,  0.048306442520955804, 0.04661114211796369,
    0.046382121917077336, 0.046132840402588,    0.045858238211142315, 0.04555463266991248,
    0.04521953648870091,  0.04485188635457893,  0.04445214232274268,  0.0440218883872248,
    0.04356311267213682,  0.043078051809990185, 0.042569913853119985, 0.04204333728561088,
    0.04150378837462951,  0.04095647048070699,  0.040405390776449106, 0.03985269141278977,
    0.039298292925765636, 0.038740700366331836, 0.03818148028106896,  0.037634864076522404,
    0.03712857664320597,  0.036672340797684666,
};
constexpr int kCorrect[] = {
    967,  995,  999,  1005, 1017, 1176, 1608, 1874, 1954, 2008, 2078, 2275, 2510,
    2698, 2836, 2949, 3013, 3092, 3174, 3251, 3314, 3388, 3491, 3846, 4160, 4327,
};

Tensor read(const std::string& name) {
  return data::read_idx(std::string(XTAPE_EXAMPLE_DATA) + "/fmnist_mlp/" + name + ".idx");
}

nn::Dense layer(std::int64_t in, std::int64_t out, const std::string& k) {
  return nn::Dense(in, out,
                   {.weight_init = nn::values(read("W" + k)),
                    .bias_init = nn::values(read("b" + k)),
                    .dtype = f64});
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(folder)) {
    std::printf("skipped: Fashion-MNIST (Debian package dataset-fashion-mnist) is not installed\n");
    return 77;
  }
  const auto pixels = [&](const char* file) {
    return data::read_idx(folder + file, {.dtype = f64, .scale = 1.0 / 255}).reshape({-1, 784});
  };
  const Tensor x = slice(pixels("/train-images-idx3-ubyte.gz"), 0, {0, 250}).value();
  const Tensor labels = data::read_idx(folder + "/train-labels-idx1-ubyte.gz");
  const Tensor y = one_hot(slice(labels, 0, {0, 250}), 10, f64).value();
  const Tensor test = pixels("/t10k-images-idx3-ubyte.gz");
  const Tensor test_labels = data::read_idx(folder + "/t10k-labels-idx1-ubyte.gz");

  const nn::Sequential net(layer(784, 128, "1"), nn::Sigmoid(), layer(128, 64, "2"), nn::Sigmoid(),
                           layer(64, 10, "3"), nn::Sigmoid());
  optim::SGD sgd(net.parameters(), {.learning_rate = 8});
  plot::Series loss_curve{"loss", {}, {}}, accuracy_curve{"test accuracy", {}, {}};
  double worst = 0;
  int wrong = 0;
  for (int epoch = 0; epoch <= 25; ++epoch) {
    Tape tape;
    const Var loss = nn::half_squared_error(net(tape.input(x)), y, nn::Reduction::mean);
    const double correct = 1e4 * nn::accuracy(net(no_grad(test)).value(), test_labels);
    std::printf("epoch %2d  loss %.12f  test accuracy %.4f\n", epoch, loss.item(), correct / 1e4);
    worst = std::max(worst, std::abs(loss.item() - kLoss[epoch]));
    wrong += std::lround(correct) != kCorrect[epoch];
    loss_curve.x.push_back(epoch);
    loss_curve.y.push_back(loss.item());
    accuracy_curve.x.push_back(epoch);
    accuracy_curve.y.push_back(correct / 1e4);
    if (epoch < 25) sgd.step(tape.gradient(loss, net.parameters()));
  }
  expect("largest difference of a loss", worst, 0, 1e-9);
  expect("accuracies that differ", wrong, 0, 0);
  const std::string picture = argc > 1 ? argv[1] : "05_full_batch.svg";
  plot::save(picture, plot::svg({{"Loss, 250 images, full batch", "epoch", "loss", {loss_curve}},
                                 {"Test accuracy", "epoch", "accuracy", {accuracy_curve}}}));
  std::printf("picture: %s\n", picture.c_str());
  return failures != 0;
}
