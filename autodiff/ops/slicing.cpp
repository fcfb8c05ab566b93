#include <algorithm>
#include <cstring>
#include <limits>

#include <xtape/autodiff/kernels/copy.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using kernels::advance, kernels::copy_strided;

// start, step and length per axis, resolved against the shape `whole`.
struct SliceAttrs {
  Shape whole, length;
  Dims start, step;
  std::string str() const {
    return "from " + start.str() + " step " + step.str() + " length " + length.str();
  }
  bool operator==(const SliceAttrs&) const = default;
};

struct Window {
  kernels::Strides strides{};
  std::int64_t first = 0;
  explicit Window(const SliceAttrs& s) {
    const kernels::Strides own = kernels::row_major(s.whole);
    for (int i = 0; i < s.whole.rank(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      strides[k] = own[k] * s.step[i];
      first += own[k] * s.start[i];
    }
  }
};

void slice_kernel(const KernelArgs& a) {
  const auto& s = get_attrs<SliceAttrs>(a.attrs);
  const Window w(s);
  const std::size_t bytes = size_of(a.spec.dtype);
  copy_strided(advance(a.in[0].data, w.first, bytes), w.strides, a.out,
               kernels::row_major(s.length), s.length, bytes);
}

void unslice_kernel(const KernelArgs& a) {
  const auto& s = get_attrs<SliceAttrs>(a.attrs);
  const Window w(s);
  const std::size_t bytes = size_of(a.spec.dtype);
  std::memset(a.out, 0, a.spec.nbytes());
  copy_strided(a.in[0].data, kernels::row_major(s.length), advance(a.out, w.first, bytes),
               w.strides, s.length, bytes);
}

Var unslice(const Var& x, const SliceAttrs& s);
Var slice(const Var& x, const SliceAttrs& s);

struct SliceCase {
  Shape shape;
  std::vector<Slice> slices;
};

std::vector<SliceCase> slice_cases() {
  return {{{5}, {{1, 4}}},
          {{5}, {{{}, {}, -1}}},
          {{6, 4}, {{1, {}, 2}, {-3, -1}}},
          {{3, 4}, {{}, {3, 0, -2}}},
          {{2, 3, 2, 2}, {{0, 1}, {}, {1, 2}}},
          {{4}, {{3, 2}}},
          {{0, 2}, {{0, 5}}}};
}

std::vector<Sample> slice_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const SliceCase& c : slice_cases()) {
    out.push_back({c.shape.str(), {s.draw(c.shape)}, [slices = c.slices](std::span<const Var> in) {
                     return xtape::slice(in[0], slices);
                   }});
  }
  return out;
}

// The gradient of a slice is what unslice computes; taking it exercises the op by its only user.
std::vector<Sample> unslice_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const SliceCase& c : slice_cases()) {
    const Shape small = xtape::slice(Tensor::zeros(c.shape), c.slices).shape();
    out.push_back(
        {small.str() + " in " + c.shape.str(), {s.draw(small)}, [c](std::span<const Var> in) {
           Tape* tape = in[0].tape();
           Tape own;
           const Var whole = (tape ? tape : &own)->variable(Tensor::zeros(c.shape, in[0].dtype()));
           return gradient(xtape::slice(whole, c.slices), whole, {.cotangent = in[0]});
         }});
  }
  return out;
}

constexpr Op kSlice{.name = "slice",
                    .math = "y = x[start:stop:step, …]",
                    .gradient = "x̄ = ȳ inside the slice, 0 outside",
                    .infer = [](const InferArgs& a) -> Spec {
                      return {get_attrs<SliceAttrs>(a.attrs).length, a.in[0]->dtype};
                    },
                    .kernel = slice_kernel,
                    .vjp = {{[](const Vjp& v) { return unslice(v.ct, v.attrs<SliceAttrs>()); }}},
                    .linear = Linear::joint,
                    .samples = slice_samples};

