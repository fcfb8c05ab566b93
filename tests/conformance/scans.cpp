#include "adapters.hpp"

// Family of the corpus: scan (but diff, which is with the shapes).
namespace xtape::conformance {

void add_scans(Adapters& a);

namespace {

using List = std::vector<Var>;

// f along an axis of extent 1 for a single number, which PyTorch lets have one.
template <class F>
List along(const Call& c, std::int64_t otherwise, F f) {
  const Var x = c.operand("input");
  if (x.rank() > 0) return f(x, c.integer("dim", otherwise));
  List out = f(reshape(x, {1}), 0);
  for (Var& y : out) y = reshape(y, {});
  return out;
}

Adapter scan(Var (*f)(const Var&, std::int64_t)) {
  return [f](const Call& c) {
    return along(c, 0, [f](const Var& x, std::int64_t axis) { return List{f(x, axis)}; });
  };
}

Adapter extremum(Selected (*f)(const Var&, std::int64_t)) {
  return [f](const Call& c) {
    return along(c, 0, [f](const Var& x, std::int64_t axis) {
      const Selected s = f(x, axis);
      return List{s.values, s.indices};
    });
  };
}

List sort_of(const Call& c) {
  return along(c, -1, [&](const Var& x, std::int64_t axis) {
    const Selected s = sort(x, axis, c.flag("descending"));
    return List{s.values, s.indices};
  });
}

List topk_of(const Call& c) {
  return along(c, -1, [&](const Var& x, std::int64_t axis) {
    const Selected s = topk(x, c.integer("k"), axis, c.flag("largest", true));
    return List{s.values, s.indices};
  });
}

List cumulative_trapezoid_of(const Call& c) {
  const std::int64_t axis = c.integer("dim", -1);
  if (c.has("x")) return {cumulative_trapezoid(c.operand("y"), c.operand("x"), axis)};
  return {cumulative_trapezoid(c.operand("y"), c.number("dx", 1), axis)};
}

}  // namespace

void add_scans(Adapters& a) {
  a["cumsum"] = scan([](const Var& x, std::int64_t axis) { return cumsum(x, axis); });
  a["cumprod"] = scan([](const Var& x, std::int64_t axis) { return cumprod(x, axis); });
  a["logcumsumexp"] = scan(logcumsumexp);
  a["cummax"] = extremum(cummax);
  a["cummin"] = extremum(cummin);
  a["cumulative_trapezoid"] = cumulative_trapezoid_of;
  a["sort"] = sort_of;
  a["argsort"] = [](const Call& c) {
    return along(c, -1, [&](const Var& x, std::int64_t axis) {
      return List{argsort(x, axis, c.flag("descending"))};
    });
  };
  a["msort"] = [](const Call& c) { return List{msort(c.operand("input"))}; };
  a["topk"] = topk_of;
}

}  // namespace xtape::conformance
