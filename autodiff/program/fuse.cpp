#include <algorithm>
#include <numeric>
#include <utility>

#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/autodiff/program/units.hpp>

namespace xtape::program {

Pattern pattern_of(const Shape& operand, const Shape& result) {
  using Kind = Pattern::Kind;
  const std::int64_t size = operand.size(), n = result.size();
  if (size == n) return {Kind::full};
  if (size == 1) return {Kind::scalar};
  // Walks from the last axis: extents that agree, then ones; or ones, then extents that agree.
  const int shift = result.rank() - operand.rank();
  const auto extent = [&](int i) { return i < shift ? 1 : operand[i - shift]; };
  int i = result.rank();
  std::int64_t repeats = 1;
  while (i > 0 && extent(i - 1) == 1) repeats *= result[--i];
  while (i > 0 && extent(i - 1) == result[i - 1]) --i;
  bool front = true;
  for (int k = 0; k < i; ++k) front &= result[k] == 1;
  if (repeats > 1) return front ? Pattern{Kind::column, n / size} : Pattern{Kind::other};
  for (int k = 0; k < i; ++k) {
    if (extent(k) != 1) return {Kind::other};
  }
  return {Kind::tile, size};
}

Direction direction_of(const Node& n, const Shape& operand) {
  const Axes axes = n.op->reduced_axes(n.attrs.get());
  const std::int64_t size = operand.size(), results = n.spec.shape.size();
  if (size == 0) return {Form::full};
  const auto goes = [&](int i) { return std::find(axes.begin(), axes.end(), i) != axes.end(); };
  if (results == 1) {
    // The only row of several axes stays a row, so that more can be done with it in the group.
    const bool row = axes.rank() < operand.rank() && goes(operand.rank() - 1) && size <= kMaxRow;
    return row ? Direction{Form::row, size} : Direction{Form::end, 1};
  }
  int changes = 0;
  bool first = false, last = false, any = false;
  for (int i = 0; i < operand.rank(); ++i) {
    if (operand[i] == 1) continue;
    if (!any) first = goes(i);
    changes += any && goes(i) != last;
    last = goes(i);
    any = true;
  }
  if (changes != 1) return {Form::full};
  return first ? Direction{Form::end, results} : Direction{Form::row, size / results};
}

namespace {

struct Space {
  std::int64_t n, cols;
  bool rows;
  bool set_cols(std::int64_t c) {
    if (cols != 0 && cols != c) return false;
    cols = c;
    return true;
  }
  bool use_rows() {
    rows = true;
    return cols != 0 && cols <= kMaxRow;
  }
};

// Joins each op to the group of what it reads, as long as no way leads out of a group and back.
class Fuser {
 public:
  Fuser(const Graph& g, bool fuse) : g_(g), fuse_(fuse) {
    out_.unit_of.assign(g.nodes.size(), kNone);
    out_.form.assign(g.nodes.size(), Form::full);
    clear_.resize(g.nodes.size());
    std::iota(clear_.begin(), clear_.end(), Id{0});
  }

  Units run() {
    for (Id i = 0; i < g_.nodes.size(); ++i) {
      const Node& n = g_.nodes[i];
      if (n.kind != Node::Kind::op || (n.op->aliases && !n.op->checks)) continue;
      if (!groupable(n) || !join(i)) begin(i);
    }
    std::erase_if(out_.units, [](const Unit& u) { return u.members.empty(); });
    for (Id u = 0; u < out_.units.size(); ++u) {
      for (const Id i : out_.units[u].members) out_.unit_of[i] = u;
    }
    schedule(g_, out_);
    find_chains(g_, out_, fuse_);
    return std::move(out_);
  }

 private:
  // A path longer than this counts as one that comes back.
  static constexpr int kMaxVisits = 4000;
  static constexpr std::size_t kMaxMerged = 512;  // each merge looks at every member again

  static constexpr std::size_t kSmallPart = 1024;  // bytes that take less time than a step

