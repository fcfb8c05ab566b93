#include <algorithm>
#include <cctype>

#include <xtape/nn/graph.hpp>

namespace xtape::nn {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string s;
  for (const std::string& w : words) s += (s.empty() ? "" : ", ") + w;
  return s;
}

}  // namespace

void Graph::check_name(const std::string& name) const {
  const auto letter = [](char c) {
    return c == '_' || std::isalnum(static_cast<unsigned char>(c));
  };
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) ||
      !std::all_of(name.begin(), name.end(), letter)) {
    throw ValueError("Graph",
                     "'" + name + "' is no name: a letter or _, then letters, digits and _");
  }
  if (name == "output") {
    throw ValueError("Graph", "'output' is no name: texts say by it what the outputs are");
  }
  const bool taken =
      std::find(inputs_.begin(), inputs_.end(), name) != inputs_.end() ||
      std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& n) { return n.name == name; });
  if (taken) throw ValueError("Graph", "there is a '" + name + "' already");
}

Graph& Graph::input(const std::string& name) {
  check_name(name);
  inputs_.push_back(name);
  input_words_.emplace_back("input");
  plan_.reset();
  return *this;
}

Graph& Graph::add(const std::string& name, std::shared_ptr<Module> module,
                  const std::vector<std::string>& inputs, std::string word) {
  check_name(name);
  if (inputs.empty()) throw ValueError("Graph", "node '" + name + "' has no inputs");
  const auto same = [&](const Child& c) { return c.module == module; };
  const auto it = std::find_if(children().begin(), children().end(), same);
  const auto child = static_cast<std::size_t>(it - children().begin());
  if (child == children().size()) add_child(name, std::move(module));
  nodes_.push_back({name, child, inputs, std::move(word)});
  plan_.reset();
  return *this;
}

Graph& Graph::output(const std::string& name) {
  if (std::find(outputs_.begin(), outputs_.end(), name) != outputs_.end()) {
    throw ValueError("Graph", "'" + name + "' is an output already");
  }
  outputs_.push_back(name);
  plan_.reset();
  return *this;
}

const std::string& Graph::name_of(std::size_t value) const {
  return value < inputs_.size() ? inputs_[value] : nodes_[value - inputs_.size()].name;
}

// The value of that name.
std::size_t Graph::find(const std::string& name, const std::string& user) const {
  std::vector<std::string> known;
  for (std::size_t v = 0; v < inputs_.size() + nodes_.size(); ++v) {
    if (name_of(v) == name) return v;
    known.push_back(name_of(v));
  }
  throw ValueError("Graph", user + " needs '" + name + "', which is not one of " + joined(known));
}

// Depth first, without recursion: a node is done behind its inputs, and one that is met again while
// it waits for them is on a cycle.
void Graph::sort(Plan& p) const {
  enum class Mark : std::uint8_t { fresh, waiting, done };
  const std::size_t first = inputs_.size();
  std::vector<Mark> marks(nodes_.size(), Mark::fresh);
  std::vector<std::pair<std::size_t, std::size_t>> path;  // node, operands looked at
  for (std::size_t start = 0; start < nodes_.size(); ++start) {
    if (marks[start] == Mark::fresh) path.emplace_back(start, 0);
    while (!path.empty()) {
      auto& [n, at] = path.back();
      marks[n] = Mark::waiting;
      if (at == p.operands[n].size()) {
        marks[n] = Mark::done;
        p.order.push_back(n);
        path.pop_back();
        continue;
      }
      const std::size_t value = p.operands[n][at++];
      if (value < first || marks[value - first] == Mark::done) continue;
      const std::size_t next = value - first;
      if (marks[next] == Mark::waiting) {
        std::string cycle = nodes_[next].name;
        for (std::size_t i = path.size(); i-- > 0;) {
          cycle = nodes_[path[i].first].name + " → " + cycle;
          if (path[i].first == next) break;
        }
        throw ValueError("Graph", "a cycle, each needed by the one before: " + cycle);
      }
      path.emplace_back(next, 0);
    }
  }
}

