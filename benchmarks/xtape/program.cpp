#include "models.hpp"

// xtape, compiled: recorded once, replayed.
namespace with_xtape {
namespace {

using namespace xtape;

std::vector<Spec> specs(const std::vector<Tensor>& tensors) {
  std::vector<Spec> out;
  for (const Tensor& t : tensors) out.push_back(t.spec());
  return out;
}

class Training : public bench::Task {
 public:
  explicit Training(const bench::Network& net)
      : model_(net),
        sgd_(model_.parameters, {.learning_rate = net.rate}),
        step_(compile(
            [&](Var input, Var target) {
              const Var error = model_.error(input, target);
              sgd_.step(gradient(error, model_.parameters));
              return error;
            },
            {model_.input.spec(), model_.target.spec()})) {}

  void step() override { error_ = step_(model_.input, model_.target); }
  std::vector<double> result() override { return model_.result(); }

 private:
  Model model_;
  optim::SGD sgd_;
  Program step_;
  Tensor error_;
};

class HessianVector : public bench::Task {
 public:
  explicit HessianVector(const bench::Network& net)
      : model_(net),
        inputs_{model_.input, model_.target},
        direction_(direction(net)),
        product_(compile(
            [&](Var input, Var target) {
              const std::vector<Var> g = gradient(model_.error(input, target), model_.parameters);
              Var slope = sum(g[0] * direction_[0]);
              for (std::size_t i = 1; i < g.size(); ++i) slope += sum(g[i] * direction_[i]);
              return gradient(slope, model_.parameters);
            },
            specs(inputs_))) {}

  void step() override { products_ = product_.run(inputs_); }
  std::vector<double> result() override { return flat(products_); }

 private:
  Model model_;
  std::vector<Tensor> inputs_, direction_, products_;
  Program product_;
};

/// A program of given inputs, whose outputs are compared.
class Compiled : public bench::Task {
 public:
  template <class F>
  Compiled(F f, std::vector<Tensor> inputs)
      : inputs_(std::move(inputs)), program_(compile(f, specs(inputs_))) {}

  void step() override { outputs_ = program_.run(inputs_); }
  std::vector<double> result() override { return flat(outputs_); }

 private:
  std::vector<Tensor> inputs_, outputs_;
  Program program_;
};

// {value, gradients…} as outputs.
std::vector<Var> with_gradient(const Var& value, const std::vector<Var>& parameters) {
  std::vector<Var> all = gradient(value, parameters);
  all.insert(all.begin(), value);
  return all;
}

std::vector<Tensor> chain_inputs(const bench::Chain& c) {
  return {Tensor::scalar(c.z), Tensor::scalar(c.a), Tensor::scalar(c.b)};
}

std::unique_ptr<bench::Task> make_chain(const bench::Chain& c) {
  return std::make_unique<Compiled>(
      [&](Var z, Var a, Var b) {
        return gradient(chain(c, z, a, b), {a, b});
      },
      chain_inputs(c));
}

std::unique_ptr<bench::Task> make_gate(const bench::Gate& g) {
  return std::make_unique<Compiled>(
      [](Var x, Var a, Var b, Var c) {
        return with_gradient(gate(x, a, b, c), {a, b, c});
      },
      std::vector<Tensor>{Tensor::from(bench::make_input(g)), Tensor::scalar(g.a, f32),
                          Tensor::scalar(g.b, f32), Tensor::scalar(g.c, f32)});
}

std::unique_ptr<bench::Task> make_rows(const bench::Rows& rows) {
  const Rows data(rows);
  if (data.g.defined()) {
    return std::make_unique<Compiled>(
        [](Var x, Var g) { return gradient(softmax(x), x, {.cotangent = g}); },
        std::vector<Tensor>{data.x, data.g});
  }
  return std::make_unique<Compiled>([](Var x) { return gradient(sum(logsumexp(x, {-1})), x); },
                                    std::vector<Tensor>{data.x});
}

std::unique_ptr<bench::Task> make_function(const bench::Function& f) {
  const Function function(f);
  const auto of = [function](const std::vector<Var>& p) { return with_gradient(function(p), p); };
  const auto make = [&](auto g) { return std::make_unique<Compiled>(g, function.parameters); };
  switch (function.parameters.size()) {
    case 1:
      return make([of](Var x) { return of({x}); });
    case 2:
      return make([of](Var a, Var b) { return of({a, b}); });
    case 3:
      return make([of](Var w, Var b, Var s) { return of({w, b, s}); });
    default:
      return make([of](Var s, Var p, Var d, Var m) { return of({s, p, d, m}); });
  }
}

// A program of 1,000 operations, recorded and compiled in every step.
class Compilation : public bench::Task {
 public:
  explicit Compilation(const bench::Chain& c) : chain_(c), inputs_(chain_inputs(c)) {}

  // Forward only: twice `length` operations.
  void step() override {
    program_ = compile([&](Var z, Var a, Var b) { return chain(chain_, z, a, b); }, specs(inputs_));
  }
  // The program of `step` has no gradients: the check is that of one that has.
  std::vector<double> result() override {
    const auto task = make_chain(chain_);
    task->step();
    return task->result();
  }

 private:
  bench::Chain chain_;
  std::vector<Tensor> inputs_;
  Program program_;
};

}  // namespace
}  // namespace with_xtape

int main(int argc, char** argv) {
  using namespace with_xtape;
  return bench::run({.name = "xtape-program",
                     .training = bench::make<Training>,
                     .hessian_vector = bench::make<HessianVector>,
                     .chain = make_chain,
                     .gate = make_gate,
                     .rows = make_rows,
                     .function = make_function,
                     .compilation = bench::make<Compilation>},
                    argc, argv);
}
