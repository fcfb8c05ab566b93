#include <algorithm>
#include <iomanip>
#include <sstream>

#include <xtape/autodiff/error.hpp>
#include <xtape/nn/graph.hpp>
#include <xtape/nn/layers.hpp>

namespace xtape::nn {
namespace {

struct Row {
  std::string name, layer, shape, count;
};

// Columns are as wide as they look: continuation bytes of UTF-8 take no place.
std::size_t width(const std::string& s) {
  return static_cast<std::size_t>(
      std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string pad(const std::string& s, std::size_t to) {
  return s + std::string(to - std::min(to, width(s)), ' ');
}

// Shapes are shown without the batch axis.
std::string shown(const Shape& s) {
  return s.rank() == 0 ? s.str() : Shape(s.begin() + 1, s.end()).str();
}

Row row(const Module& m, const Shape& out) {
  return {m.path(), m.describe(), shown(out), std::to_string(m.parameter_count())};
}

// A row for each node, in the order in which they run.
void collect_nodes(const Graph& graph, std::vector<Spec>& specs, std::vector<Row>& rows) {
  std::vector<ForwardHook> hooks;
  for (const auto& c : graph.children()) {
    hooks.push_back(
        c.module->add_forward_hook([&](const Module& m, std::span<const Var>, const Var& y) {
          rows.push_back(row(m, y.shape()));
        }));
  }
  try {
    specs = {graph.output_spec(specs)};
  } catch (...) {
    for (ForwardHook& h : hooks) h.remove();
    throw;
  }
  for (ForwardHook& h : hooks) h.remove();
}

// `specs` are those of the inputs, then that of the output.
void collect(const Module& m, std::vector<Spec>& specs, std::vector<Row>& rows) {
  if (const auto* seq = dynamic_cast<const Sequential*>(&m)) {
    for (const auto& c : seq->children()) collect(*c.module, specs, rows);
  } else if (const auto* graph = dynamic_cast<const Graph*>(&m)) {
    collect_nodes(*graph, specs, rows);
  } else {
    specs = {m.output_spec(specs)};
    rows.push_back(row(m, specs[0].shape));
  }
}

void flatten(const Module& m, std::vector<const Module*>& out) {
  if (const auto* seq = dynamic_cast<const Sequential*>(&m)) {
    for (const auto& c : seq->children()) flatten(*c.module, out);
  } else {
    out.push_back(&m);
  }
}

void print_neurons(std::ostream& os, const Dense& d, const std::vector<std::string>& names,
                   const Tensor& signal) {
  const Tensor w = d.weight().value();
  for (std::int64_t k = 0; k < d.out_features(); ++k) {
    os << "  (" << k << ") " << names[static_cast<std::size_t>(k)] << "  signal " << signal.flat(k)
       << "  weights [";
    for (std::int64_t i = 0; i < d.in_features(); ++i) os << (i ? ", " : "") << w.at({k, i});
    os << "]";
    if (d.bias().defined()) os << "  bias " << d.bias().value().flat(k);
    os << '\n';
  }
}

}  // namespace

std::string summary(const Module& net, const Shape& input) {
  const Spec spec{input, net.input_dtype()};
  return summary(net, {&spec, 1});
}

std::string summary(const Module& net, std::span<const Spec> inputs) {
  std::vector<Row> rows{{"name", "layer", "output shape", "parameters"}};
  std::vector<Spec> specs;
  for (const Spec& input : inputs) {
    Spec spec{{2}, input.dtype};  // batch normalization needs more than one
    for (const std::int64_t extent : input.shape) spec.shape.push_back(extent);
    specs.push_back(spec);
    const std::string number = inputs.size() > 1 ? " " + std::to_string(specs.size()) : "";
    rows.push_back({"", "input" + number, input.shape.str(), ""});
  }
  collect(net, specs, rows);
  std::size_t w[4]{};
  for (const Row& r : rows) {
    const std::string* cells[] = {&r.name, &r.layer, &r.shape, &r.count};
    for (std::size_t i = 0; i < 4; ++i) w[i] = std::max(w[i], width(*cells[i]));
  }
  std::ostringstream os;
  for (const Row& r : rows) {
    os << pad(r.name, w[0]) << "  " << pad(r.layer, w[1]) << "  " << pad(r.shape, w[2]) << "  "
       << std::string(w[3] - width(r.count), ' ') << r.count << '\n';
  }
  os << "total: " << net.parameter_count() << " parameters\n";
  return os.str();
}

std::string print_network(const Module& net, const Tensor& x) {
  const std::shared_ptr<Module> shown = net.clone();  // running it may draw and build
  shown->eval();
  std::vector<const Module*> layers;
  flatten(*shown, layers);
  if (x.rank() == 0 || x.size() != x.shape()[x.rank() - 1]) {
    throw ShapeError("print_network",
                     "input of shape " + x.shape().str() +
                         ": shows one input at a time, [features] or [1, features]");
  }
  std::ostringstream os;
  os << std::setprecision(9);
  os << "Layer 0 (input)\n";
  for (std::int64_t i = 0; i < x.size(); ++i) os << "  (" << i << ")  signal " << x.flat(i) << '\n';
  Var signal = no_grad(x);
  int number = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    signal = (*layers[i])(signal);
    const auto* dense = dynamic_cast<const Dense*>(layers[i]);
    std::vector<std::string> names;
    if (const auto* neurons = dynamic_cast<const Neurons*>(layers[i])) {
      dense = &neurons->dense();
      for (const Activation& a : neurons->activations()) names.push_back(a.name());
    } else if (dense) {
      // The activation behind a dense layer is that of its neurons.
      std::string name = "identity";
      if (i + 1 < layers.size()) {
        if (const auto* a = dynamic_cast<const Activation*>(layers[i + 1])) {
          name = a->name();
          signal = (*layers[++i])(signal);
        }
      }
      names.assign(static_cast<std::size_t>(dense->out_features()), name);
    }
    os << "Layer " << ++number << " (" << layers[i]->describe() << ")\n";
    if (dense) print_neurons(os, *dense, names, signal.value());
  }
  return os.str();
}

}  // namespace xtape::nn
