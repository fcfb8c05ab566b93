#include <algorithm>
#include <cctype>
#include <tuple>

#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/lines.hpp>
#include <xtape/autodiff/ops/rules.hpp>
#include <xtape/autodiff/program/graph.hpp>
#include <xtape/nn/export.hpp>
#include <xtape/nn/export_parts.hpp>
#include <xtape/nn/labels.hpp>

// A network as C++ text: its forward pass is recorded for one sample, and each operation of the
// recording becomes a loop or a call of nn/export_runtime.hpp. That is smaller than a writer for
// each kind of layers, needs no look into them, and does modules of users and graphs, too. The
// price: the attributes of some ops had to be made known (autodiff/ops/attributes.hpp).
namespace xtape::nn {
namespace {

using program::Node;
using Kind = Node::Kind;
using Id = program::Id;
using kernels::volume;
using namespace detail;

// The recording, and for each node the layer it belongs to.
struct Trace {
  program::Graph graph;
  std::vector<std::pair<Id, std::string>> ends;  // last node of a layer, innermost first

  Trace(Module& net, const Shape& sample) {
    std::vector<ForwardHook> hooks;
    for_each_layer(net, [&](Module& m) {
      hooks.push_back(
          m.add_forward_hook([this](const Module& layer, std::span<const Var>, const Var& y) {
            if (y.tape()) ends.push_back({y.index(), layer.path()});
          }));
    });
    Shape batch{1};
    for (const std::int64_t extent : sample) batch.push_back(extent);
    program::Capture capture;
    const Var x = capture.input({batch, f32});
    Var y = net(x);
    graph = capture.finish({y});
    for (ForwardHook& h : hooks) h.remove();
  }
  std::string layer_of(Id i) const {
    for (const auto& [end, path] : ends) {
      if (i <= end) return path;
    }
    return "";
  }
};

class Writer {
 public:
  explicit Writer(const Trace& trace)
      : t_(trace), g_(trace.graph), names_(g_.nodes.size()), needed_(g_.nodes.size(), false) {
    needed_[g_.outputs[0]] = true;
    for (Id i = static_cast<Id>(g_.nodes.size()); i-- > 0;) {
      for (const Id from : g_.nodes[i].in) needed_[from] = needed_[from] || needed_[i];
    }
  }

  std::string str(const std::string& name) {
    for (Id i = 0; i < g_.nodes.size(); ++i) {
      if (!needed_[i]) continue;
      try {
        node(i);
      } catch (Error& e) {
        e.set_module(t_.layer_of(i));
        throw;
      }
    }
    const Node& out = g_.nodes[g_.outputs[0]];
    const std::int64_t in = g_.inputs[0].shape.size(), n = out.spec.shape.size();
    return header_head(name) + tables_ + "\ninline constexpr int kInputs = " + text(in) +
           ", kOutputs = " + text(n) + ", kWorkspace = " + text(std::max<std::int64_t>(used_, 1)) +
           ";\n\n// `workspace` has kWorkspace elements.\n"
           "inline void predict(const float* in, float* out, float* workspace) {\n"
           "  static_cast<void>(workspace);\n" +
           body_ + "  for (int i = 0; i < kOutputs; ++i) out[i] = " + names_[g_.outputs[0]] +
           "[i];\n}\ninline void predict(const float* in, float* out) {\n"
           "  std::vector<float> workspace(kWorkspace);\n"
           "  predict(in, out, workspace.data());\n}\n" +
           header_end(name);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw ValueError("export_predictor", why);
  }

  std::string new_table(const char* prefix) { return prefix + text(tables_made_++); }
  std::string floats(const Tensor& values) {
    const std::string name = new_table("w");
    const Tensor t = values.dtype() == boolean ? values.to(f32) : values;
    std::vector<std::string> words;
    for (const float v : t.span<float>()) words.push_back(f32_number(double{v}));
    tables_ += array("float", name, words);
    return name;
  }
  std::string integers(const std::vector<std::int64_t>& values) {
    const std::string name = new_table("t");
    std::vector<std::string> words;
    for (const std::int64_t v : values) words.push_back(text(v));
    tables_ += array("std::int32_t", name, words);
    return name;
  }