  bool is_part(const Node& n) const {
    return fuse_ && n.op == &slice_ && n.spec.nbytes() <= kSmallPart && n.spec.nbytes() > 0 &&
           contiguous_part_of(n.attrs.get());
  }
  static bool groupable(const Node& n) {
    return (n.op->block && n.op->arity <= 3) || n.op->reducer;
  }
  std::int64_t size(Id i) const { return g_.nodes[i].spec.shape.size(); }

  void begin(Id i) {
    const Node& n = g_.nodes[i];
    Unit u;
    u.members = {i};
    u.kind = n.op->checks ? Unit::Kind::check : is_part(n) ? Unit::Kind::parts : Unit::Kind::kernel;
    if (groupable(n)) {
      Space s{n.op->block ? size(i) : size(n.in[0]), 0, false};
      if (fits(i, s, kNone)) {
        u.kind = Unit::Kind::group;
        u.n = s.n;
        u.cols = s.cols;
        u.rows = s.rows;
      }
    }
    out_.unit_of[i] = static_cast<Id>(out_.units.size());
    out_.units.push_back(std::move(u));
  }

  bool join(Id i) {
    if (!fuse_) return false;
    std::vector<Id> candidates;
    for (const Id in : g_.nodes[i].in) {
      const Id u = out_.unit_of[g_.root(in)];
      if (u != kNone && out_.units[u].kind == Unit::Kind::group) candidates.push_back(u);
    }
    std::sort(candidates.begin(), candidates.end(), std::greater<>());
    candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
    for (const Id u : candidates) {
      Unit& unit = out_.units[u];
      Space s{unit.n, unit.cols, unit.rows};
      if (!fits(i, s, u) || comes_back(i, u)) continue;
      unit.cols = s.cols;
      unit.rows = s.rows;
      unit.members.push_back(i);
      out_.unit_of[i] = u;
      note_span(u);
      for (const Id other : candidates) {
        if (other != u) merge(u, other);
      }
      return true;
    }
    return false;
  }

  // Whether node i can be computed in unit u's space, and in what form.
  bool fits(Id i, Space& s, Id u) {
    const Node& n = g_.nodes[i];
    if (s.n == 0) return false;
    if (n.op->reducer) return fits_reduction(i, s, u);
    const std::int64_t m = size(i);
    const Form form = m == s.n ? Form::full : Form::row;
    if (form == Form::row && (s.cols == 0 || m * s.cols != s.n || !s.use_rows())) return false;
    for (const Id in : n.in) {
      if (!reads(in, n.spec.shape, form, s, u)) return false;
    }
    out_.form[i] = form;
    return true;
  }

  bool reads(Id in, const Shape& result, Form form, Space& s, Id u) {
    const Id root = g_.root(in);
    const bool inside = u != kNone && out_.unit_of[root] == u;
    const Pattern p = pattern_of(g_.nodes[in].spec.shape, result);
    switch (p.kind) {
      case Pattern::Kind::full:
        return !inside || out_.form[root] == form;
      case Pattern::Kind::scalar:
        return !inside;
      case Pattern::Kind::tile:
        return !inside && form == Form::full && s.set_cols(p.cols);
      case Pattern::Kind::column:
        if (form != Form::full || !s.set_cols(p.cols)) return false;
        return !inside || (out_.form[root] == Form::row && s.use_rows());
      case Pattern::Kind::other:
        break;
    }
    return false;
  }

  bool fits_reduction(Id i, Space& s, Id u) {
    const Node& n = g_.nodes[i];
    const Id root = g_.root(n.in[0]);
    if (size(n.in[0]) != s.n) return false;
    if (u != kNone && out_.unit_of[root] == u && out_.form[root] != Form::full) return false;
    const Direction d = direction_of(n, g_.nodes[n.in[0]].spec.shape);
    if (d.form == Form::full) return false;
    if (d.form == Form::row && !(s.set_cols(d.cols) && s.use_rows())) return false;
    if (d.form == Form::end && d.cols != 1 && !s.set_cols(d.cols)) return false;
    out_.form[i] = d.form;
    return true;
  }

