#include "nets.hpp"

// Convolutional networks by their definition. Convolution and pooling are made of slices here, so
// that they are a second opinion on the ops of that name.
namespace xtape::conformance {
namespace {

using Results = std::map<std::string, Var>;

Var pad(const Var& x, std::int64_t n) {
  Var out = x;
  for (int axis = 2; axis < 4 && n > 0; ++axis) {
    Shape s = out.shape();
    s[axis] = n;
    const Tensor zeros = Tensor::zeros(s, x.dtype());
    out = concat({zeros, out, zeros}, axis);
  }
  return out;
}

// Every `stride`-th element from (y, x) on, `h` × `w` of them.
Var window(const Var& v, std::int64_t y, std::int64_t x, std::int64_t h, std::int64_t w,
           std::int64_t stride) {
  return slice(
      v, {{}, {}, {y, y + (h - 1) * stride + 1, stride}, {x, x + (w - 1) * stride + 1, stride}});
}

// Cross-correlation of [n, c, h, w] with [out, c, k, k], without bias.
Var convolve(const Var& input, const Var& weight, std::int64_t padding = 0,
             std::int64_t stride = 1) {
  const Var x = pad(input, padding);
  const std::int64_t k = weight.shape()[2], n = x.shape()[0], c = x.shape()[1];
  const std::int64_t h = (x.shape()[2] - k) / stride + 1, w = (x.shape()[3] - k) / stride + 1;
  std::vector<Var> windows;
  for (std::int64_t i = 0; i < k * k; ++i) windows.push_back(window(x, i / k, i % k, h, w, stride));
  // [k·k, n, c, h, w] → [n, c·k·k, h·w]
  const Var patches = reshape(transpose(stack(windows), {1, 2, 0, 3, 4}), {n, c * k * k, h * w});
  const std::int64_t out = weight.shape()[0];
  return reshape(matmul(reshape(weight, {out, c * k * k}), patches), {n, out, h, w});
}

Var per_channel(const Var& v) { return reshape(v, {v.shape()[0], 1, 1}); }

Var pool(const Var& x) {
  const std::int64_t h = x.shape()[2] / 2, w = x.shape()[3] / 2;
  const auto at = [&](int i) { return window(x, i / 2, i % 2, h, w, 2); };
  return maximum(maximum(at(0), at(1)), maximum(at(2), at(3)));
}

Var cross_entropy(const Var& logits, const Var& label, double smoothing) {
  const std::int64_t classes = logits.shape()[1];
  const Var target = one_hot(label, classes, logits.dtype()) * (1 - smoothing) +
                     smoothing / static_cast<double>(classes);
  return -mean(sum(log_softmax(logits) * target, 1));
}

using Named = std::map<std::string, Var>;

Var lenet_logits(const Var& images, const Named& p) {
  const auto conv = [&](const Var& x, const std::string& name, std::int64_t padding) {
    return convolve(x, p.at(name + ".weight"), padding) + per_channel(p.at(name + ".bias"));
  };
  const auto dense = [&](const Var& x, const std::string& name) {
    return linear(x, p.at(name + ".weight"), p.at(name + ".bias"));
  };
  Var x = pool(relu(conv(images, "conv1", 2)));
  x = pool(relu(conv(x, "conv2", 0)));
  x = relu(dense(reshape(x, {x.shape()[0], -1}), "fc1"));
  return dense(relu(dense(x, "fc2")), "fc3");
}

// Ten steps with momentum: the losses before each and after the last.
Var lenet_training(const Var& x, const Var& label, Named p) {
  Named velocity;
  std::vector<Var> losses;
  for (int k = 0;; ++k) {
    losses.push_back(cross_entropy(lenet_logits(x, p), label, 0));
    if (k == 10) return stack(losses);
    std::vector<Var> targets;
    for (const auto& [name, v] : p) targets.push_back(v);
    const std::vector<Var> g = gradient(losses.back(), targets);
    std::size_t i = 0;
    for (auto& [name, v] : p) {
      Var& speed = velocity[name];
      speed = stop_gradient(k == 0 ? g[i] : 0.9 * speed + g[i]);
      v = v - 0.05 * speed;
      ++i;
    }
  }
}

Results lenet(const Call& c) {
  Named p;
  for (const auto& [name, value] : c.all().items()) {
    if (name != "x" && name != "label") p[name] = c.value(value);
  }
  const Var x = c.operand("x"), label = c.operand("label"), logits = lenet_logits(x, p);
  return {{"output/logits", logits},
          {"loss/loss", cross_entropy(logits, label, 0)},
          {"sgd_loss", lenet_training(x, label, p)}};
}

// Batch normalisation in training, with its running statistics.
Var normalise(const Call& c, const Var& x, const std::string& name, Results& r) {
  const double momentum = 0.1;
  const auto n = static_cast<double>(x.size() / x.shape()[1]);
  const Var m = mean(x, {0, 2, 3}, true), d = x - m, v = mean(square(d), {0, 2, 3}, true);
  const Shape channels{x.shape()[1]};
  const auto after = [&](const std::string& which, const Var& now) {
    const std::string key = name + ".running_" + which;
    r["buffers_after/" + key] =
        (1 - momentum) * c.operand("buffers_before/" + key) + momentum * reshape(now, channels);
  };
  after("mean", m);
  after("var", v * (n / (n - 1)));
  return d / sqrt(v + 1e-5) * per_channel(c.operand(name + ".weight")) +
         per_channel(c.operand(name + ".bias"));
}

Results residual(const Call& c) {
  Results r;
  const Var x = c.operand("x");
  Var h = relu(normalise(c, convolve(x, c.operand("conv1.weight"), 1, 2), "n1", r));
  h = normalise(c, convolve(h, c.operand("conv2.weight"), 1), "n2", r);
  h = relu(h + convolve(x, c.operand("skip.weight"), 0, 2));
  const Var logits = linear(mean(h, {2, 3}), c.operand("fc.weight"), c.operand("fc.bias"));
  r["output/logits"] = logits;
  r["loss/loss"] = cross_entropy(logits, c.operand("label"), 0.1);
  return r;
}

}  // namespace

void add_convolutional(Nets& nets) {
  nets["lenet_relu_maxpool"] = lenet;
  nets["resblock_batchnorm"] = residual;
}

}  // namespace xtape::conformance
