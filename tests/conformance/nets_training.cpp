#include <cmath>

#include "nets.hpp"

// Networks whose manifests tell the course of a training.
namespace xtape::conformance {
namespace {

using nlohmann::json;

constexpr double kLossBar = 1e-10;

Tensor tensor(const json& v) {
  std::vector<double> values;
  Shape shape;
  if (v.is_number()) return Tensor::scalar(v.get<double>());
  shape.push_back(static_cast<std::int64_t>(v.size()));
  if (v[0].is_array()) shape.push_back(static_cast<std::int64_t>(v[0].size()));
  for (const json& row : v) {
    if (row.is_array()) {
      for (const json& x : row) values.push_back(x.get<double>());
    } else {
      values.push_back(row.get<double>());
    }
  }
  return Tensor::from(values, shape);
}

void expect(std::vector<Failure>& out, const std::string& where, const Tensor& got,
            const Tensor& reference, double bar) {
  const Difference d = compare(got, reference, {bar, 1e-12});
  if (!d.ok()) out.push_back({where, d.broken + d.first, d.error});
}

// Two layers of two neurons, after an article of Matt Mazur.
struct Mazur {
  Tensor x, target;
  double rate;
  std::string variant;
  std::size_t updated;  // the first of W1, W2, b1, b2

  Var hidden(std::span<const Var> p) const { return sigmoid(matmul(p[0], x) + p[2]); }
  Var output(std::span<const Var> p) const { return sigmoid(matmul(p[1], hidden(p)) + p[3]); }
  Var error(const Var& o) const { return 0.5 * sum(square(target - o)); }

  // Loss, output, gradients, next parameters.
  std::vector<Var> step(std::span<const Var> p) const {
    const Var o = output(p), loss = error(o);
    std::vector<Var> out{loss, o};
    std::vector<Var> g = gradient(loss, p);
    out.insert(out.end(), g.begin(), g.end());
    if (variant == "bias_fixed_sequential") {
      // The gradient of W1 goes through the new W2, with the errors of the outputs as they were.
      const Var delta = stop_gradient(gradient(loss, o) * o * (1 - o));
      const Var through = matmul(stop_gradient(p[1] - rate * g[1]), hidden(p));
      g[0] = gradient(sum(delta * through), p[0]);
    }
    for (std::size_t i = 0; i < p.size(); ++i) {
      out.push_back(i < updated ? p[i] - rate * g[i] : p[i] + 0);
    }
    return out;
  }
};

constexpr const char* kMazurNames[] = {"W1", "W2", "b1", "b2"};

void check_variant(const std::string& name, const json& inputs, const json& v,
                   std::vector<Failure>& out) {
  const Mazur net{tensor(inputs["x"]).reshape({2, 1}), tensor(inputs["target"]).reshape({2, 1}),
                  inputs["lr"], name, v["updated"].size()};
  const Shape bias = name == "bias_shared_scalar" ? Shape{} : Shape{2, 1};
  std::vector<Tensor> p{tensor(inputs["W1"]), tensor(inputs["W2"]),
                        Tensor::full(bias, inputs["b1"], f64),
                        Tensor::full(bias, inputs["b2"], f64)};
  std::vector<Spec> specs;
  for (const Tensor& t : p) specs.push_back(t.spec());
  Program program = compile([&](std::span<const Var> in) { return net.step(in); }, specs);
  const auto all = [&](const std::string& what, std::span<const Tensor> got, const json& expected) {
    for (std::size_t i = 0; i < 4; ++i) {
      const Tensor reference = tensor(expected[kMazurNames[i]]);
      expect(out, name + " " + what + " " + kMazurNames[i], got[i].reshape(reference.shape()),
             reference, kLossBar);
    }
  };
  for (int k = 0; k <= 10000; ++k) {
    const std::vector<Tensor> results = program.run(p);
    const std::string at = std::to_string(k);
    if (v["loss_after_steps"].contains(at)) {
      const std::string where = name + " after " + at + " steps: ";
      expect(out, where + "loss", results[0], Tensor::scalar(v["loss_after_steps"][at]), 1e-9);
      expect(out, where + "output", results[1].reshape({2}), tensor(v["output_after_steps"][at]),
             kLossBar);
    }
    if (k == 0) all("gradient", std::span(results).subspan(2, 4), v["grad"]);
    if (k == 1) all("after 1 step", p, v["after_1_step"]);
    if (k == 10000) all("after 10000 steps", p, v["after_10000_steps"]);
    p.assign(results.begin() + 6, results.end());
  }
}

}  // namespace

std::vector<Failure> check_mazur(const Item& item) {
  std::vector<Failure> out;
  for (const auto& [name, v] : item.manifest["variants"].items()) {
    check_variant(name, item.manifest["inputs"], v, out);
  }
  return out;
}

std::vector<Failure> check_fashion_mnist(const Item& item) {
  const std::string folder = "/usr/share/datasets/fashion-mnist";
  const auto pixels = [&](const char* file) {
    return data::read_idx(folder + file, {.dtype = f64, .scale = 1.0 / 255}).reshape({-1, 784});
  };
  const Tensor x = slice(pixels("/train-images-idx3-ubyte.gz"), 0, {0, 250}).value();
  const Tensor labels =
      slice(data::read_idx(folder + "/train-labels-idx1-ubyte.gz"), 0, {0, 250}).value();
  const Tensor test = pixels("/t10k-images-idx3-ubyte.gz");
  const Tensor test_labels = data::read_idx(folder + "/t10k-labels-idx1-ubyte.gz");
  const Tensor y = one_hot(labels, 10, f64).value();
  const json &m = item.manifest, &tensors = m["tensors"];
  std::vector<Tensor> p;
  std::vector<Spec> specs;
  for (const char* name : {"W1", "b1", "W2", "b2", "W3", "b3"}) {
    p.push_back(item.tensor(tensors["initial"][name]));
    specs.push_back(p.back().spec());
  }
  const auto net = [](const Var& in, std::span<const Var> q) {
    Var a = in;
    for (std::size_t i = 0; i < 6; i += 2) a = sigmoid(matmul(a, transpose(q[i])) + q[i + 1]);
    return a;
  };
  const double rate = m["lr"];
  Program step = compile(
      [&](std::span<const Var> q) {
        const Var loss = 0.5 * mean(square(net(x, q) - y));
        std::vector<Var> results{loss};
        const std::vector<Var> g = gradient(loss, q);
        for (std::size_t i = 0; i < 6; ++i) results.push_back(q[i] - rate * g[i]);
        return results;
      },
      specs);
  std::vector<Failure> out;
  const int epochs = m["epochs"];
  for (int k = 0; k <= epochs; ++k) {
    const std::vector<Var> now(p.begin(), p.end());
    const double right = 1e4 * nn::accuracy(net(test, now).value(), test_labels);
    const auto at = static_cast<std::size_t>(k);
    const std::string where = "after " + std::to_string(k) + " epochs: ";
    expect(out, where + "correct", Tensor::scalar(std::round(right)),
           Tensor::scalar(m["test_correct_of_10000"][at]), 0);
    const std::vector<Tensor> results = step.run(p);
    expect(out, where + "loss", results[0], Tensor::scalar(m["loss"][at]), kLossBar);
    if (k < epochs) p.assign(results.begin() + 1, results.end());
  }
  std::size_t i = 0;
  for (const char* name : {"W1", "b1", "W2", "b2", "W3", "b3"}) {
    expect(out, std::string("after all epochs ") + name, p[i++],
           item.tensor(tensors["after_25_epochs"][name]), kLossBar);
  }
  return out;
}

}  // namespace xtape::conformance
