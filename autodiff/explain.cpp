#include <algorithm>
#include <cmath>
#include <map>
#include <queue>
#include <sstream>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/explain_graph.hpp>
#include <xtape/autodiff/ops.hpp>

namespace xtape {

// The elements of the tape between y and x, and the derivative of each by those it was computed
// from. Vertices are numbered from the result on: what a vertex depends on has a larger number.
class ElementGraph::Elements : Between {
 public:
  struct Arrow {
    int to;
    double slope;
  };

  Elements(const Var& y, const Var& x, const ExplainOptions& options) : Between(y, x, options) {
    vertex(top_, 0);
    for (auto at = rows_.begin(); at != rows_.end(); ++at) {
      if (at->first != target_) expand(at->first, at->second);
    }
    number_from_the_result();
    if (contracts()) contract();
  }

  Explanation explain(std::int64_t element, double gradient) const;
  std::string name(int v) const { return name(vertices_[at(v)].node, vertices_[at(v)].at); }

 private:
  struct Vertex {
    std::uint32_t node;
    std::int64_t at;
    std::vector<Arrow> arrows;
  };
  // What is known of all paths from a vertex to the target element.
  struct Paths {
    double sum = 0, magnitude = 0, count = 0, strongest = 0;
  };
  using Row = std::map<std::int64_t, int>;  // vertices of a node by element

  static std::size_t at(int v) { return static_cast<std::size_t>(v); }

  int vertex(std::uint32_t i, std::int64_t element) {
    const auto [it, added] = rows_[i].try_emplace(element, static_cast<int>(vertices_.size()));
    if (added) vertices_.push_back({i, element, {}});
    return it->second;
  }

  void arrow(int from, std::uint32_t i, std::int64_t element, double slope) {
    if (slope == 0) return;
    if (++arrows_ > options_.max_dependencies) {
      throw GradientError("explain", "more than " + std::to_string(options_.max_dependencies) +
                                         " dependencies between elements: explain a smaller batch, "
                                         "or raise max_dependencies");
    }
    const int to = vertex(i, element);
    for (Arrow& a : vertices_[at(from)].arrows) {
      if (a.to != to) continue;
      a.slope += slope;  // x·x depends on x twice
      return;
    }
    vertices_[at(from)].arrows.push_back({to, slope});
  }

  // The arrows of the known elements of node i.
  void expand(std::uint32_t i, const Row& row) {
    for (std::uint32_t e = 0; e < node(i).edges; ++e) {
      if (!leads(i, e)) continue;
      if (node(i).op->block && expand_elementwise(i, e, row)) continue;
      for (const auto& [element, v] : row) expand_element(i, e, element, v);
    }
  }

  // An element depends on one element: one cotangent of ones tells all slopes.
  bool expand_elementwise(std::uint32_t i, std::uint32_t e, const Row& row) {
    const Spec& out = node(i).spec;
    const std::uint32_t from = input(i, e);
    const Tensor slopes = rule(i, e, Tensor::ones(out.shape, out.dtype));
    if (slopes.shape() != out.shape) return false;  // the rule sums by itself
    const Shape& in = node(from).spec.shape;
    for (const auto& [element, v] : row) {
      arrow(v, from, broadcast_source(element, out.shape, in), slopes.flat(element));
    }
    return true;
  }

  void expand_element(std::uint32_t i, std::uint32_t e, std::int64_t element, int v) {
    const Spec& out = node(i).spec;
    const std::uint32_t from = input(i, e);
    Tensor ct = Tensor::zeros(out.shape, out.dtype);
    dispatch_floating(out.dtype, [&](auto zero) {
      using T = decltype(zero);
      ct.mutable_data<T>()[element] = T(1);
    });
    const Tensor slopes = input_cotangent(i, e, ct);
    for (std::int64_t k = 0; k < slopes.size(); ++k) arrow(v, from, k, slopes.flat(k));
  }

  // The element of `in` that stands for this one of `out`, to whose shape it was broadcast.
  static std::int64_t broadcast_source(std::int64_t element, const Shape& out, const Shape& in) {
    std::int64_t source = 0, stride = 1;
    for (int k = in.rank(); k-- > 0;) {
      const std::int64_t extent = out[k + out.rank() - in.rank()];
      if (in[k] != 1) source += element % extent * stride;
      element /= extent;
      stride *= in[k];
    }
    return source;
  }

  // Vertices were met in this order already, but those of a node may stand between others.
  void number_from_the_result() {
    std::vector<int> order;
    for (const auto& [i, row] : rows_) {
      for (const auto& [element, v] : row) order.push_back(v);
    }
    std::vector<int> number(order.size());
    for (std::size_t k = 0; k < order.size(); ++k) number[at(order[k])] = static_cast<int>(k);
    std::vector<Vertex> sorted;
    for (const int v : order) sorted.push_back(std::move(vertices_[at(v)]));
    for (Vertex& v : sorted) {
      for (Arrow& a : v.arrows) a.to = number[at(a.to)];
    }
    vertices_ = std::move(sorted);
    rows_.clear();
  }

