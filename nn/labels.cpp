#include <cctype>
#include <unordered_set>

#include <xtape/nn/graph.hpp>
#include <xtape/nn/labels.hpp>

namespace xtape::nn {
namespace {

// "0" says nothing alone.
std::string label_of(const Module& m) {
  const std::string& path = m.path();
  if (!path.empty() && !std::isdigit(static_cast<unsigned char>(path[0]))) return path;
  const std::string kind = m.describe();
  return kind.substr(0, kind.find_first_of("(:, ")) + path;
}

void visit(Module& m, std::unordered_set<const Module*>& seen,
           const std::function<void(Module&)>& f) {
  if (!seen.insert(&m).second) return;
  for (const Module::Child& c : m.children()) visit(*c.module, seen, f);
  if (!dynamic_cast<const Sequential*>(&m) && !dynamic_cast<const Graph*>(&m)) f(m);
}

}  // namespace

void for_each_layer(Module& net, const std::function<void(Module&)>& f) {
  std::unordered_set<const Module*> seen;
  visit(net, seen, f);
}

std::vector<ForwardHook> label_outputs(Module& net) {
  std::vector<ForwardHook> hooks;
  for_each_layer(net, [&](Module& m) {
    hooks.push_back(
        m.add_forward_hook([](const Module& layer, std::span<const Var>, const Var& out) {
          if (Tape* tape = out.tape()) tape->label(out, label_of(layer));
        }));
  });
  return hooks;
}

}  // namespace xtape::nn