  void line(const std::string& s) { body_ += "  " + s + "\n"; }
  std::string fresh(Id i) {
    names_[i] = "v" + text(i);
    line("float* const v" + text(i) + " = workspace + " + text(used_) + ";");
    used_ += g_.nodes[i].spec.shape.size();
    return names_[i];
  }
  const Shape& shape(Id i) const { return g_.nodes[i].spec.shape; }
  const Op* op_of(Id i) const { return g_.nodes[i].kind == Kind::op ? g_.nodes[i].op : nullptr; }

  void node(Id i) {
    const Node& n = g_.nodes[i];
    switch (n.kind) {
      case Kind::input:
        names_[i] = "in";
        return;
      case Kind::parameter:
      case Kind::constant: {
        const Tensor& v = n.kind == Kind::constant ? n.constant : n.parameter.value();
        if (v.dtype() != f32 && v.dtype() != boolean) {
          throw DTypeError("export_predictor", std::string("a value of ") + xtape::name(v.dtype()) +
                                                   ": must be f32, write net.to(f32)");
        }
        if (n.kind == Kind::parameter && !all_finite(v)) {
          refuse(n.parameter.name() + " has elements that are not finite");
        }
        names_[i] = floats(v);
        return;
      }
      case Kind::op:
        return operation(i, n);
    }
  }

  void operation(Id i, const Node& n) {
    const std::string_view op = n.op->name;
    if (n.op->aliases) {
      names_[i] = names_[n.in[0]];
    } else if (expression_of(op)) {
      elementwise(i, n);
    } else if (op == "matmul") {
      matmul(i, n);
    } else if (op == "convolution") {
      convolution(i, n);
    } else if (op == "max_pool_indices") {
      // The gather that follows is the pooling.
    } else if (op == "gather") {
      max_pool(i, n);
    } else if (op == "map_axis") {
      map_axis(i, n);
    } else if (op == "softmax" || op == "log_softmax") {
      softmax(i, n);
    } else if (op == "standardize") {
      standardize(i, n);
    } else if (op == "transpose" || op == "slice" || op == "concat" || op == "broadcast_to") {
      move(i, n);
    } else {
      refuse("the operation " + std::string(op) + " cannot be exported");
    }
  }

  // An operand of an elementwise op: element i of the output reads this one.
  std::string element(Id from, const Shape& out) {
    const std::string& name = names_[from];
    const std::int64_t size = shape(from).size();
    if (size == out.size()) return name + "[i]";
    if (size == 1) return name + "[0]";
    const Tensor index =
        broadcast_to(no_grad(Tensor::arange(size, f64).reshape(shape(from))), out).value();
    std::vector<std::int64_t> at;
    for (const double v : index.span<double>()) at.push_back(static_cast<std::int64_t>(v));
    const std::int64_t inner = std::find(at.begin(), at.end(), 1) - at.begin();
    for (std::size_t k = 0; k < at.size(); ++k) {
      if (at[k] != static_cast<std::int64_t>(k) / inner % size) {
        return name + "[" + integers(at) + "[i]]";
      }
    }
    return name + "[i" + (inner > 1 ? " / " + text(inner) : "") + " % " + text(size) + "]";
  }

  void elementwise(Id i, const Node& n) {
    double numbers[3] = {};
    if (n.op->name == "clamp") {
      std::tie(numbers[0], numbers[1]) = bounds_of(n.attrs.get());
    } else if (n.attrs) {
      std::copy_n(get_attrs<rules::Params>(n.attrs.get()).p, 3, numbers);
    }
    std::string declared, expression;
    for (std::size_t k = 0; k < n.in.size(); ++k) {
      declared += "const float x" + text(static_cast<std::int64_t>(k)) + " = " +
                  element(n.in[k], n.spec.shape) + "; ";
    }
    for (const char* p = expression_of(n.op->name); *p; ++p) {
      if (*p == '$') {
        expression += std::string("x") + *++p;
      } else if (*p == '#') {
        expression += "(" + f32_number(numbers[*++p - '0']) + ")";
      } else {
        expression += *p;
      }
    }
    const std::string to = fresh(i);
    line("for (int i = 0; i < " + text(n.spec.shape.size()) + "; ++i) { " + declared + to +
         "[i] = " + expression + "; }");
  }

