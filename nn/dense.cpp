#include <xtape/nn/dense.hpp>

namespace xtape::nn {
namespace {

std::string arrow(const Parameter& weight, std::int64_t out) {
  return (weight.has_value() ? std::to_string(weight.shape()[1]) : "?") + " → " +
         std::to_string(out);
}

}  // namespace

Dense::Dense(std::int64_t in, std::int64_t out, const DenseOptions& o) : out_(out) {
  if ((in < 1 && in != infer) || out < 1) {
    throw ValueError("Dense", std::to_string(in) + " → " + std::to_string(out) +
                                  ": both extents must be 1 or more");
  }
  const Fans fans{in, out};
  add_parameter("weight", {out, in}, o.weight_init, fans, o.dtype);
  if (o.bias) add_parameter("bias", {out}, o.bias_init, fans, o.dtype);
}

Var Dense::forward(const Var& x) const {
  const int last = x.rank() - 1;
  if (!weight().has_value() && last >= 0) {
    const std::int64_t in = x.shape()[last];
    materialize(0, {out_, in}, {in, out_});
    if (bias().defined()) materialize(1, {out_}, {in, out_});
  }
  const Parameter& w = weight();
  if (last < 0 || x.shape()[last] != in_features()) {
    throw ShapeError("Dense", "input of shape " + x.shape().str() +
                                  ": the last axis must have extent " +
                                  (w.has_value() ? std::to_string(in_features()) : "1 or more"));
  }
  if (x.dtype() != w.dtype()) {
    throw DTypeError("Dense", std::string("input of dtype ") + name(x.dtype()) +
                                  " meets weights of " + name(w.dtype()) + ": write cast(x, " +
                                  name(w.dtype()) + ") or net.to(" + name(x.dtype()) + ")");
  }
  const Var z = matmul(x, w, {.transpose_b = true});
  const Parameter b = bias();
  return b.defined() ? z + b : z;
}

std::string Dense::describe() const {
  return "Dense(" + arrow(weight(), out_) + (bias().defined() ? ")" : ", no bias)");
}

Bilinear::Bilinear(std::int64_t in1, std::int64_t in2, std::int64_t out, const DenseOptions& o) {
  if (in1 < 1 || in2 < 1 || out < 1) {
    throw ValueError("Bilinear", std::to_string(in1) + " × " + std::to_string(in2) + " → " +
                                     std::to_string(out) + ": extents must be 1 or more");
  }
  const Fans fans{in1 * in2, out};
  add_parameter("weight", {out, in1, in2}, o.weight_init, fans, o.dtype);
  if (o.bias) add_parameter("bias", {out}, o.bias_init, fans, o.dtype);
}

Var Bilinear::forward_all(std::span<const Var> xs) const {
  if (xs.size() != 2) {
    throw ValueError("Bilinear", std::to_string(xs.size()) + " inputs: it takes two");
  }
  return bilinear(xs[0], xs[1], own_parameters()[0], operand("bias"));
}

std::string Bilinear::describe() const {
  const Shape& w = own_parameters()[0].shape();
  return "Bilinear(" + std::to_string(w[1]) + " × " + std::to_string(w[2]) + " → " +
         std::to_string(w[0]) + ")";
}

Neurons::Neurons(std::int64_t in, std::vector<Activation> activations, const DenseOptions& o)
    : activations_(std::move(activations)) {
  if (activations_.empty()) throw ValueError("Neurons", "no activations: give one per neuron");
  for (const Activation& a : activations_) {
    if (a.elementwise()) continue;
    throw ValueError("Neurons", a.name() + " looks at all neurons: put it behind the layer");
  }
  const auto out = static_cast<std::int64_t>(activations_.size());
  add_child("dense", std::make_shared<Dense>(in, out, o));
}

Var Neurons::forward(const Var& x) const {
  const Var z = dense()(x);
  // Neighbours with one activation are computed together.
  std::vector<Var> parts;
  for (std::size_t i = 0; i < activations_.size();) {
    std::size_t end = i + 1;
    while (end < activations_.size() && activations_[end].same_as(activations_[i])) ++end;
    const auto from = static_cast<std::int64_t>(i), to = static_cast<std::int64_t>(end);
    parts.push_back(activations_[i](slice(z, -1, {from, to})));
    i = end;
  }
  return parts.size() == 1 ? parts[0] : concat(parts, -1);
}

std::string Neurons::describe() const {
  std::string s = "Neurons(" + arrow(dense().weight(), dense().out_features()) + ":";
  for (const Activation& a : activations_) s += " " + a.name();
  return s + ")";
}

}  // namespace xtape::nn
