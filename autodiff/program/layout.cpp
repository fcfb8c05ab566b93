#include <algorithm>
#include <unordered_map>

#include <xtape/autodiff/program/executable.hpp>

namespace xtape::program {
namespace {

using Kind = Location::Kind;

class LayoutMaker {
 public:
  LayoutMaker(const Graph& g, const Units& units, bool in_place)
      : g_(g),
        units_(units),
        in_place_(in_place),
        end_(static_cast<std::uint32_t>(units.units.size())) {}

  Layout make() {
    out_.location.resize(g_.nodes.size());
    kept_.assign(g_.nodes.size(), false);
    taken_.assign(g_.nodes.size(), false);
    find_readers();
    place_leaves();
    place_outputs();
    for (const Store& s : g_.stores) place_store(s);
    for (std::uint32_t u = 0; u < end_; ++u) {
      find_dying(u);
      for (const Id m : units_.units[u].members) place(m, u);
    }
    return std::move(out_);
  }

 private:
  Location& at(Id root) { return out_.location[root]; }
  bool is_leaf(Id i) const { return g_.nodes[i].kind != Node::Kind::op; }

  // Which units read each value, and which values need memory that outlives their unit.
  void find_readers() {
    readers_.resize(g_.nodes.size());
    out_.external.assign(g_.nodes.size(), false);
    for (std::uint32_t u = 0; u < end_; ++u) {
      const Unit& unit = units_.units[u];
      for (const Id m : unit.members) {
        for (const Id in : g_.nodes[m].in) {
          const Id root = g_.root(in);
          if (readers_[root].empty() || readers_[root].back() != u) readers_[root].push_back(u);
          if (units_.unit_of[root] != u) out_.external[root] = true;
        }
        const bool alone = unit.kind == Unit::Kind::kernel || unit.kind == Unit::Kind::parts;
        if (alone) out_.external[m] = true;
        if (unit.kind == Unit::Kind::group && units_.form[m] == Form::end) out_.external[m] = true;
        if (unit.kind == Unit::Kind::check || g_.nodes[m].op->throws) last_throw_ = u;
      }
    }
    for (const Id i : g_.outputs) out_.external[g_.root(i)] = true;
    for (const Store& s : g_.stores) out_.external[g_.root(s.value)] = true;
  }

  std::size_t parameter_index(const Parameter& p) {
    const auto [it, fresh] = indices_.emplace(p.id(), out_.parameters.size());
    if (!fresh) return it->second;
    out_.parameters.push_back(p);
    out_.recorded.push_back(p.value().spec());
    out_.frozen.push_back(p.frozen());
    out_.stored.push_back(false);
    return out_.parameters.size() - 1;
  }

  void place_leaves() {
    for (Id i = 0; i < g_.nodes.size(); ++i) {
      const Node& n = g_.nodes[i];
      if (n.kind == Node::Kind::input) at(i) = {Kind::input, n.input};
      if (n.kind == Node::Kind::constant) at(i) = {Kind::constant, i};
      if (n.kind != Node::Kind::parameter) continue;
      at(i) = {Kind::parameter, parameter_index(n.parameter)};
      leaves_.emplace(n.parameter.id(), i);
    }
  }

  void place_outputs() {
    for (std::size_t k = 0; k < g_.outputs.size(); ++k) {
      const Id root = g_.root(g_.outputs[k]);
      const Location to{Kind::output, k};
      const std::size_t bytes = g_.nodes[root].spec.nbytes();
      if (is_leaf(root)) {
        out_.early.push_back({at(root), to, bytes});  // as it was before the run
      } else if (at(root).kind == Kind::none) {
        at(root) = to;
      } else {
        out_.late.push_back({at(root), to, bytes});
      }
    }
  }

  std::uint32_t last_reader(Id root) const {
    return readers_[root].empty() ? 0 : readers_[root].back();
  }

  void place_store(const Store& s) {
    const std::size_t p = parameter_index(s.target);
    const Id root = g_.root(s.value);
    const std::size_t bytes = g_.nodes[root].spec.nbytes();
    const Location to{Kind::parameter, p};
    out_.stored[p] = true;
    if (is_leaf(root)) {
      // Kept aside first: the leaf may be a parameter that changes, too.
      if (at(root).kind == Kind::parameter && at(root).index == p) return;
      const Location aside = new_block(bytes, 0, end_);
      out_.early.push_back({at(root), aside, bytes});
      out_.late.push_back({aside, to, bytes});
    } else if (at(root).kind == Kind::none && in_place_ && may_store(s, root)) {
      at(root) = to;
    } else {
      kept_[root] = true;
      pending_[root].push_back({to, bytes});
    }
  }

