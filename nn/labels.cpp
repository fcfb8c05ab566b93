#include <cctype>

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

void label_each(Module& m, std::vector<ForwardHook>& hooks) {
  for (const Module::Child& c : m.children()) label_each(*c.module, hooks);
  if (dynamic_cast<const Sequential*>(&m) || dynamic_cast<const Graph*>(&m)) return;
  hooks.push_back(m.add_forward_hook([](const Module& layer, std::span<const Var>, const Var& out) {
    if (Tape* tape = out.tape()) tape->label(out, label_of(layer));
  }));
}

}  // namespace

std::vector<ForwardHook> label_outputs(Module& net) {
  std::vector<ForwardHook> hooks;
  label_each(net, hooks);
  return hooks;
}

}  // namespace xtape::nn