  // Whether a way leads from unit u through another unit to node i.
  bool comes_back(Id i, Id u) {
    std::vector<Id> todo;
    for (const Id in : g_.nodes[i].in) dependencies(g_, out_.unit_of, in, todo);
    std::erase(todo, u);
    return reaches(u, std::move(todo));
  }

  // Whether some unit of `todo` depends on unit `from`.
  bool reaches(Id from, std::vector<Id> todo) {
    // What ends before a node that no unit straddles depends on nothing that begins with it or
    // later: a way there would have to lead through a unit that is older and younger than the node.
    const Id first = clear_until(out_.units[from].members.front());
    visited_.resize(out_.units.size(), 0);
    ++visit_;
    int visits = 0;
    while (!todo.empty()) {
      const Id u = todo.back();
      todo.pop_back();
      if (u == from) return true;
      if (visited_[u] == visit_ || last_of(u) < first) continue;
      visited_[u] = visit_;
      if (++visits > kMaxVisits) return true;
      for (const Id m : out_.units[u].members) {
        for (const Id in : g_.nodes[m].in) dependencies(g_, out_.unit_of, in, todo);
      }
    }
    return false;
  }
  // The last node up to i that no unit straddles, which is to have a member before it and to end
  // with it or later.
  Id clear_until(Id i) {
    Id root = i;
    while (clear_[root] != root) root = clear_[root];
    while (clear_[i] != root) i = std::exchange(clear_[i], root);
    return root;
  }
  // Units only grow, so that each node is straddled for good from some time on.
  void note_span(Id u) {
    const std::vector<Id>& m = out_.units[u].members;
    for (Id i = clear_until(m.back()); i > m.front(); i = clear_until(i)) clear_[i] = i - 1;
  }
  Id last_of(Id u) const { return out_.units[u].members.back(); }

  // Everything outside of unit u that it reads.
  std::vector<Id> inputs_of(Id u, Id without) {
    std::vector<Id> out;
    for (const Id m : out_.units[u].members) {
      for (const Id in : g_.nodes[m].in) dependencies(g_, out_.unit_of, in, out);
    }
    std::erase_if(out, [&](Id k) { return k == u || k == without; });
    return out;
  }

  void merge(Id u, Id other) {
    Unit &a = out_.units[u], &b = out_.units[other];
    if (a.n != b.n || a.members.size() + b.members.size() > kMaxMerged) return;
    if (reaches(u, inputs_of(other, u)) || reaches(other, inputs_of(u, other))) return;
    Unit all = a;
    all.members.insert(all.members.end(), b.members.begin(), b.members.end());
    std::sort(all.members.begin(), all.members.end());
    std::vector<Form> forms;
    for (const Id m : all.members) {
      forms.push_back(out_.form[m]);
      out_.unit_of[m] = u;
    }
    Space s{a.n, 0, false};
    const bool fit =
        std::all_of(all.members.begin(), all.members.end(), [&](Id m) { return fits(m, s, u); });
    if (!fit) {
      for (const Id m : b.members) out_.unit_of[m] = other;
      for (std::size_t k = 0; k < forms.size(); ++k) out_.form[all.members[k]] = forms[k];
      return;
    }
    all.cols = s.cols;
    all.rows = s.rows;
    a = std::move(all);
    b.members.clear();
    note_span(u);
  }

  const Graph& g_;
  bool fuse_;
  const Op& slice_ = *find_op("slice");
  Units out_;
  std::vector<Id> clear_;  // by node: itself, or where to look on for one that is not straddled
  std::vector<std::uint32_t> visited_;
  std::uint32_t visit_ = 0;
};

}  // namespace

Units make_units(const Graph& g, bool fuse) { return Fuser(g, fuse).run(); }

}  // namespace xtape::program
