#include <optional>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/index_kernels.hpp>
#include <xtape/autodiff/ops/internal.hpp>

// x[…] as in Python: positions, slices and new axes first; index tensors become one vector of
// positions along the axes that they stand for, taken together.
namespace xtape {
namespace {

using namespace rules;
using namespace indexed;

struct Extent {
  std::int64_t extent;
  std::string str() const { return "extent " + std::to_string(extent); }
  bool operator==(const Extent&) const = default;
};

Var wrap_indices(const Var& indices, std::int64_t extent);

constexpr Op kWrapIndices{
    .name = "wrap_indices",
    .math = "y = indices, counted from the front",
    .gradient = "none: indices are i64",
    .infer = [](const InferArgs& a) -> Spec {
      check_index_dtype("index", *a.in[0]);
      return *a.in[0];
    },
    .kernel =
        [](const KernelArgs& a) {
          const std::int64_t n = get_attrs<Extent>(a.attrs).extent;
          const std::int64_t size = a.spec.shape.size();
          const auto* in = static_cast<const std::int64_t*>(a.in[0].data);
          check_range("index", in, size, n);
          auto* out = static_cast<std::int64_t*>(a.out);
          for (std::int64_t i = 0; i < size; ++i) {
            out[i] = from_front(in[i], n);
          }
        },
    .throws = true,
    .samples =
        [](const Sampler& s) {
          std::vector<Sample> out;
          for (const Shape& shape : {Shape{}, Shape{4}, Shape{2, 3}, Shape{0}}) {
            out.push_back({shape.str(), {Sampler{s.rng, i64, s.op}.draw(shape)}, [](Operands x) {
                             return wrap_indices(x[0], 5);
                           }});
          }
          return out;
        }};

Var wrap_indices(const Var& indices, std::int64_t extent) {
  return apply(kWrapIndices, {&indices}, make_attrs(Extent{extent}));
}

// A mask is as good as its positions along each of its axes.
std::vector<Var> positions_of(const Tensor& mask) {
  const Tensor flat = true_positions("index", mask);
  const kernels::Strides strides = kernels::row_major(mask.shape());
  std::vector<Var> out;
  for (int axis = 0; axis < mask.rank(); ++axis) {
    Tensor along = Tensor::empty(flat.shape(), i64);
    for (std::int64_t i = 0; i < flat.size(); ++i) {
      static_cast<std::int64_t*>(along.raw())[i] = flat.data<std::int64_t>()[i] /
                                                   strides[static_cast<std::size_t>(axis)] %
                                                   mask.shape()[axis];
    }
    out.push_back(along);
  }
  return out;
}

// Masks as positions, and the ellipsis as whole axes.
std::vector<IndexItem> spelled_out(const std::vector<IndexItem>& items, int rank) {
  std::vector<IndexItem> out;
  std::optional<std::size_t> ellipsis;
  std::size_t used = 0;
  for (const IndexItem& item : items) {
    if (std::holds_alternative<Ellipsis>(item)) {
      if (ellipsis) throw ShapeError("index", "two ellipses: there may be one");
      ellipsis = out.size();
      continue;
    }
    const Var* tensor = std::get_if<Var>(&item);
    if (tensor && tensor->dtype() == boolean) {
      for (const Var& along : positions_of(tensor->value())) out.push_back(along), ++used;
    } else {
      out.push_back(item);
      used += !std::holds_alternative<NewAxis>(item);
    }
  }
  if (used > static_cast<std::size_t>(rank)) {
    throw ShapeError("index", std::to_string(used) + " items for rank " + std::to_string(rank) +
                                  ": at most one for each axis");
  }
  const auto at = out.begin() + static_cast<std::ptrdiff_t>(ellipsis.value_or(out.size()));
  out.insert(at, static_cast<std::size_t>(rank) - used, Slice{});
  return out;
}

struct IndexTensors {
  std::vector<Var> indices;
  std::vector<int> axes;
};

// What index tensors take, of y after all other items.
Var take_together(Var y, const IndexTensors& t) {
  Shape shape;  // that of the index tensors, broadcast
  for (const Var& i : t.indices) shape = broadcast("index", shape, i.shape());
  const int count = static_cast<int>(t.axes.size());
  int first = t.axes[0];
  if (t.axes.back() - first + 1 != count) {  // parted: they go to the front
    Axes from, to;
    for (int i = 0; i < count; ++i)
      from.push_back(t.axes[static_cast<std::size_t>(i)]), to.push_back(i);
    y = movedim(y, from, to);
    first = 0;
  }
  Var position;
  for (int i = 0; i < count; ++i) {
    const std::int64_t n = y.shape()[first + i];
    const Var along = wrap_indices(beside(t.indices[static_cast<std::size_t>(i)], y), n);
    position = i == 0 ? along : position * n + along;
  }
  if (position.shape() != shape) position = broadcast_to(position, shape);
  if (count > 1) y = flatten(y, first, first + count - 1);
  return take(y, position, first);
}

}  // namespace

Var take(const Var& x, const Var& indices, std::int64_t axis) {
  const int at = normalize_axis("take", axis, x.shape());
  const Var flat = reshape(beside(indices, x), {indices.size()});
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != at) shape.push_back(x.shape()[i]);
    for (int k = 0; i == at && k < indices.rank(); ++k) shape.push_back(indices.shape()[k]);
  }
  return reshape(index_select(x, at, flat), shape);
}