  bool contracts() const {
    return !options_.every_step &&
           std::any_of(vertices_.begin(), vertices_.end(), [&](const Vertex& v) {
             return v.node != top_ && v.node != target_ && labelled(v.node);
           });
  }

  // Steps over what has no label: arrows to it become arrows to what it depends on.
  void contract() {
    for (std::size_t k = vertices_.size(); k-- > 0;) {
      std::map<int, double> direct;
      for (const Arrow& a : vertices_[k].arrows) {
        const Vertex& to = vertices_[at(a.to)];
        if (to.node == target_ || labelled(to.node)) {
          direct[a.to] += a.slope;
        } else {
          for (const Arrow& b : to.arrows) direct[b.to] += a.slope * b.slope;
        }
      }
      vertices_[k].arrows.clear();
      for (const auto& [to, slope] : direct) {
        if (slope != 0) vertices_[k].arrows.push_back({to, slope});
      }
    }
  }

  std::string name(std::uint32_t i, std::int64_t element) const {
    const Shape& shape = node(i).spec.shape;
    std::string place;
    for (int k = shape.rank(); k-- > 0; element /= shape[k]) {
      place = std::to_string(element % shape[k]) + (place.empty() ? "" : ",") + place;
    }
    return Between::name(i) + (place.empty() ? "" : ":" + place);
  }

  std::vector<Paths> paths_to(int target) const;
  std::vector<GradientPath> strongest(int target, const std::vector<Paths>& below) const;
  std::vector<Dependency> dependencies(const std::vector<Paths>& below) const;

