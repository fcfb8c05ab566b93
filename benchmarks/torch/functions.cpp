#include <torch/torch.h>

#include "torch_subject.hpp"

namespace with_torch {
namespace {

using torch::Tensor;
using Kind = bench::Function::Kind;

template <class T>
std::vector<double> doubles(const Tensor& t) {
  const Tensor flat = t.contiguous();
  return {flat.data_ptr<T>(), flat.data_ptr<T>() + flat.numel()};
}

Tensor variable(double value, torch::Dtype dtype) {
  return torch::tensor(value, dtype).requires_grad_();
}

class Chain : public bench::Task {
 public:
  explicit Chain(const bench::Chain& chain)
      : length_(chain.length),
        z_(torch::tensor(chain.z, torch::kFloat64)),
        a_(variable(chain.a, torch::kFloat64)),
        b_(variable(chain.b, torch::kFloat64)) {}

  void step() override {
    Tensor z = z_;
    for (std::int64_t i = 0; i < length_; ++i) z = z * a_ + b_;
    gradients_ = torch::autograd::grad({z}, {a_, b_});
  }

  std::vector<double> result() override {
    return {gradients_[0].item<double>(), gradients_[1].item<double>()};
  }

 private:
  std::int64_t length_;
  Tensor z_, a_, b_;
  std::vector<Tensor> gradients_;
};

class Gate : public bench::Task {
 public:
  explicit Gate(const bench::Gate& gate)
      : x_(torch::tensor(bench::make_input(gate))),
        a_(variable(gate.a, torch::kFloat32)),
        b_(variable(gate.b, torch::kFloat32)),
        c_(variable(gate.c, torch::kFloat32)) {}

  void step() override {
    const Tensor y =
        torch::sigmoid(a_ * x_ + b_) * torch::tanh(c_ * x_) + torch::exp(-torch::square(x_));
    value_ = y.mean();
    gradients_ = torch::autograd::grad({value_}, {a_, b_, c_});
  }

  std::vector<double> result() override {
    return {value_.item<double>(), gradients_[0].item<double>(), gradients_[1].item<double>(),
            gradients_[2].item<double>()};
  }

 private:
  Tensor x_, a_, b_, c_, value_;
  std::vector<Tensor> gradients_;
};

class Rows : public bench::Task {
 public:
  explicit Rows(const bench::Rows& rows) : is_softmax_(rows.kind == bench::Rows::Kind::softmax) {
    const bench::RowsData data = bench::make_data(rows);
    x_ = torch::tensor(data.x).reshape({rows.rows, rows.columns}).requires_grad_();
    if (is_softmax_) g_ = torch::tensor(data.g).reshape({rows.rows, rows.columns});
  }

  // Σ g softmax(x) without a pass over memory: g is the cotangent.
  void step() override {
    gradient_ = is_softmax_ ? torch::autograd::grad({torch::softmax(x_, 1)}, {x_}, {g_})[0]
                            : torch::autograd::grad({torch::logsumexp(x_, 1).sum()}, {x_})[0];
  }

  std::vector<double> result() override { return doubles<float>(gradient_); }

 private:
  bool is_softmax_;
  Tensor x_, g_, gradient_;
};

Tensor log_cauchy(const Tensor& x, double scale) { return -torch::log(scale + x * x / scale); }

class Function : public bench::Task {
 public:
  explicit Function(const bench::Function& f) : f_(f) {
    const bench::FunctionData data = bench::make_data(f);
    for (const auto& p : data.parameters) {
      Tensor t = torch::tensor(p, torch::kFloat64);
      if (f.kind == Kind::matrix) t = t.reshape({f.side(), f.side()});
      parameters_.push_back(t.detach().requires_grad_());
    }
    y_ = torch::tensor(data.y, torch::kFloat64);
    x_ = torch::tensor(data.x, torch::kFloat64);
    if (f.kind == Kind::regression) x_ = x_.reshape({f.samples(), f.n});
  }

  void step() override {
    const Tensor value = this->value(parameters_[0]);
    gradients_ = torch::autograd::grad({value}, parameters_);
    value_ = value;
  }

  std::vector<double> result() override {
    std::vector<std::vector<double>> parts;
    for (const Tensor& g : gradients_) parts.push_back(doubles<double>(g));
    return bench::flat(value_.item<double>(), parts);
  }

 private:
  Tensor value(const Tensor& x) const {
    switch (f_.kind) {
      case Kind::sum:
        return x.sum();
      case Kind::product:
        return x.prod();
      case Kind::logsumexp:
        return x.logsumexp(0);
      case Kind::matrix:
        return torch::mm(x, parameters_[1]).sum();
      case Kind::normal: {
        const Tensor z = (x - bench::Function::kMean) / bench::Function::kDeviation;
        return -0.5 * z.square().sum() -
               static_cast<double>(f_.n) * std::log(bench::Function::kDeviation);
      }
      case Kind::regression:
        return regression(x);
      case Kind::volatility:
        return volatility(x);
    }
    return x;
  }

  Tensor regression(const Tensor& w) const {
    const Tensor &b = parameters_[1], &deviation = parameters_[2];
    const Tensor z = (y_ - torch::mv(x_, w) - b) / deviation;
    return -0.5 * (z.square().sum() + w.square().sum() + b.square().sum()) -
           (static_cast<double>(f_.samples()) * torch::log(deviation)).sum();
  }

  // The recurrence d[i] = u[i] + φ d[i−1] by doubling: log n operations on all of it.
  Tensor volatility(const Tensor& s) const {
    const Tensor &phi = parameters_[1], &sigma = parameters_[2], &mu = parameters_[3];
    const Tensor u = sigma * s;
    Tensor d = torch::cat({u.slice(0, 0, 1) / torch::sqrt(1 - phi * phi), u.slice(0, 1)});
    Tensor power = phi;
    for (std::int64_t k = 1; k < f_.n; k *= 2, power = power * power) {
      d = torch::cat({d.slice(0, 0, k), d.slice(0, k) + power * d.slice(0, 0, f_.n - k)});
    }
    const Tensor h = d + mu;
    return (-0.5 * (y_.square() * torch::exp(-h) + h + s.square()).sum() + log_cauchy(sigma, 5) +
            log_cauchy(mu, 10))
        .sum();
  }

  bench::Function f_;
  Tensor x_, y_, value_;
  std::vector<Tensor> parameters_, gradients_;
};

}  // namespace

std::unique_ptr<bench::Task> chain(const bench::Chain& c) { return std::make_unique<Chain>(c); }
std::unique_ptr<bench::Task> gate(const bench::Gate& g) { return std::make_unique<Gate>(g); }
std::unique_ptr<bench::Task> rows(const bench::Rows& r) { return std::make_unique<Rows>(r); }
std::unique_ptr<bench::Task> function(const bench::Function& f) {
  return std::make_unique<Function>(f);
}

}  // namespace with_torch
