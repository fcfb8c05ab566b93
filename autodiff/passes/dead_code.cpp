#include <xtape/autodiff/passes/passes.hpp>

namespace xtape::passes {

using namespace program;

Graph dead_code(const Graph& g) {
  std::vector<bool> live(g.nodes.size());
  for (const Id i : g.outputs) live[i] = true;
  for (const Store& s : g.stores) live[s.value] = true;
  for (Id i = static_cast<Id>(g.nodes.size()); i-- > 0;) {
    // The arguments stay, used or not: they are counted by position.
    live[i] = live[i] || g.nodes[i].kind == Node::Kind::input;
    if (!live[i]) continue;
    for (const Id k : g.nodes[i].in) live[k] = true;
  }
  Graph out{.inputs = g.inputs, .nodes = {}, .outputs = g.outputs, .stores = g.stores};
  std::vector<Id> map(g.nodes.size(), kNone);
  for (Id i = 0; i < g.nodes.size(); ++i) {
    if (!live[i]) continue;
    map[i] = static_cast<Id>(out.nodes.size());
    out.nodes.push_back(g.nodes[i]);
    for (Id& k : out.nodes.back().in) k = map[k];
  }
  for (Id& i : out.outputs) i = map[i];
  for (Store& s : out.stores) s.value = map[s.value];
  return out;
}

}  // namespace xtape::passes
