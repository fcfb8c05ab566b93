#include <torch/torch.h>

#include "harness.hpp"

namespace {

torch::Tensor tensor(const std::vector<double>& values, torch::IntArrayRef shape, bool is_f64) {
  return torch::tensor(values, torch::kFloat64)
      .reshape(shape)
      .to(is_f64 ? torch::kFloat64 : torch::kFloat32);
}

class TorchNetwork : public bench::Task {
 public:
  TorchNetwork(const bench::Network& net, const bench::Start& start)
      : mean_(net.error == bench::Network::Error::mean_square),
        input_(tensor(start.input, {net.batch, net.sizes.front()}, net.f64)),
        target_(tensor(start.target, {net.batch, net.sizes.back()}, net.f64)),
        net_(layers(net, start)),
        parameters_(net_->parameters()),
        sgd_(parameters_, torch::optim::SGDOptions(net.rate)) {}

  void step() override {
    // Dropped, not filled with zeros as zero_grad() does up to libtorch 1.13: less to do.
    for (torch::Tensor& p : parameters_) p.mutable_grad().reset();
    error().backward();
    sgd_.step();
  }

  std::vector<double> result() override {
    const torch::NoGradGuard guard;
    return {error().item<double>()};
  }

 private:
  torch::Tensor error() {
    const torch::Tensor y = net_->forward(input_);
    return mean_ ? torch::mse_loss(y, target_) : 0.5 * (y - target_).square().sum();
  }

  static torch::nn::Sequential layers(const bench::Network& net, const bench::Start& start) {
    const torch::NoGradGuard guard;
    torch::nn::Sequential out;
    for (std::size_t l = 0; l < start.weights.size(); ++l) {
      torch::nn::Linear dense(net.sizes[l], net.sizes[l + 1]);
      if (net.f64) dense->to(torch::kFloat64);
      dense->weight.copy_(tensor(start.weights[l], dense->weight.sizes(), net.f64));
      dense->bias.copy_(tensor(start.biases[l], dense->bias.sizes(), net.f64));
      out->push_back(dense);
      out->push_back(torch::nn::Sigmoid());
    }
    return out;
  }

  bool mean_;
  torch::Tensor input_, target_;
  torch::nn::Sequential net_;
  std::vector<torch::Tensor> parameters_;
  torch::optim::SGD sgd_;
};

class TorchChain : public bench::Task {
 public:
  explicit TorchChain(const bench::Chain& chain)
      : length_(chain.length),
        z_(torch::tensor(chain.z, torch::kFloat64)),
        a_(torch::tensor(chain.a, torch::kFloat64).requires_grad_()),
        b_(torch::tensor(chain.b, torch::kFloat64).requires_grad_()) {}

  void step() override {
    torch::Tensor z = z_;
    for (std::int64_t i = 0; i < length_; ++i) z = z * a_ + b_;
    gradients_ = torch::autograd::grad({z}, {a_, b_});
  }

  std::vector<double> result() override {
    return {gradients_[0].item<double>(), gradients_[1].item<double>()};
  }

 private:
  std::int64_t length_;
  torch::Tensor z_, a_, b_;
  std::vector<torch::Tensor> gradients_;
};

}  // namespace

int main(int argc, char** argv) {
  using bench::Task;
  at::set_num_threads(bench::threads());
  const bench::Subject subject{
      "libtorch",
      [](const bench::Network& net, const bench::Start& start) -> std::unique_ptr<Task> {
        return std::make_unique<TorchNetwork>(net, start);
      },
      [](const bench::Chain& chain) -> std::unique_ptr<Task> {
        return std::make_unique<TorchChain>(chain);
      }};
  return bench::run(subject, argc, argv);
}
