#include <charconv>
#include <cmath>

#include <xtape/nn/activation.hpp>

namespace xtape::nn {
namespace {

using D = const double*;
std::int64_t whole(double v) { return static_cast<std::int64_t>(v); }

// The shortest text that is this number and no other.
std::string exact(double v) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, v).ptr};
}

constexpr ActivationKind kKinds[] = {
    {"sigmoid", {}, {}, [](const Var& x, D) { return sigmoid(x); }},
    {"relu", {}, {}, [](const Var& x, D) { return relu(x); }},
    {"tanh", {}, {}, [](const Var& x, D) { return tanh(x); }},
    {"softplus",
     {"beta", "threshold"},
     {1, 20},
     [](const Var& x, D a) {
       return a[0] == 1 && a[1] == 20 ? softplus(x) : softplus(x, a[0], a[1]);
     }},
    {"softmax", {"axis"}, {-1}, [](const Var& x, D a) { return softmax(x, whole(a[0])); }, false},
    {"identity", {}, {}, [](const Var& x, D) { return x; }},
    {"leaky_relu", {"slope"}, {0.01}, [](const Var& x, D a) { return leaky_relu(x, a[0]); }},
    {"elu", {"alpha"}, {1}, [](const Var& x, D a) { return elu(x, a[0]); }},
    {"selu", {}, {}, [](const Var& x, D) { return selu(x); }},
    {"celu", {"alpha"}, {1}, [](const Var& x, D a) { return celu(x, a[0]); }},
    {"silu", {}, {}, [](const Var& x, D) { return silu(x); }},
    {"gelu", {}, {}, [](const Var& x, D) { return gelu(x); }},
    {"gelu_tanh", {}, {}, [](const Var& x, D) { return gelu(x, Gelu::tanh); }},
    {"mish", {}, {}, [](const Var& x, D) { return mish(x); }},
    {"softsign", {}, {}, [](const Var& x, D) { return softsign(x); }},
    {"log_sigmoid", {}, {}, [](const Var& x, D) { return log_sigmoid(x); }},
    {"hardtanh",
     {"low", "high"},
     {-1, 1},
     [](const Var& x, D a) { return hardtanh(x, a[0], a[1]); }},
    {"relu6", {}, {}, [](const Var& x, D) { return relu6(x); }},
    {"hardsigmoid", {}, {}, [](const Var& x, D) { return hardsigmoid(x); }},
    {"hardswish", {}, {}, [](const Var& x, D) { return hardswish(x); }},
    {"tanhshrink", {}, {}, [](const Var& x, D) { return tanhshrink(x); }},
    {"softshrink", {"lambda"}, {0.5}, [](const Var& x, D a) { return softshrink(x, a[0]); }},
    {"hardshrink", {"lambda"}, {0.5}, [](const Var& x, D a) { return hardshrink(x, a[0]); }},
    {"threshold",
     {"threshold", "value"},
     {0, 0},
     [](const Var& x, D a) { return threshold(x, a[0], a[1]); }},
    {"log_softmax",
     {"axis"},
     {-1},
     [](const Var& x, D a) { return log_softmax(x, whole(a[0])); },
     false},
    {"softmin", {"axis"}, {-1}, [](const Var& x, D a) { return softmin(x, whole(a[0])); }, false},
    {"glu", {"axis"}, {-1}, [](const Var& x, D a) { return glu(x, whole(a[0])); }, false}};

std::size_t arity(const ActivationKind& k) {
  return k.arguments[0] == nullptr ? 0 : k.arguments[1] == nullptr ? 1 : 2;
}

}  // namespace

std::span<const ActivationKind> activation_kinds() { return kKinds; }

Activation activation(const std::string& name, const std::vector<double>& arguments) {
  std::string names;
  for (const ActivationKind& k : kKinds) {
    names += (names.empty() ? "" : ", ") + std::string(k.name);
    if (k.name != name) continue;
    const std::size_t n = arity(k);
    if (arguments.size() > n) {
      throw ParseError("activation", "'" + name + "' takes " + std::to_string(n) +
                                         " numbers, not " + std::to_string(arguments.size()));
    }
    double a[2] = {k.usual[0], k.usual[1]};
    std::copy(arguments.begin(), arguments.end(), a);
    if (n > 0 && k.arguments[0] == std::string_view("axis") && a[0] != std::floor(a[0])) {
      throw ParseError("activation",
                       "'" + name + "' of axis " + exact(a[0]) + ": must be a whole number");
    }
    std::string text = name;
    for (std::size_t i = 0; i < n; ++i) {
      // All up to the last unusual one.
      bool usual = true;
      for (std::size_t j = i; j < n; ++j) usual = usual && a[j] == k.usual[j];
      if (!usual) text += ":" + exact(a[i]);
    }
    const auto f = k.f;
    Activation out(text, [f, x = a[0], y = a[1]](const Var& v) {
      const double numbers[] = {x, y};
      return f(v, numbers);
    });
    out.known_ = true;
    out.elementwise_ = k.elementwise;
    return out;
  }
  throw ParseError("activation", "'" + name + "' is not one of " + names);
}

Activation activation(const std::string& text) {
  std::vector<double> arguments;
  for (std::size_t at = text.find(':'); at != std::string::npos;) {
    const std::size_t end = text.find(':', at + 1);
    const std::string word = text.substr(at + 1, end - at - 1);
    double v = 0;
    const auto [p, error] = std::from_chars(word.data(), word.data() + word.size(), v);
    if (error != std::errc() || p != word.data() + word.size() || !std::isfinite(v)) {
      throw ParseError("activation", "'" + word + "' in '" + text + "' is not a number");
    }
    arguments.push_back(v);
    at = end;
  }
  return activation(text.substr(0, text.find(':')), arguments);
}

PReLU::PReLU(const PReLUOptions& o) {
  if (o.channels < 1) {
    throw ValueError("PReLU", std::to_string(o.channels) + " channels: must be 1 or more");
  }
  add_parameter("weight", {o.channels}, constant(o.init), {1, 1}, o.dtype);
}

std::string PReLU::describe() const {
  return "PReLU(" + std::to_string(own_parameters()[0].size()) + ")";
}

}  // namespace xtape::nn
