#include "explain.hpp"

#include <cmath>
#include <fmt/format.h>
#include <sstream>

#include "network.hpp"

namespace xtape::tools {
namespace {

constexpr const char* kUsual = "2 dense:2 sigmoid dense:2 sigmoid";
// Of a parameter that is explained element by element without being asked for one.
constexpr std::int64_t kMostElements = 64;

std::vector<double> numbers(const char* option, const std::string& text) {
  std::vector<double> out;
  std::istringstream in(text);
  std::string word;
  while (std::getline(in, word, ',')) {
    std::size_t used = 0;
    double x = 0;
    try {
      x = std::stod(word, &used);
    } catch (const std::exception&) {
    }
    if (used == 0 || used != word.size()) {
      throw ParseError(option, "'" + word + "' is no number: write numbers with commas, 0.5,-1");
    }
    out.push_back(x);
  }
  return out;
}

Tensor row(const char* option, const std::string& text, const Shape& shape, Rng rng) {
  if (text.empty()) return rng.uniform(shape, 0, 1, f64);
  const std::vector<double> values = numbers(option, text);
  if (static_cast<std::int64_t>(values.size()) != shape.size()) {
    throw ParseError(option, std::to_string(values.size()) + " numbers, the network has " +
                                 std::to_string(shape.size()));
  }
  Tensor x = Tensor::empty(shape, f64);
  std::copy(values.begin(), values.end(), x.mutable_data<double>());
  return x;
}

Tensor target(const ExplainCommand& o, const Shape& outputs, const Rng& rng) {
  if (o.loss != "cross_entropy") return row("--target", o.target, outputs, rng);
  const std::vector<double> label =
      o.target.empty() ? std::vector<double>{0} : numbers("--target", o.target);
  if (label.size() != 1 || label[0] != std::floor(label[0]) || std::abs(label[0]) > 1e9) {
    throw ParseError("--target", "'" + o.target + "': cross_entropy wants the number of a class");
  }
  return Tensor(std::initializer_list<detail::Number>{label[0]}, i64);
}

/// What "0.weight:0,1" names: a parameter or "input", and one element or all.
struct Target {
  std::string name;
  std::optional<Shape> element;
};
Target target_of(const std::string& text) {
  const auto colon = text.find(':');
  Target t{text.substr(0, colon), {}};
  if (colon == std::string::npos) return t;
  Shape at;
  for (const double i : numbers("--of", text.substr(colon + 1))) {
    if (i != std::floor(i) || std::abs(i) > 1e15) {
      throw ParseError("--of", "'" + text + "': positions must be whole numbers, 0.weight:0,1");
    }
    at.push_back(static_cast<std::int64_t>(i));
  }
  t.element = at;
  return t;
}

Var find(const nn::Module& net, const Var& x, const std::string& name) {
  if (name == "input") return x;
  const Parameters all = net.parameters();
  if (name.empty() && !all.empty()) return all[0];
  for (const Parameter& p : all) {
    if (p.name() == name) return p;
  }
  std::string names = "input";
  for (const Parameter& p : all) names += ", " + p.name();
  throw ParseError("--of", "'" + name + "' is not one of " + names);
}

// The element, of the one sample where only its places in it are said.
Shape element_of(const Target& of, const Shape& shape) {
  Shape at = *of.element;
  if (of.name == "input" && at.rank() + 1 == shape.rank()) {
    at = Shape{0};
    for (const std::int64_t i : *of.element) at.push_back(i);
  }
  bool inside = at.rank() == shape.rank();
  for (int k = 0; inside && k < at.rank(); ++k) inside = at[k] >= 0 && at[k] < shape[k];
  if (inside) return at;
  throw ParseError("--of", fmt::format("{} is no element of '{}', whose shape is {}", at.str(),
                                       of.name, shape.str()));
}

// Before anything is written.
void check_output(const ExplainCommand& o, const Target& of, const Var& by) {
  if (!o.svg.empty() && (o.layers || !of.element)) {
    throw ParseError("--svg", "draws the paths to one element: write --of " +
                                  (of.name.empty() ? "0.weight" : of.name) +
                                  ":0,0, without --layers");
  }
  if (o.layers || of.element || by.value().size() <= kMostElements) return;
  throw ParseError("--of", std::to_string(by.value().size()) +
                               " elements: name one of them, as in " +
                               (of.name.empty() ? "0.weight" : of.name) +
                               ":0,0, or take --layers for all of them together");
}

std::string json_of(const std::vector<Explanation>& list) {
  std::string s = "[";
  for (std::size_t k = 0; k < list.size(); ++k) s += (k ? ",\n" : "") + list[k].json();
  return s + "]\n";
}

}  // namespace

void ExplainCommand::add_to(CLI::App& app) {
  app.add_option("--net", net,
                 "network text, or a file of it (default: " + std::string(kUsual) + ")");
  app.add_option("--weights", weights,
                 "what train --save (or --checkpoint) kept: not a fresh network");
  app.add_option("--loss", loss, nn::loss_names())->capture_default_str();
  app.add_option("--input", input, "numbers with commas (default: random)");
  app.add_option("--target", target,
                 "numbers with commas (default: random); of cross_entropy a class");
  app.add_option(
      "--of", of,
      "parameter and element, such as 0.weight:0,1, or input:0; without an element: all");
  app.add_option("--init", init, "initialiser of the weights");
  app.add_option("--paths", paths, "how many, strongest first")->capture_default_str();
  app.add_flag("--every-step", every_step, "each operation, not only layers");
  app.add_flag("--layers", layers, "whole layers instead of neurons, for large networks");
  app.add_option("--seed", seed)->capture_default_str();
  app.add_option("--json", json, "file for the paths");
  app.add_option("--svg", svg, "file for a drawing (with one element)");
  app.add_option("--dot", dot, "file for the tape, for Graphviz");
}

int explain(const ExplainCommand& o) {
  nn::TextOptions t;
  t.dense.dtype = f64;
  if (!o.init.empty()) t.dense.weight_init = nn::initializer(o.init);
  nn::TextNetwork n = o.weights.empty() ? nn::parse_network(network_text(o.net.value_or(kUsual)), t)
                                        : kept_network(o.weights, o.net, t);
  if (n.samples.size() != 1) throw ParseError("--net", "the network must have one input");
  const nn::NamedLoss loss = nn::loss(o.loss);
  const Rng rng(o.seed);
  if (o.weights.empty()) n.net.initialize(rng.split(1));
  n.net.eval();  // the network itself, without the noise of training
  Shape batch{1};
  for (const std::int64_t extent : n.samples[0]) batch.push_back(extent);
  const auto hooks = nn::label_outputs(n.net);
  Tape tape;
  const Var x = tape.variable(row("--input", o.input, batch, rng.split(2)), "input");
  const Var y = n.net(x);
  const Var cost = loss.f(y, target(o, y.shape(), rng.split(3)));
  tape.label(cost, "loss");
  Target of = target_of(o.of);
  const Var by = find(n.net, x, of.name);
  if (of.element) of.element = element_of(of, by.shape());
  check_output(o, of, by);
  const ExplainOptions options{.paths = o.paths, .every_step = o.every_step};
  if (!o.dot.empty()) plot::save(o.dot, tape.dot());
  if (o.layers) {
    const OperationExplanation e = explain_operations(cost, by, options);
    fmt::print("{}", e.str());
    if (!o.json.empty()) plot::save(o.json, e.json());
    return 0;
  }
  const std::vector<Explanation> list =
      of.element ? std::vector{xtape::explain(cost, by, *of.element, options)}
                 : explain_all(cost, by, options);
  for (const Explanation& e : list) fmt::print("{}", e.str());
  if (!o.json.empty()) plot::save(o.json, json_of(list));
  if (!o.svg.empty()) plot::save(o.svg, plot::explanation(list.front()));
  return 0;
}

}  // namespace xtape::tools