constexpr Op kUnslice{.name = "unslice",
                      .math = "y = 0, y[start:stop:step, …] = x",
                      .gradient = "x̄ = ȳ[start:stop:step, …]",
                      .infer = [](const InferArgs& a) -> Spec {
                        return {get_attrs<SliceAttrs>(a.attrs).whole, a.in[0]->dtype};
                      },
                      .kernel = unslice_kernel,
                      .vjp = {{[](const Vjp& v) { return slice(v.ct, v.attrs<SliceAttrs>()); }}},
                      .linear = Linear::joint,
                      .samples = unslice_samples};

Var unslice(const Var& x, const SliceAttrs& s) { return apply(kUnslice, {&x}, make_attrs(s)); }
Var slice(const Var& x, const SliceAttrs& s) { return apply(kSlice, {&x}, make_attrs(s)); }

// Python's rule for slice indices (CPython, PySlice_AdjustIndices).
void resolve(const Slice& s, std::int64_t n, SliceAttrs& out) {
  if (s.step == 0) throw ValueError("slice", "step 0: must be positive or negative");
  const bool up = s.step > 0;
  const std::int64_t low = up ? 0 : -1, high = up ? n : n - 1;
  const auto place = [&](const std::optional<std::int64_t>& p, std::int64_t otherwise) {
    if (!p) return otherwise;
    const std::int64_t from_front = *p < 0 ? *p + n : *p;
    return std::min(std::max(from_front, low), high);
  };
  const std::int64_t start = place(s.start, up ? low : high);
  const std::int64_t stop = place(s.stop, up ? high : low);
  const std::int64_t span = up ? stop - start : start - stop;
  const std::int64_t step =
      up ? s.step : -std::max(s.step, -std::numeric_limits<std::int64_t>::max());
  out.length.push_back(span > 0 ? (span - 1) / step + 1 : 0);
  out.start.push_back(out.length[out.length.rank() - 1] ? start : 0);
  out.step.push_back(s.step);
}

SliceAttrs resolve(const std::vector<Slice>& slices, const Shape& whole) {
  SliceAttrs s{whole, {}, {}, {}};
  if (static_cast<int>(slices.size()) > whole.rank()) {
    throw ShapeError("slice", std::to_string(slices.size()) + " slices of shape " + whole.str() +
                                  ": at most one for each axis");
  }
  for (int i = 0; i < whole.rank(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    resolve(k < slices.size() ? slices[k] : Slice{}, whole[i], s);
  }
  return s;
}

}  // namespace

// Of the axes of more than one element, all but the first have to be whole.
std::optional<std::int64_t> contiguous_part_of(const Attrs* slice) {
  const auto& s = get_attrs<SliceAttrs>(slice);
  bool begun = false;
  for (int i = 0; i < s.whole.rank(); ++i) {
    if (begun && s.length[i] != s.whole[i]) return {};
    if (s.length[i] > 1 && s.step[i] != 1) return {};
    begun |= s.length[i] != 1;
  }
  return Window(s).first;
}

Var slice(const Var& x, const std::vector<Slice>& slices) {
  return slice(x, resolve(slices, x.shape()));
}

Var unslice(const Var& x, const Shape& whole, const std::vector<Slice>& slices) {
  const SliceAttrs s = resolve(slices, whole);
  if (x.shape() != s.length) {
    throw ShapeError("unslice", "values " + x.shape().str() + " into a slice of shape " +
                                    s.length.str() + ": shapes must be equal");
  }
  return unslice(x, s);
}

Var slice(const Var& x, std::int64_t axis, const Slice& s) {
  std::vector<Slice> slices(static_cast<std::size_t>(normalize_axis("slice", axis, x.shape())) + 1);
  slices.back() = s;
  return slice(x, slices);
}

namespace families {
Family slicing() { return {&kSlice, &kUnslice}; }
}  // namespace families

}  // namespace xtape