  void matmul(Id i, const Node& n) {
    const auto [ta, tb] = transposed_operands(n.attrs.get());
    const Shape &a = shape(n.in[0]), &b = shape(n.in[1]);
    if (a.rank() != 2 || b.rank() != 2 || ta || !tb) {
      refuse("a product of " + a.str() + " and " + b.str() +
             ": only x Wᵀ of matrices can be exported");
    }
    const std::int64_t m = a[0], k = a[1], rows = b[0];
    const std::string x = names_[n.in[0]], w = names_[n.in[1]], y = fresh(i);
    if (k == 1 && m * rows > 16) {
      line("for (int i = 0; i < " + text(m * rows) + "; ++i) " + y + "[i] = " + x + "[i / " +
           text(rows) + "] * " + w + "[i % " + text(rows) + "];");
    } else if (m * rows * k > 16 && (m == 1 || rows == 1)) {
      const bool row = m == 1;
      line("run::matrix_vector(" + (row ? w : x) + ", " + (row ? x : w) + ", " +
           text(row ? rows : m) + ", " + text(k) + ", " + y + ");");
    } else {
      // y is rows × m here, transposed.
      line("run::product(" + w + ", " + text(k) + ", " + text(rows) + ", " + text(m) + ", " +
           text(k) + ", false, [&](run::Index p, run::Index i) { return " + x + "[i * " + text(k) +
           " + p]; }, " + y + ", 1, " + text(rows) + ");");
    }
  }

  void convolution(Id i, const Node& n) {
    const kernels::Convolution& c = convolution_of(n.attrs.get());
    const std::int64_t taps = volume(c.windows.window);
    const std::string at = integers(tap_positions({c.windows, false})), y = fresh(i);
    // A window of one element is a product over all channels at once.
    if (c.windows.plain()) {
      for (std::int64_t g = 0; g < c.groups; ++g) {
        const std::int64_t plane = volume(c.windows.in);
        line("run::product(" + names_[n.in[1]] + " + " + text(g * c.outputs * c.inputs) + ", " +
             text(c.inputs) + ", " + text(c.outputs) + ", " + text(plane) + ", " + text(c.inputs) +
             ", false, [&](run::Index p, run::Index i) { return " + names_[n.in[0]] + "[(" +
             text(g * c.inputs) + " + p) * " + text(plane) + " + i]; }, " + y + " + " +
             text(g * c.outputs * plane) + ", " + text(plane) + ", 1);");
      }
      return;
    }
    line("run::convolution(" + names_[n.in[0]] + ", " + names_[n.in[1]] + ", " + at + ", " +
         text(c.groups) + ", " + text(c.inputs) + ", " + text(c.outputs) + ", " + text(taps) +
         ", " + text(volume(c.windows.out)) + ", " + text(volume(c.windows.in)) + ", " + y + ");");
  }

  // The gather by positions of largest elements is all that is known of gather.
  void max_pool(Id i, const Node& n) {
    const Id indices = g_.root(n.in[1]);
    const Op* op = op_of(indices);
    if (!op || op->name != "max_pool_indices" ||
        g_.root(g_.nodes[indices].in[0]) != g_.root(n.in[0])) {
      refuse("the operation gather cannot be exported but for max pooling");
    }
    const kernels::Pool& pool = pool_of(g_.nodes[indices].attrs.get());
    const kernels::Windows& w = pool.windows;
    const std::string at = integers(tap_positions(pool)), y = fresh(i);
    line("run::max_pool(" + names_[n.in[0]] + ", " + at + ", " +
         text(n.spec.shape.size() / volume(w.out)) + ", " + text(taps_of(pool)) + ", " +
         text(volume(w.out)) + ", " + text(volume(w.in)) + ", " + y + ");");
  }