Var take(const Var& x, const Var& indices) { return take(ravel(beside(x, indices)), indices, 0); }

Var index(const Var& x, const std::vector<IndexItem>& items) {
  std::vector<Slice> slices;
  Shape shape;
  IndexTensors tensors;
  int axis = 0;
  for (const IndexItem& item : spelled_out(items, x.rank())) {
    if (std::holds_alternative<NewAxis>(item)) {
      shape.push_back(1);
      continue;
    }
    const std::int64_t n = x.shape()[axis++];
    if (const auto* position = std::get_if<std::int64_t>(&item)) {
      check_range("index", position, 1, n);
      const std::int64_t k = from_front(*position, n);
      slices.push_back({k, k + 1});
    } else if (const auto* s = std::get_if<Slice>(&item)) {
      slices.push_back(*s);
      shape.push_back(xtape::slice(Tensor::empty({n}), {*s}).size());
    } else {
      tensors.indices.push_back(std::get<Var>(item));
      tensors.axes.push_back(shape.rank());
      slices.push_back({});
      shape.push_back(n);
    }
  }
  const Var y = reshape(slice(x, slices), shape);
  return tensors.axes.empty() ? y : take_together(y, tensors);
}

Var index_put(const Var& x, const std::vector<IndexItem>& items, const Var& values,
              bool accumulate) {
  const Var places = index(Tensor::arange(x.size()).reshape(x.shape()), items);
  const Var at = reshape(beside(places, x), {places.size()});
  const Var src = ravel(broadcast_to(beside(values, x), places.shape()));
  const Var flat = ravel(beside(x, values));
  return reshape(accumulate ? index_add(flat, 0, at, src) : scatter(flat, 0, at, src), x.shape());
}

namespace {

constexpr Op kTake = composed(
    "take", {"y = x[…, indices, …]", "x̄ = 0, x̄[…, indices, …] += ȳ"}, [](const Sampler& s) {
      const auto f = [](const Shape& shape, std::int64_t extent, std::int64_t axis) {
        const Tensor i = sample_indices(shape, extent);
        return [=](Operands x) { return take(x[0], i, axis); };
      };
      return cases(s, {{{{4}}, f({}, 4, 0)},
                       {{{2, 3}}, f({2, 2}, 3, -1)},
                       {{{2, 3, 1, 2}}, f({4}, 3, 1)},
                       {{{2, 3}},
                        [](Operands x) {
                          return take(x[0], sample_indices({2, 2}, 6));
                        }},
                       {{{}}, [](Operands x) { return take(x[0], Tensor::zeros({2}, i64)); }},
                       {{{0, 3}}, f({2}, 3, 1)}});
    });

std::vector<std::vector<IndexItem>> subscripts() {
  const Tensor two = Tensor({1, -2}, i64), grid = sample_indices({2, 1}, 2);
  const Tensor mask = Tensor({1, 0, 1}, f64).to(boolean);
  return {{},
          {1},
          {Ellipsis{}, -1},
          {NewAxis{}, Slice{{}, {}, -1}, NewAxis{}},
          {two},
          {Slice{}, mask},
          {grid, two},
          {two, Slice{}, grid},
          {0, two, Ellipsis{}, grid},
          {Slice{2, 2}}};
}

constexpr Op kIndex =
    composed("index", {"y = x[items…]", "x̄ = 0, x̄[items…] += ȳ"}, [](const Sampler& s) {
      std::vector<Case> list;
      for (const auto& items : subscripts()) {
        list.push_back({{{2, 3, 2, 2}}, [items](Operands x) { return index(x[0], items); }});
      }
      return cases(s, list);
    });
constexpr Op kIndexPut = composed(
    "index_put", {"y = x, y[items…] = values", "x̄ = ȳ, 0 at the items; values: ȳ[items…]"},
    [](const Sampler& s) {
      std::vector<Case> list;
      for (const auto& items : subscripts()) {
        const Shape part = index(Tensor::zeros({2, 3, 2, 2}), items).shape();
        list.push_back(
            {{{2, 3, 2, 2}, part}, [items](Operands x) { return index_put(x[0], items, x[1]); }});
        list.push_back({{{2, 3, 2, 2}, {}},
                        [items](Operands x) { return index_put(x[0], items, x[1], true); }});
      }
      return cases(s, list);
    });

}  // namespace

namespace families {
Family subscript() { return {&kWrapIndices, &kTake, &kIndex, &kIndexPut}; }
}  // namespace families

}  // namespace xtape
