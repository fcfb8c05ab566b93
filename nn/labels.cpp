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

// Tells the calls of one module on one tape apart: "", "#2", "#3", …
struct Calls {
  const Tape* tape = nullptr;
  std::uint32_t size = 0;  // of the tape, which grows: another may have its address
  int count = 0;
  std::string suffix(const Tape& now) {
    count = &now == tape && now.size() > size ? count + 1 : 1;
    tape = &now;
    size = now.size();
    return count == 1 ? "" : "#" + std::to_string(count);
  }
};

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
    hooks.push_back(m.add_forward_hook(
        [calls = Calls{}](const Module& layer, std::span<const Var>, const Var& out) mutable {
          if (Tape* tape = out.tape()) tape->label(out, label_of(layer) + calls.suffix(*tape));
        }));
  });
  return hooks;
}

}  // namespace xtape::nn