  // Whether the unit that makes the value may write it over the parameter: nothing that throws
  // comes later, nobody reads the old value later, and the unit itself reads it in step.
  bool may_store(const Store& s, Id root) const {
    const Id u = units_.unit_of[root];
    if (std::int64_t{u} <= last_throw_) return false;
    const auto [first, last] = leaves_.equal_range(s.target.id());
    for (auto it = first; it != last; ++it) {
      const Id leaf = it->second;
      if (last_reader(leaf) > u) return false;
      const bool reads = !readers_[leaf].empty() && last_reader(leaf) == u;
      if (reads && !may_overwrite(u, root, leaf)) return false;
    }
    return true;
  }

  bool may_overwrite(Id u, Id result, Id operand) const {
    const Unit& unit = units_.units[u];
    if (unit.kind == Unit::Kind::group) return can_overwrite(g_, units_, u, result, operand);
    const Node& n = g_.nodes[result];
    if (n.op->in_place < 0 || g_.nodes[operand].spec.nbytes() != n.spec.nbytes()) return false;
    for (std::size_t k = 0; k < n.in.size(); ++k) {
      const bool same = g_.root(n.in[k]) == operand;
      if (same != (static_cast<int>(k) == n.op->in_place)) return false;
    }
    return true;
  }

  Location new_block(std::size_t bytes, std::uint32_t first, std::uint32_t last) {
    out_.blocks.push_back({std::max<std::size_t>(bytes, 1), first, last});
    return {Kind::arena, out_.blocks.size() - 1};
  }

  // Memory for what unit u makes: that of an operand read for the last time, or a block.
  void place(Id m, std::uint32_t u) {
    if (out_.external[m] && at(m).kind == Kind::none && !g_.nodes[m].op->checks) {
      std::uint32_t last = std::max(last_reader(m), u);
      if (kept_[m]) last = end_;
      if (!reuse(m, u, last)) at(m) = new_block(g_.nodes[m].spec.nbytes(), u, last);
    }
    if (!kept_[m]) return;
    for (const Pending& p : pending_[m]) out_.late.push_back({at(m), p.to, p.bytes});
  }

  // What unit u reads for the last time, in the order of its operands: memory that may serve again.
  void find_dying(std::uint32_t u) {
    dying_.clear();
    if (!in_place_) return;
    for (const Id m : units_.units[u].members) {
      for (const Id in : g_.nodes[m].in) {
        const Id operand = g_.root(in);
        const Location l = at(operand);
        if (l.kind != Kind::arena || units_.unit_of[operand] == u || taken_[operand]) continue;
        if (out_.blocks[l.index].last != u || last_reader(operand) != u) continue;
        taken_[operand] = true;  // no other unit reads it
        dying_.push_back(operand);
      }
    }
  }

  bool reuse(Id result, std::uint32_t u, std::uint32_t last) {
    for (auto it = dying_.begin(); it != dying_.end(); ++it) {
      if (!may_overwrite(u, result, *it)) continue;
      at(result) = at(*it);
      out_.blocks[at(result).index].last = last;
      // Its memory is the result's from now on, also when both end with this unit.
      dying_.erase(it);
      return true;
    }
    return false;
  }

  struct Pending {
    Location to;
    std::size_t bytes;
  };

  const Graph& g_;
  const Units& units_;
  bool in_place_;
  std::uint32_t end_;
  std::int64_t last_throw_ = -1;
  Layout out_;
  std::vector<std::vector<std::uint32_t>> readers_;       // units, by root, in order
  std::unordered_map<const void*, std::size_t> indices_;  // of parameters
  std::unordered_multimap<const void*, Id> leaves_;       // by parameter
  std::vector<bool> kept_;                                // by root: read once more after all steps
  std::unordered_map<Id, std::vector<Pending>> pending_;  // by root
  std::vector<bool> taken_;                               // by root: was among the dying
  std::vector<Id> dying_;                                 // of the unit in turn
};

}  // namespace

Layout make_layout(const Graph& g, const Units& units, bool in_place) {
  return LayoutMaker(g, units, in_place).make();
}

}  // namespace xtape::program
