#include <algorithm>
#include <cctype>
#include <iterator>
#include <string_view>

#include <xtape/nn/export.hpp>
#include <xtape/nn/export_writer.hpp>
#include <xtape/nn/graph.hpp>

// A network as C++ text: its forward pass is recorded for one sample, and each operation of the
// recording becomes a loop or a call of nn/export_runtime.hpp. That is smaller than a writer for
// each kind of layers, needs no look into them, and does modules of users and graphs, too. The
// price: the attributes of some ops had to be made known (autodiff/ops/attributes.hpp).
namespace xtape::nn {
namespace {

using namespace exporting;

// What goes in or comes out: in C++, as a pointer, and how many elements.
struct Port {
  std::string name;
  Spec sample;
  bool in;
  std::string declared() const {
    const char* type = sample.dtype == i64 ? "std::int64_t" : "float";
    return std::string(in ? "const " : "") + type + "* " + name;
  }
  std::string size() const { return text(sample.shape.size()); }
};

std::vector<Port> ports_of(const std::vector<Spec>& batches, bool in) {
  std::vector<Port> out;
  for (const Spec& s : batches) {
    const std::string number = batches.size() == 1 ? "" : std::to_string(out.size());
    out.push_back({(in ? "in" : "out") + number, s, in});
  }
  return out;
}

// "kInputs = 3", or "kInputs[] = {3, 4}".
std::string sizes(const char* name, const std::vector<Port>& ports) {
  if (ports.size() == 1) return name + (" = " + ports[0].size());
  std::string s;
  for (const Port& p : ports) s += (s.empty() ? "" : ", ") + p.size();
  return name + ("[] = {" + s + "}");
}

// The functions of a header, and the constants that they go with.
std::string functions(const Writer& w, const std::vector<Port>& in, const std::vector<Port>& out) {
  std::string parameters, arguments, samples, comment, copies;
  std::vector<Port> all = in;
  all.insert(all.end(), out.begin(), out.end());
  for (const Port& p : all) {
    parameters += p.declared() + ", ";
    arguments += p.name + ", ";
    samples += p.name + " + k * " + p.size() + ", ";
    comment += "// " + p.name + ": " + p.sample.shape.str() + " " + xtape::name(p.sample.dtype) +
               ", the batch axis in front.\n";
  }
  for (std::size_t k = 0; k < out.size(); ++k) {
    copies += "  for (int i = 0; i < " + out[k].size() + "; ++i) " + out[k].name +
              "[i] = " + w.name(w.graph().outputs[k]) + "[i];\n";
  }
  const std::string without = parameters.substr(0, parameters.size() - 2);
  return "\ninline constexpr int " + sizes("kInputs", in) + ", " + sizes("kOutputs", out) +
         ", kWorkspace = " + text(std::max<std::int64_t>(w.used(), 1)) + ";\n\n" + comment +
         "// `workspace` has kWorkspace elements.\ninline void predict(" + parameters +
         "float* workspace) {\n  static_cast<void>(workspace);\n" + w.body() + copies +
         "}\ninline void predict(" + without +
         ") {\n  std::vector<float> workspace(kWorkspace);\n  predict(" + arguments +
         "workspace.data());\n}\n// n samples, one behind the other.\n"
         "inline void predict_batch(std::int64_t n, " +
         parameters +
         "float* workspace) {\n  for (std::int64_t k = 0; k < n; ++k) {\n    predict(" + samples +
         "workspace);\n  }\n}\n";
}

// What looks like an identifier and cannot name a namespace of users.
constexpr std::string_view kTaken[] = {"alignas",       "alignof",      "and",
                                       "and_eq",        "asm",          "auto",
                                       "bitand",        "bitor",        "bool",
                                       "break",         "case",         "catch",
                                       "char",          "char8_t",      "char16_t",
                                       "char32_t",      "class",        "co_await",
                                       "co_return",     "co_yield",     "compl",
                                       "concept",       "const",        "consteval",
                                       "constexpr",     "constinit",    "const_cast",
                                       "continue",      "decltype",     "default",
                                       "delete",        "do",           "double",
                                       "dynamic_cast",  "else",         "enum",
                                       "explicit",      "export",       "extern",
                                       "false",         "float",        "for",
                                       "friend",        "goto",         "if",
                                       "inline",        "int",          "long",
                                       "mutable",       "namespace",    "new",
                                       "noexcept",      "not",          "not_eq",
                                       "nullptr",       "operator",     "or",
                                       "or_eq",         "private",      "protected",
                                       "public",        "register",     "reinterpret_cast",
                                       "requires",      "return",       "short",
                                       "signed",        "sizeof",       "static",
                                       "static_assert", "static_cast",  "std",
                                       "struct",        "switch",       "template",
                                       "this",          "thread_local", "throw",
                                       "true",          "try",          "typedef",
                                       "typeid",        "typename",     "union",
                                       "unsigned",      "using",        "virtual",
                                       "void",          "volatile",     "wchar_t",
                                       "while",         "xor",          "xor_eq"};

void check_name(const std::string& name) {
  const auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) ||
      !std::all_of(name.begin(), name.end(), word) ||
      std::find(std::begin(kTaken), std::end(kTaken), name) != std::end(kTaken)) {
    throw ValueError("export_predictor", "the name '" + name + "': must be a C++ identifier");
  }
}

