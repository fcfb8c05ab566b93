#include <xtape/autodiff/error.hpp>
#include <xtape/nn/layers.hpp>

namespace xtape::nn {
namespace {

constexpr struct {
  const char* name;
  Var (*f)(const Var&);
} kActivations[] = {{"sigmoid", xtape::sigmoid},
                    {"relu", xtape::relu},
                    {"tanh", xtape::tanh},
                    {"softplus", xtape::softplus},
                    {"softmax", [](const Var& x) { return xtape::softmax(x); }},
                    {"identity", [](const Var& x) { return x; }}};

void check_features(const std::string& where, const Shape& x, std::int64_t in) {
  if (x.rank() >= 1 && x[x.rank() - 1] == in) return;
  throw ShapeError(where, "input of shape " + x.str() + ": the last axis must have extent " +
                              std::to_string(in));
}

std::string arrow(std::int64_t in, std::int64_t out) {
  return std::to_string(in) + " → " + std::to_string(out);
}

}  // namespace

Dense::Dense(std::int64_t in, std::int64_t out, const DenseOptions& o) {
  if (in < 1 || out < 1) {
    throw ValueError("Dense", arrow(in, out) + ": both extents must be 1 or more");
  }
  const Fans fans{in, out};
  add_parameter("weight", {out, in}, o.weight_init, fans, o.dtype);
  if (o.bias) add_parameter("bias", {out}, o.bias_init, fans, o.dtype);
  rebind();
}

void Dense::rebind() {
  weight_ = own_parameters()[0];
  bias_ = own_parameters().size() > 1 ? own_parameters()[1] : Parameter();
}

Var Dense::forward(const Var& x) const {
  check_features(weight_.name(), x.shape(), in_features());
  if (x.dtype() != weight_.dtype()) {
    throw DTypeError(weight_.name(), std::string("input of dtype ") + name(x.dtype()) +
                                         " meets weights of " + name(weight_.dtype()) +
                                         ": write cast(x, " + name(weight_.dtype()) +
                                         ") or net.to(" + name(x.dtype()) + ")");
  }
  const Var z = matmul(x, weight_, {.transpose_b = true});
  return bias_.defined() ? z + bias_ : z;
}

std::string Dense::describe() const {
  return "Dense(" + arrow(in_features(), out_features()) + (bias_.defined() ? ")" : ", no bias)");
}

Shape Dense::output_shape(const Shape& in) const {
  check_features(weight_.name(), in, in_features());
  Shape out = in;
  out[out.rank() - 1] = out_features();
  return out;
}

Sigmoid::Sigmoid() : Activation(activation("sigmoid")) {}
ReLU::ReLU() : Activation(activation("relu")) {}
Tanh::Tanh() : Activation(activation("tanh")) {}
Softplus::Softplus() : Activation(activation("softplus")) {}
Softmax::Softmax() : Activation(activation("softmax")) {}
Identity::Identity() : Activation(activation("identity")) {}

Activation activation(const std::string& name) {
  std::string names;
  for (const auto& a : kActivations) {
    if (a.name == name) return Activation(a.name, a.f);
    names += (names.empty() ? "" : ", ") + std::string(a.name);
  }
  throw ParseError("activation", "'" + name + "' is not one of " + names);
}

bool Activation::same_as(const Activation& o) const {
  using Plain = Var (*)(const Var&);
  const Plain *a = f_.target<Plain>(), *b = o.f_.target<Plain>();
  return a && b && *a == *b;
}

Neurons::Neurons(std::int64_t in, std::vector<Activation> activations, const DenseOptions& o)
    : activations_(std::move(activations)) {
  if (activations_.empty()) throw ValueError("Neurons", "no activations: give one per neuron");
  const Activation soft = activation("softmax");
  for (const Activation& a : activations_) {
    if (a.same_as(soft)) {
      throw ValueError("Neurons",
                       "softmax looks at all neurons: put nn::Softmax() behind the layer");
    }
  }
  const auto out = static_cast<std::int64_t>(activations_.size());
  add_child("dense", std::make_shared<Dense>(in, out, o));
}

void Neurons::rebind() {}

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
  std::string s = "Neurons(" + arrow(dense().in_features(), dense().out_features()) + ":";
  for (const Activation& a : activations_) s += " " + a.name();
  return s + ")";
}

Shape Neurons::output_shape(const Shape& in) const { return dense().output_shape(in); }

}  // namespace xtape::nn
