#include <algorithm>

#include <xtape/nn/export_writer.hpp>
#include <xtape/nn/graph.hpp>
#include <xtape/nn/labels.hpp>

// The recording that becomes a header, and what all families of ops are written with.
namespace xtape::nn::exporting {
namespace {

// The graph that gives several outputs, alone in the network, or null.
const Graph* graph_of(const Module& net) {
  if (const auto* graph = dynamic_cast<const Graph*>(&net)) return graph;
  const auto* layers = dynamic_cast<const Sequential*>(&net);
  return layers && layers->size() == 1 ? graph_of((*layers)[0]) : nullptr;
}

const Translation* translation_of(std::string_view op) {
  for (const auto family : {moving_ops(), product_ops(), reducing_ops()}) {
    for (const Translation& t : family) {
      if (t.op == op) return &t;
    }
  }
  return nullptr;
}

}  // namespace

Trace::Trace(Module& net, std::span<const Spec> inputs) {
  std::vector<ForwardHook> hooks;
  for_each_layer(net, [&](Module& m) {
    hooks.push_back(
        m.add_forward_hook([this](const Module& layer, std::span<const Var> in, const Var& y) {
          if (!y.tape()) return;
          Id begin = 0;
          for (const Var& x : in) begin = std::max(begin, x.tape() ? x.index() : 0);
          const std::string kind = layer.describe();
          calls.push_back({begin, y.index(), layer.path(), kind.substr(0, kind.find('\n'))});
        }));
  });
  program::Capture capture;
  std::vector<Var> xs;
  for (const Spec& s : inputs) xs.push_back(capture.input(s));
  const Graph* several = graph_of(net);
  graph =
      capture.finish(several ? several->run(xs) : std::vector<Var>{net(std::span<const Var>(xs))});
  for (ForwardHook& h : hooks) h.remove();
}

const Trace::Call* Trace::call_of(Id i) const {
  const auto it = std::find_if(calls.begin(), calls.end(),
                               [i](const Call& c) { return c.begin < i && i <= c.end; });
  return it == calls.end() ? nullptr : &*it;
}

Writer::Writer(const Trace& trace)
    : t_(trace), g_(trace.graph), names_(g_.nodes.size()), needed_(g_.nodes.size(), false) {
  for (const Id out : g_.outputs) needed_[out] = true;
  for (Id i = static_cast<Id>(g_.nodes.size()); i-- > 0;) {
    for (const Id from : g_.nodes[i].in) needed_[from] = needed_[from] || needed_[i];
  }
}

void Writer::write() {
  for (now_ = 0; now_ < g_.nodes.size(); ++now_) {
    if (!needed_[now_]) continue;
    try {
      node(now_);
    } catch (Error& e) {
      if (const Trace::Call* c = t_.call_of(now_)) e.set_module(c->path);
      throw;
    }
  }
}

std::string Writer::place() const {
  const Trace::Call* c = t_.call_of(now_);
  return c ? ", in " + c->kind : "";
}
void Writer::refuse(const std::string& why) const {
  throw ValueError("export_predictor", why + place());
}

std::string Writer::fresh(Id i) {
  names_[i] = "v" + text(i);
  line("float* const v" + text(i) + " = workspace + " + text(used_) + ";");
  used_ += shape(i).size();
  return names_[i];
}

void Writer::call(const std::string& function, const std::vector<std::string>& arguments) {
  std::string s;
  for (const std::string& a : arguments) s += (s.empty() ? "" : ", ") + a;
  line("run::" + function + "(" + s + ");");
}

std::string Writer::floats(const Tensor& values) {
  const std::string name = "w" + text(tables_made_++);
  const Tensor t = values.dtype() == boolean ? values.to(f32) : values;
  std::vector<std::string> words;
  for (const float v : t.span<float>()) words.push_back(f32_number(double{v}));
  tables_ += array("float", name, words);
  return name;
}
std::string Writer::doubles(std::span<const double> values) {
  const std::string name = "m" + text(tables_made_++);
  std::vector<std::string> words;
  for (const double v : values) words.push_back(number(v));
  tables_ += array("double", name, words);
  return name;
}
std::string Writer::integers(const std::vector<std::int64_t>& values, const char* type) {
  const std::string name = "t" + text(tables_made_++);
  std::vector<std::string> words;
  for (const std::int64_t v : values) words.push_back(text(v));
  tables_ += array(type, name, words);
  return name;
}

const Tensor& Writer::fixed(Id i) const {
  const Node& n = g_.nodes[g_.root(i)];
  if (n.kind == Node::Kind::constant) return n.constant;
  if (n.kind == Node::Kind::parameter) return n.parameter.value();
  refuse("a weight that depends on the input");
}

void Writer::node(Id i) {
  const Node& n = g_.nodes[i];
  switch (n.kind) {
    case Node::Kind::input:
      names_[i] = g_.inputs.size() == 1 ? "in" : "in" + text(static_cast<std::int64_t>(n.input));
      return;
    case Node::Kind::parameter:
      return leaf(i, n.parameter.value(), n.parameter.name());
    case Node::Kind::constant:
      return leaf(i, n.constant, "");
    case Node::Kind::op:
      return operation(i);
  }
}

void Writer::leaf(Id i, const Tensor& value, const std::string& parameter) {
  if (value.dtype() == i64) {
    const auto all = value.span<std::int64_t>();
    names_[i] = integers({all.begin(), all.end()}, "std::int64_t");
    return;
  }
  if (value.dtype() == f64) {
    throw DTypeError("export_predictor",
                     "a value of f64" + place() + ": must be f32, write " + "net.to(f32)");
  }
  if (!parameter.empty() && !all_finite(value)) {
    refuse(parameter + " has elements that are not finite");
  }
  names_[i] = floats(value);
}

void Writer::operation(Id i) {
  const Node& n = g_.nodes[i];
  if (n.op->aliases) return alias(i, n.in[0]);
  const std::string op(n.op->name);
  const Translation* t = translation_of(op);
  const bool own = find_op(op) != n.op;  // of a user, perhaps by a name that is taken
  if (own || (!t && !expression_of(op))) refuse("the operation " + op + " cannot be exported");
  for (std::size_t k = 0; k < n.in.size(); ++k) {
    const DType dtype = g_.nodes[n.in[k]].spec.dtype;
    const bool indices = k == 1 && (op == "embedding" || op == "gather" || op == "index_select");
    if (dtype == f32 || dtype == boolean || (dtype == i64 && indices)) continue;
    refuse("the operation " + op + " of " + xtape::name(dtype) + " cannot be exported");
  }
  if (t) return t->write(*this, i, n);
  write_elementwise(*this, i, n);
}

}  // namespace xtape::nn::exporting