// What the network takes as input k: in a Sequential, its first layer does.
DType dtype_of(const Module& net, std::size_t k) {
  const auto* graph = dynamic_cast<const Graph*>(&net);
  if (graph && k < graph->inputs().size()) return graph->input_dtype(k);
  const auto* layers = dynamic_cast<const Sequential*>(&net);
  const bool inside = layers && layers->size() > 0 && dynamic_cast<const Graph*>(&(*layers)[0]);
  return inside ? dtype_of((*layers)[0], k) : net.input_dtype();
}

// Samples as batches of one.
std::vector<Spec> batches_of(std::span<const Spec> samples) {
  std::vector<Spec> out;
  for (const Spec& s : samples) {
    if (s.dtype != f32 && s.dtype != i64) {
      throw DTypeError("export_predictor", std::string("an input of ") + xtape::name(s.dtype) +
                                               ": must be f32 (write net.to(f32)) or i64");
    }
    if (s.shape.size() == 0) {
      throw ShapeError("export_predictor", "a sample of shape " + s.shape.str() + ": no elements");
    }
    Shape batch{1};
    for (const std::int64_t extent : s.shape) batch.push_back(extent);
    out.push_back({batch, s.dtype});
  }
  if (out.empty()) throw ValueError("export_predictor", "no inputs: give one sample or more");
  return out;
}

std::vector<Spec> outputs_of(const program::Graph& g) {
  std::vector<Spec> out;
  for (const Id i : g.outputs) {
    out.push_back(g.nodes[i].spec);
    if (out.back().dtype == f32) continue;
    throw DTypeError("export_predictor", std::string("an output of ") +
                                             xtape::name(out.back().dtype) + ": must be f32");
  }
  return out;
}

}  // namespace

std::string export_predictor(const Module& net, std::span<const Spec> samples,
                             const std::string& name) {
  check_name(name);
  const std::vector<Spec> batches = batches_of(samples);
  const std::shared_ptr<Module> copy = net.clone();
  copy->eval();
  const Trace trace(*copy, batches);
  const std::vector<Spec> outputs = outputs_of(trace.graph);
  Writer w(trace);
  w.write();
  return header_head(name) + w.tables() +
         functions(w, ports_of(batches, true), ports_of(outputs, false)) + header_end(name);
}

std::string export_predictor(const Module& net, std::span<const Shape> samples,
                             const std::string& name) {
  std::vector<Spec> specs;
  for (const Shape& s : samples) specs.push_back({s, dtype_of(net, specs.size())});
  return export_predictor(net, std::span<const Spec>(specs), name);
}

std::string export_predictor(const Module& net, const Shape& sample, const std::string& name) {
  return export_predictor(net, std::span(&sample, 1), name);
}

}  // namespace xtape::nn
