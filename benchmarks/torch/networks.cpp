#include <torch/torch.h>

#include "torch_subject.hpp"

namespace with_torch {
namespace {

using bench::Network;
using torch::Tensor;

Tensor tensor(const std::vector<float>& values, torch::IntArrayRef shape) {
  return torch::tensor(values).reshape(shape);
}

torch::nn::Sequential layers(const Network& net, const bench::Layers& start) {
  const torch::NoGradGuard guard;
  torch::nn::Sequential out;
  for (std::size_t l = 0; l < net.layers(); ++l) {
    torch::nn::Linear dense(net.sizes[l], net.sizes[l + 1]);
    dense->weight.copy_(tensor(start.weights[l], dense->weight.sizes()));
    dense->bias.copy_(tensor(start.biases[l], dense->bias.sizes()));
    out->push_back(dense);
    if (!net.activated(l)) continue;
    if (net.activation == Network::Activation::sigmoid) out->push_back(torch::nn::Sigmoid());
    if (net.activation == Network::Activation::relu) out->push_back(torch::nn::ReLU());
    if (net.activation == Network::Activation::tanh) out->push_back(torch::nn::Tanh());
  }
  return out;
}

class Model : public bench::Task {
 public:
  explicit Model(const Network& net) : Model(net, bench::make_start(net)) {}

  std::vector<double> result() override {
    const torch::NoGradGuard guard;
    return {error(net_->forward(input_)).item<double>()};
  }

 protected:
  Tensor error(const Tensor& y) {
    switch (description_.error) {
      case Network::Error::mean_square:
        return torch::mse_loss(y, target_);
      case Network::Error::half_square_sum:
        return 0.5 * (y - target_).square().sum();
      case Network::Error::cross_entropy:
        return torch::cross_entropy_loss(y, target_);
    }
    return y;
  }

  const Network description_;
  Tensor input_, target_;
  torch::nn::Sequential net_;
  std::vector<Tensor> parameters_;

 private:
  Model(const Network& net, const bench::Start& start)
      : description_(net),
        input_(tensor(start.input, {net.batch, net.sizes.front()})),
        target_(net.error == Network::Error::cross_entropy
                    ? torch::tensor(start.labels)
                    : tensor(start.target, {net.batch, net.sizes.back()})),
        net_(layers(net, start.layers)),
        parameters_(net_->parameters()) {}
};

class Training : public Model {
 public:
  explicit Training(const Network& net)
      : Model(net), sgd_(parameters_, torch::optim::SGDOptions(net.rate)) {}

  void step() override {
    // Dropped, not filled with zeros as zero_grad() does up to libtorch 1.13: less to do.
    for (Tensor& p : parameters_) p.mutable_grad().reset();
    error(net_->forward(input_)).backward();
    sgd_.step();
  }

 private:
  torch::optim::SGD sgd_;
};

class Lean : public Model {
 public:
  using Model::Model;

  void step() override {
    Tensor y = input_;
    for (std::size_t l = 0; l < description_.layers(); ++l) {
      y = torch::linear(y, parameters_[2 * l], parameters_[2 * l + 1]);
      if (description_.activated(l)) y = activate(y);
    }
    const std::vector<Tensor> gradients = torch::autograd::grad({error(y)}, parameters_);
    const torch::NoGradGuard guard;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      parameters_[i].add_(gradients[i], -description_.rate);
    }
  }

 private:
  Tensor activate(const Tensor& y) const {
    switch (description_.activation) {
      case Network::Activation::sigmoid:
        return y.sigmoid();
      case Network::Activation::relu:
        return y.relu();
      case Network::Activation::tanh:
        return y.tanh();
    }
    return y;
  }
};

class HessianVector : public Model {
 public:
  explicit HessianVector(const Network& net) : Model(net) {
    const bench::Layers d = bench::make_direction(net);
    for (std::size_t l = 0; l < net.layers(); ++l) {
      direction_.push_back(tensor(d.weights[l], {net.sizes[l + 1], net.sizes[l]}));
      direction_.push_back(tensor(d.biases[l], {net.sizes[l + 1]}));
    }
  }

  // The derivative of <gradient, direction>: the direction is the cotangent of the gradient.
  void step() override {
    const std::vector<Tensor> gradients =
        torch::autograd::grad({error(net_->forward(input_))}, parameters_, {}, {}, true);
    products_ = torch::autograd::grad(gradients, parameters_, direction_);
  }

  std::vector<double> result() override {
    std::vector<double> all;
    for (const Tensor& t : products_) {
      const Tensor flat = t.contiguous();
      all.insert(all.end(), flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
    }
    return all;
  }

 private:
  std::vector<Tensor> direction_, products_;
};

}  // namespace

std::unique_ptr<bench::Task> training(const Network& net) {
  return std::make_unique<Training>(net);
}
std::unique_ptr<bench::Task> lean_training(const Network& net) {
  return std::make_unique<Lean>(net);
}
std::unique_ptr<bench::Task> hessian_vector(const Network& net) {
  return std::make_unique<HessianVector>(net);
}

void set_threads(int n) { at::set_num_threads(n); }

}  // namespace with_torch
