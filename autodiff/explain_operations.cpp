#include <algorithm>
#include <cmath>
#include <map>
#include <queue>
#include <set>
#include <sstream>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/explain_graph.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/tangents.hpp>

namespace xtape {

// The operations between y and x. A part p of the gradient by a node i is worth ⟨L p, x̄⟩, where L
// is the linear map from there to the gradient by x; and that is ⟨p, Lᵀ x̄⟩, in which Lᵀ x̄ is the
// tangent of node i in the direction x̄. One sweep forward tells it for every node.
class ElementGraph::Operations : Between {
 public:
  Operations(const Var& y, const Var& x, const ExplainOptions& options)
      : Between(y, x, options),
        gradient_(tape_.gradient(y, x, {.keep_tape = true})),
        tangents_(detail::tangents(y, x, gradient_)) {
    const Var all =
        cast(reshape(gradient_, {gradient_.size()}), f64);  // f32 has no room for squares
    square_ = dot(all, all).item();
    by_label_ = !options.every_step && [&] {
      for (std::uint32_t i = target_ + 1; i < top_; ++i) {
        if (depends_[i] && labelled(i)) return true;
      }
      return false;
    }();
  }

  OperationExplanation run() {
    OperationExplanation e;
    e.of = name(top_);
    e.by = name(target_);
    e.norm = std::sqrt(square_);
    e.count = count();
    sweep(e.dependencies);
    search(e.paths);
    return e;
  }

 private:
  using Parts = std::map<std::uint32_t, Tensor, std::greater<>>;  // cotangents by node
  struct Beginning {
    std::uint32_t node;
    Tensor ct;
    int before;
    double share;
  };

  bool kept(std::uint32_t i) const {
    return i == target_ || i == top_ || !by_label_ || labelled(i);
  }

  // What share of the gradient a part of a node's cotangent leads to.
  double share(std::uint32_t i, const Tensor& ct) const {
    const Tensor& t = tangents_[i];
    if (!t.defined() || square_ == 0) return 0;
    const Shape flat{t.size()};
    return dot(reshape(cast(ct, f64), flat), reshape(cast(t, f64), flat)).item() / square_;
  }

  // The parts that a cotangent of a kept node sends to the next kept ones.
  Parts spread(std::uint32_t start, const Tensor& ct) const {
    Parts open{{start, ct}}, arrived;
    while (!open.empty()) {
      const auto [i, part] = *open.begin();
      open.erase(open.begin());
      for (std::uint32_t e = 0; e < node(i).edges; ++e) {
        if (!leads(i, e)) continue;
        const std::uint32_t from = input(i, e);
        const Tensor g = input_cotangent(i, e, part);
        Parts& to = kept(from) ? arrived : open;
        const auto [it, fresh] = to.try_emplace(from, g);
        if (!fresh) it->second = add(it->second, g).value();
      }
    }
    return arrived;
  }

  Tensor one() const { return Tensor::ones(node(top_).spec.shape, node(top_).spec.dtype); }

  // Everything that passes from one kept node to another.
  void sweep(std::vector<Dependency>& out) const {
    Parts open{{top_, one()}};
    while (!open.empty()) {
      const auto [i, ct] = *open.begin();
      open.erase(open.begin());
      if (i == target_) continue;
      for (const auto& [to, part] : spread(i, ct)) {
        const double passes = share(to, part);
        out.push_back({name(i), name(to), std::nan(""), passes, std::abs(passes)});
        const auto [it, fresh] = open.try_emplace(to, part);
        if (!fresh) it->second = add(it->second, part).value();
      }
    }
  }

  void search(std::vector<OperationPath>& found) const {
    std::vector<Beginning> all{{top_, one(), -1, 1}};
    const auto at = [&](int k) -> const Beginning& { return all[static_cast<std::size_t>(k)]; };
    const auto weaker = [&](int a, int b) { return std::abs(at(a).share) < std::abs(at(b).share); };
    std::priority_queue<int, std::vector<int>, decltype(weaker)> open(weaker);
    open.push(0);
    while (!open.empty() && static_cast<std::int64_t>(found.size()) < options_.paths) {
      const int k = open.top();
      open.pop();
      const std::uint32_t i = at(k).node;
      if (i == target_) {
        found.push_back(path(k, all));
        continue;
      }
      const Parts parts = spread(i, at(k).ct);
      all[static_cast<std::size_t>(k)].ct = Tensor();
      for (const auto& [to, part] : parts) {
        all.push_back({to, part, k, share(to, part)});
        open.push(static_cast<int>(all.size()) - 1);
      }
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
      return std::abs(a.share) > std::abs(b.share);
    });
  }

