#include <torch/torch.h>

#include "subjects.hpp"

namespace optimizers {
namespace {

class Torch : public Subject {
 public:
  Torch(const Problem& problem, Rule rule) {
    for (std::size_t i = 0; i < problem.shapes.size(); ++i) {
      torch::Tensor p = torch::tensor(problem.start(i)).reshape(problem.shapes[i]);
      p.set_requires_grad(true);
      p.mutable_grad() = torch::tensor(problem.gradient(i)).reshape(problem.shapes[i]);
      parameters_.push_back(p);
    }
    if (rule == Rule::sgd) {
      optimizer_ =
          std::make_unique<torch::optim::SGD>(parameters_, torch::optim::SGDOptions(kRate));
    } else {
      optimizer_ = std::make_unique<torch::optim::Adam>(
          parameters_,
          torch::optim::AdamOptions(kRate).betas(std::make_tuple(kBeta1, kBeta2)).eps(kEpsilon));
    }
  }
  void step() override { optimizer_->step(); }
  std::vector<float> elements() const override {
    std::vector<float> all;
    for (const torch::Tensor& p : parameters_) {
      const torch::Tensor flat = p.detach().contiguous();
      const float* x = flat.data_ptr<float>();
      all.insert(all.end(), x, x + flat.numel());
    }
    return all;
  }

 private:
  std::vector<torch::Tensor> parameters_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
};

}  // namespace

std::unique_ptr<Subject> by_torch(const Problem& problem, Rule rule) {
  return std::make_unique<Torch>(problem, rule);
}
void set_torch_threads(int n) { torch::set_num_threads(n); }

}  // namespace optimizers
