#include "models.hpp"

// xtape, eager: a tape for every step.
namespace with_xtape {
namespace {

using namespace xtape;

class Training : public bench::Task {
 public:
  explicit Training(const bench::Network& net)
      : model_(net), sgd_(model_.parameters, {.learning_rate = net.rate}) {}

  void step() override {
    Tape tape;
    const Var error = model_.error(tape.input(model_.input), model_.target);
    sgd_.step(tape.gradient(error, model_.parameters));
  }
  std::vector<double> result() override { return model_.result(); }

 private:
  Model model_;
  optim::SGD sgd_;
};

class HessianVector : public bench::Task {
 public:
  explicit HessianVector(const bench::Network& net) : model_(net), direction_(direction(net)) {}

  void step() override {
    Tape tape;
    const Var error = model_.error(tape.input(model_.input), model_.target);
    const std::vector<Var> gradients = gradient(error, model_.parameters);
    Var slope = sum(gradients[0] * direction_[0]);
    for (std::size_t i = 1; i < gradients.size(); ++i) slope += sum(gradients[i] * direction_[i]);
    products_ = tape.gradient(slope, model_.parameters);
  }
  std::vector<double> result() override { return flat(products_); }

 private:
  Model model_;
  std::vector<Tensor> direction_, products_;
};

class Chain : public bench::Task {
 public:
  explicit Chain(const bench::Chain& chain)
      : chain_(chain),
        z_(Tensor::scalar(chain.z)),
        a_(Tensor::scalar(chain.a)),
        b_(Tensor::scalar(chain.b)) {}

  void step() override {
    Tape tape;
    const Var a = tape.variable(a_), b = tape.variable(b_);
    gradients_ = tape.gradient(chain(chain_, tape.input(z_), a, b), {a, b});
  }
  std::vector<double> result() override { return flat(gradients_); }

 private:
  bench::Chain chain_;
  Tensor z_, a_, b_;
  std::vector<Tensor> gradients_;
};

class Gate : public bench::Task {
 public:
  explicit Gate(const bench::Gate& gate)
      : x_(Tensor::from(bench::make_input(gate))),
        a_(Tensor::scalar(gate.a, f32)),
        b_(Tensor::scalar(gate.b, f32)),
        c_(Tensor::scalar(gate.c, f32)) {}

  void step() override {
    Tape tape;
    const Var a = tape.variable(a_), b = tape.variable(b_), c = tape.variable(c_);
    const Var value = gate(tape.input(x_), a, b, c);
    gradients_ = tape.gradient(value, {a, b, c});
    value_ = value.value();
  }
  std::vector<double> result() override { return bench::flat(value_.item(), parts()); }

 private:
  std::vector<std::vector<double>> parts() const { return {flat(gradients_)}; }

  Tensor x_, a_, b_, c_, value_;
  std::vector<Tensor> gradients_;
};

class RowsTask : public bench::Task {
 public:
  explicit RowsTask(const bench::Rows& rows) : data_(rows) {}

  void step() override {
    Tape tape;
    const Var x = tape.variable(data_.x);
    gradient_ = data_.g.defined() ? tape.gradient(softmax(x), x, {.cotangent = data_.g})
                                  : tape.gradient(sum(logsumexp(x, {-1})), x);
  }
  std::vector<double> result() override { return flat({gradient_}); }

 private:
  Rows data_;
  Tensor gradient_;
};

class FunctionTask : public bench::Task {
 public:
  explicit FunctionTask(const bench::Function& f) : function_(f) {}

  void step() override {
    Tape tape;
    std::vector<Var> parameters;
    for (const Tensor& p : function_.parameters) parameters.push_back(tape.variable(p));
    const Var value = function_(parameters);
    results_ = tape.gradient(value, parameters);
    results_.insert(results_.begin(), value.value());
  }
  std::vector<double> result() override { return flat(results_); }

 private:
  Function function_;
  std::vector<Tensor> results_;
};

}  // namespace
}  // namespace with_xtape

int main(int argc, char** argv) {
  using namespace with_xtape;
  return bench::run({.name = "xtape-eager",
                     .training = bench::make<Training>,
                     .hessian_vector = bench::make<HessianVector>,
                     .chain = bench::make<Chain>,
                     .gate = bench::make<Gate>,
                     .rows = bench::make<RowsTask>,
                     .function = bench::make<FunctionTask>},
                    argc, argv);
}
