#include <algorithm>

#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/autodiff/ops/axis_map.hpp>
#include <xtape/autodiff/ops/rules.hpp>
#include <xtape/autodiff/threads.hpp>

namespace xtape {
namespace {

using namespace rules;

// The transpose is kept with the map: every gradient needs it.
struct MapAttrs {
  int axis;
  AxisMap map, back;
  std::string str() const { return "axis " + std::to_string(axis) + ", " + map.str(); }
  bool operator==(const MapAttrs& o) const { return axis == o.axis && map == o.map; }
};

// Rows of `inner` elements, so many at a time in sums of double.
constexpr std::int64_t kChunk = 256;

template <class T>
void map_row(const AxisMap& m, const T* x, T* y) {
  for (std::int64_t i = 0, k = 0; i < m.to(); ++i) {
    double sum = 0;
    for (const std::int64_t end = m.first[static_cast<std::size_t>(i) + 1]; k < end; ++k) {
      const auto at = static_cast<std::size_t>(k);
      sum += m.weight[at] * static_cast<double>(x[m.position[at]]);
    }
    y[i] = static_cast<T>(sum);
  }
}

template <class T>
void map_rows(const AxisMap& m, std::int64_t inner, const T* x, T* y) {
  for (std::int64_t i = 0; i < m.to(); ++i, y += inner) {
    const std::int64_t begin = m.first[static_cast<std::size_t>(i)];
    const std::int64_t end = m.first[static_cast<std::size_t>(i) + 1];
    for (std::int64_t j = 0; j < inner; j += kChunk) {
      const std::int64_t n = std::min(kChunk, inner - j);
      double sum[kChunk] = {};
      for (std::int64_t k = begin; k < end; ++k) {
        const double w = m.weight[static_cast<std::size_t>(k)];
        const T* from = x + m.position[static_cast<std::size_t>(k)] * inner + j;
        for (std::int64_t e = 0; e < n; ++e) sum[e] += w * static_cast<double>(from[e]);
      }
      for (std::int64_t e = 0; e < n; ++e) y[j + e] = static_cast<T>(sum[e]);
    }
  }
}

void map_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<MapAttrs>(a.attrs);
  const AxisMap& m = attrs.map;
  const Shape& shape = a.spec.shape;
  if (shape.size() == 0) return;
  std::int64_t outer = 1, inner = 1;
  for (int i = 0; i < attrs.axis; ++i) outer *= shape[i];
  for (int i = attrs.axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  constexpr std::int64_t kPortion = 1 << 16;
  const std::int64_t portion = std::max<std::int64_t>(kPortion / (m.from * inner + 1), 1);
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto* x = static_cast<const T*>(a.in[0].data);
    auto* y = static_cast<T*>(a.out);
    const auto run = [&](std::int64_t piece) {
      const std::int64_t end = std::min(outer, (piece + 1) * portion);
      for (std::int64_t o = piece * portion; o < end; ++o) {
        const T* from = x + o * m.from * inner;
        T* to = y + o * m.to() * inner;
        if (inner == 1) {
          map_row(m, from, to);
        } else {
          map_rows(m, inner, from, to);
        }
      }
    };
    detail::parallel_for((outer + portion - 1) / portion, run);
  });
}

Spec map_infer(const InferArgs& a) {
  Spec out = floating_unary(a);
  const auto& attrs = get_attrs<MapAttrs>(a.attrs);
  out.shape[attrs.axis] = attrs.map.to();
  return out;
}

std::vector<Sample> map_samples(const Sampler& s) {
  AxisMap m{.from = 4};
  m.term(1, 2);
  m.term(3, -0.5);
  m.end();
  m.end();
  m.term(3, 1);
  m.term(0, 0.25);
  m.term(1, 1);
  m.end();
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, int axis, const AxisMap& map) {
    out.push_back({shape.str(), {s.draw(shape)}, [axis, map](std::span<const Var> in) {
                     return map_axis(in[0], axis, map);
                   }});
  };
  add({4}, 0, m);
  add({2, 4, 3}, 1, m);
  add({3, 2, 2, 3}, 3, m.transposed());
  add({0, 4}, 1, m);
  add({2, 0}, 1, AxisMap{.from = 0});
  return out;
}

constexpr Op kMapAxis{
    .name = "map_axis",
    .math = "y[…, i, …] = Σ_k m[i, k] x[…, k, …], m sparse",
    .gradient = "x̄[…, k, …] = Σ_i m[i, k] ȳ[…, i, …]",
    .infer = map_infer,
    .kernel = map_kernel,
    .vjp = {{[](const Vjp& v) {
      const auto& a = v.attrs<MapAttrs>();
      return apply(kMapAxis, {&v.ct}, make_attrs(MapAttrs{a.axis, a.back, a.map}));
    }}},
    .linear = Linear::joint,
    .flop =
        [](const InferArgs& a, const Spec& out) {
          const auto& m = get_attrs<MapAttrs>(a.attrs).map;
          return 2 * static_cast<double>(m.position.size()) *
                 static_cast<double>(out.shape.size()) /
                 static_cast<double>(std::max<std::int64_t>(m.to(), 1));
        },
    .samples = map_samples};

}  // namespace

void AxisMap::term(std::int64_t at, double w) {
  if (w == 0) return;
  position.push_back(at);
  weight.push_back(w);
}

AxisMap AxisMap::transposed() const {
  AxisMap out{.from = to()};
  const auto extent = static_cast<std::size_t>(from);
  out.first.assign(extent + 1, 0);
  for (const std::int64_t p : position) ++out.first[static_cast<std::size_t>(p) + 1];
  for (std::size_t i = 0; i < extent; ++i) out.first[i + 1] += out.first[i];
  List<std::int64_t> next(out.first.begin(), out.first.end() - 1);
  out.position.resize(position.size());
  out.weight.resize(position.size());
  for (std::size_t i = 0, k = 0; i + 1 < first.size(); ++i) {
    for (; k < static_cast<std::size_t>(first[i + 1]); ++k) {
      const auto at = static_cast<std::size_t>(next[static_cast<std::size_t>(position[k])]++);
      out.position[at] = static_cast<std::int64_t>(i);
      out.weight[at] = weight[k];
    }
  }
  return out;
}

Var map_axis(const Var& x, int axis, AxisMap map) {
  AxisMap back = map.transposed();
  return apply(kMapAxis, {&x}, make_attrs(MapAttrs{axis, std::move(map), std::move(back)}));
}

std::pair<int, const AxisMap&> axis_map_of(const Attrs* map_axis) {
  const auto& a = get_attrs<MapAttrs>(map_axis);
  return {a.axis, a.map};
}

namespace families {
Family axis_maps() { return {&kMapAxis}; }
}  // namespace families

}  // namespace xtape
