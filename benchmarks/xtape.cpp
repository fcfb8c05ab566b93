#include <xtape/xtape.hpp>

#include "harness.hpp"

namespace {

using namespace xtape;

class XtapeNetwork : public bench::Task {
 public:
  XtapeNetwork(const bench::Network& net, const bench::Start& start)
      : error_(net.error == bench::Network::Error::mean_square ? mean_square : half_square_sum),
        input_(tensor(start.input, {net.batch, net.sizes.front()}, net.f64)),
        target_(tensor(start.target, {net.batch, net.sizes.back()}, net.f64)),
        net_(layers(net, start)),
        sgd_(net_.parameters(), {.learning_rate = net.rate}) {}

  void step() override {
    Tape tape;
    const Var error = error_(net_(tape.input(input_)), target_);
    sgd_.step(tape.gradient(error, net_.parameters()));
  }

  std::vector<double> result() override { return {error_(net_(no_grad(input_)), target_).item()}; }

 private:
  static Var mean_square(const Var& y, const Var& t) { return nn::mse_loss(y, t); }
  static Var half_square_sum(const Var& y, const Var& t) { return nn::half_squared_error(y, t); }

  static Tensor tensor(const std::vector<double>& values, const Shape& shape, bool is_f64) {
    return Tensor::from(values, shape).to(is_f64 ? f64 : f32);
  }

  static nn::Sequential layers(const bench::Network& net, const bench::Start& start) {
    nn::Sequential out;
    for (std::size_t l = 0; l < start.weights.size(); ++l) {
      const std::int64_t in = net.sizes[l], neurons = net.sizes[l + 1];
      const Tensor weight = tensor(start.weights[l], {neurons, in}, net.f64);
      const Tensor bias = tensor(start.biases[l], {neurons}, net.f64);
      const nn::Dense dense(in, neurons,
                            {.weight_init = nn::values(weight),
                             .bias_init = nn::values(bias),
                             .dtype = net.f64 ? f64 : f32});
      out.add(dense).add(nn::Sigmoid());
    }
    return out;
  }

  Var (*error_)(const Var&, const Var&);
  Tensor input_, target_;
  nn::Sequential net_;
  optim::SGD sgd_;
};

class XtapeChain : public bench::Task {
 public:
  explicit XtapeChain(const bench::Chain& chain)
      : length_(chain.length),
        z_(Tensor::scalar(chain.z)),
        a_(Tensor::scalar(chain.a)),
        b_(Tensor::scalar(chain.b)) {}

  void step() override {
    Tape tape;
    const Var a = tape.variable(a_), b = tape.variable(b_);
    Var z = tape.input(z_);
    for (std::int64_t i = 0; i < length_; ++i) z = z * a + b;
    gradients_ = tape.gradient(z, {a, b});
  }

  std::vector<double> result() override { return {gradients_[0].item(), gradients_[1].item()}; }

 private:
  std::int64_t length_;
  Tensor z_, a_, b_;
  std::vector<Tensor> gradients_;
};

}  // namespace

int main(int argc, char** argv) {
  using bench::Task;
  const bench::Subject subject{
      "xtape",
      [](const bench::Network& net, const bench::Start& start) -> std::unique_ptr<Task> {
        return std::make_unique<XtapeNetwork>(net, start);
      },
      [](const bench::Chain& chain) -> std::unique_ptr<Task> {
        return std::make_unique<XtapeChain>(chain);
      }};
  return bench::run(subject, argc, argv);
}