void Graph::refuse_unused(const Plan& p) const {
  const std::size_t first = inputs_.size();
  std::vector<bool> needed(first + nodes_.size(), false);
  for (const std::size_t v : p.outputs) needed[v] = true;
  for (std::size_t i = p.order.size(); i-- > 0;) {
    const std::size_t n = p.order[i];
    if (!needed[first + n]) continue;
    for (const std::size_t v : p.operands[n]) needed[v] = true;
  }
  for (std::size_t v = 0; v < needed.size(); ++v) {
    if (needed[v]) continue;
    throw ValueError("Graph", std::string(v < first ? "input" : "node") + " '" + name_of(v) +
                                  "' is not used: no output needs it");
  }
}

Graph::Plan Graph::plan() const {
  Plan p;
  if (outputs_.empty()) throw ValueError("Graph", "there is no output");
  for (const Node& n : nodes_) {
    p.operands.emplace_back();
    for (const std::string& in : n.inputs) {
      p.operands.back().push_back(find(in, "node '" + n.name + "'"));
    }
  }
  for (const std::string& out : outputs_) p.outputs.push_back(find(out, "the list of outputs"));
  sort(p);
  refuse_unused(p);
  return p;
}

void Graph::check() const {
  if (!plan_) plan_ = std::make_shared<Plan>(plan());
}

std::vector<Var> Graph::run(std::span<const Var> xs) const {
  return located([&] {
    check();
    if (xs.size() != inputs_.size()) {
      throw ValueError("Graph", std::to_string(xs.size()) + " inputs: it takes " +
                                    std::to_string(inputs_.size()) + " (" + joined(inputs_) + ")");
    }
    std::vector<Var> values(xs.begin(), xs.end());
    values.resize(inputs_.size() + nodes_.size());
    std::vector<Var> in;
    for (const std::size_t n : plan_->order) {
      in.clear();
      for (const std::size_t v : plan_->operands[n]) in.push_back(values[v]);
      values[inputs_.size() + n] = (*children()[nodes_[n].child].module)(std::span<const Var>(in));
    }
    std::vector<Var> out;
    for (const std::size_t v : plan_->outputs) out.push_back(values[v]);
    if (out.size() > 1) call_hooks(xs, out[0]);  // of one, operator() calls them
    return out;
  });
}

Var Graph::forward_all(std::span<const Var> xs) const {
  if (outputs_.size() > 1) {
    throw ValueError("Graph", std::to_string(outputs_.size()) + " outputs (" + joined(outputs_) +
                                  "): call run(), which gives all of them");
  }
  return run(xs)[0];
}

DType Graph::input_dtype() const {
  return inputs_.empty() ? Module::input_dtype() : input_dtype(0);
}

DType Graph::input_dtype(std::size_t k) const {
  const std::string& name = inputs_.at(k);
  for (const Node& n : nodes_) {
    if (std::find(n.inputs.begin(), n.inputs.end(), name) == n.inputs.end()) continue;
    return children()[n.child].module->input_dtype();
  }
  return Module::input_dtype();
}

std::shared_ptr<Module> Graph::node(const std::string& name) const {
  const std::size_t v = find(name, "node()");
  if (v < inputs_.size()) throw ValueError("Graph", "'" + name + "' is an input");
  return children()[nodes_[v - inputs_.size()].child].module;
}

std::string Graph::describe() const {
  std::string s;
  for (std::size_t k = 0; k < inputs_.size(); ++k) s += inputs_[k] + " = " + input_words_[k] + "\n";
  std::vector<bool> seen(children().size(), false);
  for (const Node& n : nodes_) {
    const Child& c = children()[n.child];
    const std::string own = n.word.empty() ? c.module->describe() : n.word;
    s +=
        n.name + " = " + (seen[n.child] ? "same:" + c.name : own) + " (" + joined(n.inputs) + ")\n";
    seen[n.child] = true;
  }
  return s + "output (" + joined(outputs_) + ")";
}

}  // namespace xtape::nn
