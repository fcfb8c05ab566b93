#include <algorithm>

#include <xtape/autodiff/kernels/reduce.hpp>
#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/autodiff/ops/lines.hpp>
#include <xtape/nn/export_writer.hpp>

// What sums over axes, or takes the largest: pooling, softmax, normalization, sums.
namespace xtape::nn::exporting {
namespace {

using kernels::volume;

std::int64_t product(const Shape& s, int from, int to) {
  return Shape(s.begin() + from, s.begin() + to).size();
}

// The gather by positions of largest elements is all that is known of gather.
void max_pool(Writer& w, Id i, const Node& n) {
  const program::Graph& g = w.graph();
  const Id indices = g.root(n.in[1]);
  const Node& maker = g.nodes[indices];
  if (maker.kind != Node::Kind::op || maker.op->name != "max_pool_indices" ||
      g.root(maker.in[0]) != g.root(n.in[0])) {
    w.refuse("the operation gather cannot be exported but for max pooling");
  }
  const kernels::Pool& pool = pool_of(maker.attrs.get());
  const kernels::Windows& v = pool.windows;
  const std::string at = w.integers(tap_positions(pool)), y = w.fresh(i);
  w.call("max_pool", {w.name(n.in[0]), at, text(n.spec.shape.size() / volume(v.out)),
                      text(taps_of(pool)), text(volume(v.out)), text(volume(v.in)), y});
}

void map_axis(Writer& w, Id i, const Node& n) {
  const auto& [axis, map] = axis_map_of(n.attrs.get());
  const Shape& s = n.spec.shape;
  const std::string first = w.integers({map.first.begin(), map.first.end()});
  const std::string position = w.integers({map.position.begin(), map.position.end()});
  const std::string weight = w.doubles(map.weight), y = w.fresh(i);
  w.call("map_axis", {w.name(n.in[0]), first, position, weight, text(product(s, 0, axis)),
                      text(map.from), text(map.to()), text(product(s, axis + 1, s.rank())), y});
}

void softmax(Writer& w, Id i, const Node& n) {
  const Shape& s = n.spec.shape;
  const int axis = get_attrs<AxisAttrs>(n.attrs.get()).axis;
  const std::int64_t inner = product(s, axis + 1, s.rank());
  const std::string log = n.op->name == "log_softmax" ? "true" : "false", y = w.fresh(i);
  if (inner == 1) {
    w.call("softmax", {w.name(n.in[0]), text(s.size() / s[axis]), text(s[axis]), log, y});
  } else {
    w.call("softmax_across",
           {w.name(n.in[0]), text(product(s, 0, axis)), text(s[axis]), text(inner), log, y});
  }
}

// Groups that are contiguous: of one sample, all but those of a normalization over other axes.
void standardize(Writer& w, Id i, const Node& n) {
  const Standardization s = standardization_of(n.attrs.get());
  const Shape& shape = n.spec.shape;
  std::int64_t length = 1;
  bool inside = false;
  for (int a = 0; a < shape.rank(); ++a) {
    const bool gone = std::find(s.axes.begin(), s.axes.end(), a) != s.axes.end();
    if (shape[a] == 1) continue;
    if (inside && !gone) w.refuse("normalization over other axes than the last ones");
    inside = gone;
    if (gone) length *= shape[a];
  }
  const std::string y = w.fresh(i);
  w.call("standardize", {w.name(n.in[0]), text(shape.size() / length), text(length), number(s.eps),
                         s.centred ? "true" : "false", y});
}

std::vector<std::int64_t> offsets(const kernels::StridedLoop<1>& loop) {
  std::vector<std::int64_t> out;
  loop.each([&](const auto& offset) {
    for (std::int64_t k = 0; k < loop.inner(); ++k) {
      out.push_back(offset[0] + k * loop.inner_stride(0));
    }
  });
  return out;
}

void sum(Writer& w, Id i, const Node& n) {
  const kernels::ReduceGeometry g(w.shape(n.in[0]), n.op->reduced_axes(n.attrs.get()));
  const kernels::StridedLoop<1> kept(g.kept, {g.kept_strides}), gone(g.gone, {g.gone_strides});
  const std::string at = w.integers(offsets(kept)), outputs = text(n.spec.shape.size());
  if (!g.rows) {
    const std::string elements = w.integers(offsets(gone)), y = w.fresh(i);
    w.call("sum_across", {w.name(n.in[0]), at, outputs, elements, text(g.gone.size()), y});
    return;
  }
  std::vector<std::int64_t> runs;
  gone.each([&](const auto& offset) { runs.push_back(offset[0]); });
  const std::string run = w.integers(runs), y = w.fresh(i);
  w.call("sum_runs", {w.name(n.in[0]), at, outputs, run,
                      text(static_cast<std::int64_t>(runs.size())), text(gone.inner()), y});
}

constexpr Translation kReducing[] = {
    {"max_pool_indices",
     [](Writer&, Id, const Node&) {}},  // the gather that follows is the pooling
    {"gather", max_pool},
    {"map_axis", map_axis},
    {"softmax", softmax},
    {"log_softmax", softmax},
    {"standardize", standardize},
    {"sum", sum}};

}  // namespace

std::span<const Translation> reducing_ops() { return kReducing; }

}  // namespace xtape::nn::exporting