  std::map<std::uint32_t, Row, std::greater<>> rows_;
  std::vector<Vertex> vertices_;
  std::int64_t arrows_ = 0;
};

std::vector<ElementGraph::Elements::Paths> ElementGraph::Elements::paths_to(int target) const {
  std::vector<Paths> below(vertices_.size());
  for (int v = static_cast<int>(vertices_.size()); v-- > 0;) {
    Paths& p = below[at(v)];
    if (v == target) p = {1, 1, 1, 1};
    for (const Arrow& a : vertices_[at(v)].arrows) {
      const Paths& next = below[at(a.to)];
      const double slope = std::abs(a.slope);
      p.sum += a.slope * next.sum;
      p.magnitude += slope * next.magnitude;
      p.count += next.count;
      p.strongest = std::max(p.strongest, slope * next.strongest);
    }
  }
  return below;
}

// Best first: the largest product that a beginning of a path can still reach is known exactly, so
// paths come out in the order of their magnitude.
std::vector<GradientPath> ElementGraph::Elements::strongest(int target,
                                                            const std::vector<Paths>& below) const {
  struct Beginning {
    int vertex, before;  // before: where in `all` the path comes from, −1 for the result
    double product, slope;
  };
  std::vector<Beginning> all{{0, -1, 1, 0}};
  const auto reach = [&](int k) {
    return std::abs(all[at(k)].product) * below[at(all[at(k)].vertex)].strongest;
  };
  const auto weaker = [&](int a, int b) { return reach(a) < reach(b); };
  std::priority_queue<int, std::vector<int>, decltype(weaker)> open(weaker);
  if (below[0].count > 0) open.push(0);
  std::vector<GradientPath> found;
  while (!open.empty() && static_cast<std::int64_t>(found.size()) < options_.paths) {
    const int k = open.top();
    open.pop();
    const Beginning b = all[at(k)];
    if (b.vertex == target) {
      GradientPath path{{}, b.product};
      for (int i = k; all[at(i)].before >= 0; i = all[at(i)].before) {
        const int of = all[at(all[at(i)].before)].vertex;
        path.factors.push_back({name(of), name(all[at(i)].vertex), all[at(i)].slope});
      }
      std::reverse(path.factors.begin(), path.factors.end());
      found.push_back(std::move(path));
      continue;
    }
    for (const Arrow& a : vertices_[at(b.vertex)].arrows) {
      if (below[at(a.to)].count == 0) continue;
      all.push_back({a.to, k, b.product * a.slope, a.slope});
      open.push(static_cast<int>(all.size()) - 1);
    }
  }
  return found;
}

std::vector<Dependency> ElementGraph::Elements::dependencies(
    const std::vector<Paths>& below) const {
  std::vector<Paths> above(vertices_.size());
  if (!above.empty()) above[0] = {1, 1, 1, 1};
  std::vector<Dependency> out;
  for (std::size_t v = 0; v < vertices_.size(); ++v) {
    for (const Arrow& a : vertices_[v].arrows) {
      Paths& next = above[at(a.to)];
      next.sum += above[v].sum * a.slope;
      next.magnitude += above[v].magnitude * std::abs(a.slope);
      const Paths& rest = below[at(a.to)];
      if (rest.count == 0 || above[v].magnitude == 0) continue;
      out.push_back({name(static_cast<int>(v)), name(a.to), a.slope,
                     above[v].sum * a.slope * rest.sum,
                     above[v].magnitude * std::abs(a.slope) * rest.magnitude});
    }
  }
  return out;
}

Explanation ElementGraph::Elements::explain(std::int64_t element, double gradient) const {
  Explanation e;
  e.of = name(0);
  e.by = name(target_, element);
  e.gradient = gradient;
  const auto found = std::find_if(vertices_.begin(), vertices_.end(), [&](const Vertex& v) {
    return v.node == target_ && v.at == element;
  });
  if (found == vertices_.end()) return e;  // every path has a factor 0
  const int target = static_cast<int>(found - vertices_.begin());
  const std::vector<Paths> below = paths_to(target);
  e.sum = below[0].sum;
  e.magnitude = below[0].magnitude;
  e.count = below[0].count;
  e.paths = strongest(target, below);
  e.dependencies = dependencies(below);
  return e;
}

using explaining::Json;
using explaining::number;
using explaining::quoted;

Explanation explain(const Var& y, const Var& x, const Shape& element,
                    const ExplainOptions& options) {
  const Shape& shape = x.shape();
  std::int64_t flat = 0;
  bool inside = element.rank() == shape.rank();
  for (int k = 0; inside && k < shape.rank(); ++k) {
    inside = element[k] >= 0 && element[k] < shape[k];
    flat = flat * shape[k] + element[k];
  }
  if (!inside) {
    throw ValueError("explain", "element " + element.str() + " of a value of shape " + shape.str());
  }
  const ElementGraph::Elements graph(y, x, options);
  const double gradient = y.tape()->gradient(y, x, {.keep_tape = true}).flat(flat);
  return graph.explain(flat, gradient);
}

std::vector<Explanation> explain_all(const Var& y, const Var& x, const ExplainOptions& options) {
  const ElementGraph::Elements graph(y, x, options);
  const Tensor gradient = y.tape()->gradient(y, x, {.keep_tape = true});
  std::vector<Explanation> all;
  for (std::int64_t k = 0; k < gradient.size(); ++k) {
    all.push_back(graph.explain(k, gradient.flat(k)));
  }
  return all;
}

std::string GradientPath::str() const {
  std::string s;
  for (const PathFactor& f : factors) s += "(d" + f.of + "/d" + f.by + ")";
  return s.empty() ? "1" : s;
}

double Explanation::share() const {
  double listed = 0;
  for (const GradientPath& p : paths) listed += std::abs(p.value);
  return magnitude > 0 ? std::min(1., listed / magnitude) : 1;
}

std::string Explanation::str() const {
  std::ostringstream os;
  os << "d" << of << "/d" << by << " = " << number(gradient) << ", the sum of " << count
     << (count == 1 ? " path" : " paths") << "\n";
  for (const GradientPath& p : paths) {
    os << "  " << p.str() << "\n    = ";
    for (std::size_t k = 0; k < p.factors.size(); ++k) {
      os << (k ? " × " : "") << number(p.factors[k].slope);
    }
    os << " = " << number(p.value) << "\n";
  }
  if (static_cast<double>(paths.size()) < count) {
    os << "  and " << count - static_cast<double>(paths.size()) << " weaker ones; these carry "
       << number(std::round(1000 * share()) / 10) << " % of Σ |path| = " << number(magnitude)
       << "\n";
  }
  os << "  sum " << number(sum) << ", by the tape " << number(gradient) << "\n";
  return os.str();
}

std::string Explanation::json() const {
  std::ostringstream os;
  os.precision(17);
  os << "{\"of\": " << quoted(of) << ", \"by\": " << quoted(by)
     << ", \"gradient\": " << Json{gradient} << ", \"sum\": " << Json{sum}
     << ", \"magnitude\": " << Json{magnitude} << ", \"count\": " << Json{count}
     << ", \"share\": " << Json{share()} << ",\n \"paths\": [";
  for (std::size_t i = 0; i < paths.size(); ++i) {
    os << (i ? ",\n  " : "\n  ") << "{\"value\": " << Json{paths[i].value} << ", \"factors\": [";
    for (std::size_t k = 0; k < paths[i].factors.size(); ++k) {
      const PathFactor& f = paths[i].factors[k];
      os << (k ? ", " : "") << "{\"of\": " << quoted(f.of) << ", \"by\": " << quoted(f.by)
         << ", \"slope\": " << Json{f.slope} << "}";
    }
    os << "]}";
  }
  os << "],\n \"dependencies\": [";
  for (std::size_t i = 0; i < dependencies.size(); ++i) {
    const Dependency& d = dependencies[i];
    os << (i ? ",\n  " : "\n  ") << "{\"of\": " << quoted(d.of) << ", \"by\": " << quoted(d.by)
       << ", \"slope\": " << Json{d.slope} << ", \"contribution\": " << Json{d.contribution}
       << ", \"strength\": " << Json{d.strength} << "}";
  }
  os << "]}\n";
  return os.str();
}

}  // namespace xtape
