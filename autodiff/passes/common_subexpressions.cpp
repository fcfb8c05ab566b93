#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>

#include <xtape/autodiff/passes/passes.hpp>

namespace xtape::passes {

using namespace program;

namespace {

// Larger constants are compared by identity only: a look at every element would cost more than it
// saves.
constexpr std::size_t kCompared = 4096;
// As many bytes tell constants apart.
constexpr std::size_t kHashed = 256;

bool same(const Node& a, const Node& b) {
  if (a.kind != b.kind || a.op != b.op || a.spec != b.spec || a.in != b.in) return false;
  if (a.kind == Node::Kind::parameter) return a.parameter == b.parameter;
  if (a.kind == Node::Kind::constant) {
    return a.constant.shares_memory_with(b.constant) ||
           (a.spec.nbytes() <= kCompared && identical(a.constant, b.constant));
  }
  if (a.kind == Node::Kind::input) return a.input == b.input;
  return a.attrs.get() == b.attrs.get() || (a.attrs && b.attrs && a.attrs->equals(*b.attrs));
}

std::size_t hash(const Node& n) {
  auto h = reinterpret_cast<std::size_t>(n.op) + static_cast<std::size_t>(n.kind);
  const auto mix = [&](std::size_t v) { h = (h ^ v) * 0x9E3779B97F4A7C15U + (h >> 29); };
  for (const Id i : n.in) mix(i);
  for (const std::int64_t d : n.spec.shape) mix(static_cast<std::size_t>(d));
  mix(static_cast<std::size_t>(n.spec.dtype));
  if (n.kind == Node::Kind::input) mix(n.input);
  if (n.kind == Node::Kind::parameter) mix(reinterpret_cast<std::size_t>(n.parameter.id()));
  if (n.kind == Node::Kind::constant) {
    const auto* bytes = static_cast<const char*>(n.constant.raw());
    mix(std::hash<std::string_view>()({bytes, std::min(n.spec.nbytes(), kHashed)}));
  }
  // Equal attributes are written alike. Who makes a check stands there, too, but does not matter.
  if (n.attrs && !n.op->checks) mix(std::hash<std::string>()(n.attrs->str()));
  return h;
}

}  // namespace

Graph common_subexpressions(const Graph& g) {
  Graph out = g;
  std::vector<Id> map(g.nodes.size());
  std::unordered_multimap<std::size_t, Id> seen;
  for (Id i = 0; i < out.nodes.size(); ++i) {
    map[i] = i;
    for (Id& k : out.nodes[i].in) k = map[k];
    const std::size_t h = hash(out.nodes[i]);
    const auto [first, last] = seen.equal_range(h);
    for (auto it = first; it != last; ++it) {
      if (same(out.nodes[it->second], out.nodes[i])) map[i] = it->second;
    }
    if (map[i] == i) seen.emplace(h, i);
  }
  for (Id& i : out.outputs) i = map[i];
  for (Store& s : out.stores) s.value = map[s.value];
  return dead_code(out);
}

}  // namespace xtape::passes