  void map_axis(Id i, const Node& n) {
    const auto& [axis, map] = axis_map_of(n.attrs.get());
    std::int64_t outer = 1, inner = 1;
    for (int a = 0; a < axis; ++a) outer *= n.spec.shape[a];
    for (int a = axis + 1; a < n.spec.shape.rank(); ++a) inner *= n.spec.shape[a];
    const std::string first = integers({map.first.begin(), map.first.end()});
    const std::string position = integers({map.position.begin(), map.position.end()});
    const std::string weight = new_table("m");
    std::vector<std::string> words;
    for (const double v : map.weight) words.push_back(number(v));
    tables_ += array("double", weight, words);
    const std::string x = names_[n.in[0]], y = fresh(i);
    line("run::map_axis(" + x + ", " + first + ", " + position + ", " + weight + ", " +
         text(outer) + ", " + text(map.from) + ", " + text(map.to()) + ", " + text(inner) + ", " +
         y + ");");
  }

  void softmax(Id i, const Node& n) {
    const int axis = get_attrs<AxisAttrs>(n.attrs.get()).axis;
    std::int64_t inner = 1;
    for (int a = axis + 1; a < n.spec.shape.rank(); ++a) inner *= n.spec.shape[a];
    if (inner != 1) refuse(std::string(n.op->name) + " over another axis than the last");
    rows(i, n, n.spec.shape[axis], "run::softmax", n.op->name == "log_softmax" ? "true" : "false");
  }
  void rows(Id i, const Node& n, std::int64_t length, const std::string& call,
            const std::string& more) {
    const std::string x = names_[n.in[0]], y = fresh(i);
    line(call + "(" + x + ", " + text(n.spec.shape.size() / length) + ", " + text(length) + ", " +
         more + ", " + y + ");");
  }

  void standardize(Id i, const Node& n) {
    const Standardization s = standardization_of(n.attrs.get());
    std::int64_t length = 1;
    int expected = n.spec.shape.rank() - s.axes.rank();
    for (const std::int64_t a : s.axes) {
      if (a != expected++) refuse("normalization over other axes than the last ones");
      length *= n.spec.shape[static_cast<int>(a)];
    }
    rows(i, n, length, "run::standardize", number(s.eps) + (s.centred ? ", true" : ", false"));
  }

  // Ops that only move elements say by numbered ones where each goes.
  void move(Id i, const Node& n) {
    std::vector<Var> numbered;
    std::vector<const Var*> in;
    std::vector<std::int64_t> begin{0};
    for (const Id from : n.in) {
      const std::int64_t size = shape(from).size();
      numbered.push_back(no_grad(
          (no_grad(Tensor::arange(size, f64)) + begin.back()).value().reshape(shape(from))));
      begin.push_back(begin.back() + size);
    }
    for (const Var& v : numbered) in.push_back(&v);
    const Tensor moved = apply(*n.op, in, n.attrs).value();
    const std::string y = fresh(i);
    for (std::size_t k = 0; k < n.in.size(); ++k) {
      std::vector<std::int64_t> from, to;
      for (std::int64_t e = 0; e < moved.size(); ++e) {
        const auto source = static_cast<std::int64_t>(moved.flat(e));
        if (source < begin[k] || source >= begin[k + 1]) continue;
        from.push_back(source - begin[k]);
        to.push_back(e);
      }
      if (from.empty()) continue;
      const std::string a = integers(to), b = integers(from);
      line("for (int i = 0; i < " + text(static_cast<std::int64_t>(to.size())) + "; ++i) " + y +
           "[" + a + "[i]] = " + names_[n.in[k]] + "[" + b + "[i]];");
    }
  }

  const Trace& t_;
  const program::Graph& g_;
  std::vector<std::string> names_;
  std::vector<bool> needed_;
  std::string tables_, body_;
  std::int64_t used_ = 0, tables_made_ = 0;
};

void check_name(const std::string& name) {
  const auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) ||
      !std::all_of(name.begin(), name.end(), word)) {
    throw ValueError("export_predictor", "the name '" + name + "': must be a C++ identifier");
  }
}

}  // namespace

std::string export_predictor(const Module& net, const Shape& input_shape, const std::string& name) {
  check_name(name);
  const std::shared_ptr<Module> copy = net.clone();
  copy->eval();
  if (copy->input_dtype() != f32) {
    throw DTypeError("export_predictor", std::string("a network of ") +
                                             xtape::name(copy->input_dtype()) +
                                             ": must be f32, write net.to(f32)");
  }
  return Writer(Trace(*copy, input_shape)).str(name);
}

}  // namespace xtape::nn