  OperationPath path(int k, const std::vector<Beginning>& all) const {
    const Beginning& end = all[static_cast<std::size_t>(k)];
    OperationPath p{{}, end.share, euclidean_norm(end.ct).item()};
    for (; k >= 0; k = all[static_cast<std::size_t>(k)].before) {
      p.steps.push_back(name(all[static_cast<std::size_t>(k)].node));
    }
    std::reverse(p.steps.begin(), p.steps.end());
    return p;
  }

  // Paths over kept nodes, which what lies between may join in several ways.
  double count() const {
    std::map<std::uint32_t, double> paths{{target_, 1}};
    std::map<std::uint32_t, std::set<std::uint32_t>> next;  // kept nodes that a node leads to
    for (std::uint32_t i = target_ + 1; i <= top_; ++i) {
      if (!depends_[i]) continue;
      std::set<std::uint32_t> to;
      for (std::uint32_t e = 0; e < node(i).edges; ++e) {
        if (!leads(i, e)) continue;
        const std::uint32_t from = input(i, e);
        if (kept(from)) {
          to.insert(from);
        } else {
          to.insert(next[from].begin(), next[from].end());
        }
      }
      if (kept(i)) {
        for (const std::uint32_t k : to) paths[i] += paths[k];
      }
      next[i] = std::move(to);
    }
    return paths[top_];
  }

  Tensor gradient_;
  std::vector<Tensor> tangents_;  // by node, of x in the direction of its gradient
  double square_ = 0;             // ⟨x̄, x̄⟩
  bool by_label_ = false;
};

OperationExplanation explain_operations(const Var& y, const Var& x, const ExplainOptions& options) {
  return ElementGraph::Operations(y, x, options).run();
}

double OperationExplanation::share() const {
  double sum = 0;
  for (const OperationPath& p : paths) sum += p.share;
  return sum;
}

std::string OperationExplanation::str() const {
  using explaining::number;
  const auto percent = [](double share) { return number(std::round(1e4 * share) / 100) + " %"; };
  std::ostringstream os;
  os << "d" << of << "/d" << by << ", of norm " << number(norm) << ", the sum of " << count
     << (count == 1 ? " path" : " paths") << "\n";
  for (const OperationPath& p : paths) {
    os << "  " << percent(p.share) << "  ";
    for (std::size_t k = 0; k < p.steps.size(); ++k) os << (k ? " <- " : "") << p.steps[k];
    os << "  (norm " << number(p.norm) << ")\n";
  }
  if (static_cast<double>(paths.size()) < count) {
    os << "  and " << count - static_cast<double>(paths.size()) << " others; these carry "
       << percent(share()) << " of the gradient\n";
  }
  return os.str();
}

std::string OperationExplanation::json() const {
  using explaining::Json;
  using explaining::quoted;
  std::ostringstream os;
  os.precision(17);
  os << "{\"of\": " << quoted(of) << ", \"by\": " << quoted(by) << ", \"norm\": " << Json{norm}
     << ", \"count\": " << Json{count} << ", \"share\": " << Json{share()} << ",\n \"paths\": [";
  for (std::size_t i = 0; i < paths.size(); ++i) {
    os << (i ? ",\n  " : "\n  ") << "{\"share\": " << Json{paths[i].share}
       << ", \"norm\": " << Json{paths[i].norm} << ", \"steps\": [";
    for (std::size_t k = 0; k < paths[i].steps.size(); ++k) {
      os << (k ? ", " : "") << quoted(paths[i].steps[k]);
    }
    os << "]}";
  }
  os << "],\n \"dependencies\": [";
  for (std::size_t i = 0; i < dependencies.size(); ++i) {
    const Dependency& d = dependencies[i];
    os << (i ? ",\n  " : "\n  ") << "{\"of\": " << quoted(d.of) << ", \"by\": " << quoted(d.by)
       << ", \"share\": " << Json{d.contribution} << "}";
  }
  os << "]}\n";
  return os.str();
}

}  // namespace xtape
