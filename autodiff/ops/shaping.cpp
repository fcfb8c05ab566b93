#include <cstring>
#include <utility>

#include <xtape/autodiff/kernels/copy.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using kernels::advance, kernels::copy_strided;

struct ShapeAttrs {
  Shape shape;
  std::string str() const { return shape.str(); }
  bool operator==(const ShapeAttrs&) const = default;
};

struct PermAttrs {
  Axes perm;
  std::string str() const { return perm.str(); }
  bool operator==(const PermAttrs&) const = default;
};

// --- reshape --------------------------------------------------------------------------------

void copy_kernel(const KernelArgs& a) { std::memcpy(a.out, a.in[0].data, a.spec.nbytes()); }

std::vector<Sample> reshape_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& from, const Shape& to) {
    out.push_back({from.str() + " to " + to.str(), {s.draw(from)}, [to](std::span<const Var> in) {
                     return reshape(in[0], to);
                   }});
  };
  add({}, {1, 1});
  add({6}, {2, 3});
  add({2, 3, 1, 2}, {-1, 4});
  add({0, 3}, {3, 0});
  add({1}, {});
  return out;
}

constexpr Op kReshape{.name = "reshape",
                      .math = "y = x under another shape",
                      .gradient = "x̄ = ȳ under the shape of x",
                      .infer = [](const InferArgs& a) -> Spec {
                        return {get_attrs<ShapeAttrs>(a.attrs).shape, a.in[0]->dtype};
                      },
                      .kernel = copy_kernel,
                      .vjp = {{[](const Vjp& v) { return reshape(v.ct, v.in_spec().shape); }}},
                      .aliases = true,
                      .simplify = [](const Rewrite& r) -> Var {
                        const Op* maker = r.maker(r.in(0));
                        if (r.same(0).defined()) return r.same(0);
                        return maker && maker->name == "reshape"
                                   ? reshape(r.operand(r.in(0), 0), r.spec().shape)
                                   : Var();
                      },
                      .samples = reshape_samples};

std::vector<Sample> stop_gradient_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{0}}) {
    out.push_back({shape.str(), {s.draw(shape)}, [](std::span<const Var> in) {
                     return in[0] * stop_gradient(1 + sign(in[0]));  // flat where it is smooth
                   }});
  }
  return out;
}

constexpr Op kStopGradient = avoiding({.name = "stop_gradient",
                                       .math = "y = x",
                                       .gradient = "none: y counts as a constant",
                                       .infer = [](const InferArgs& a) { return *a.in[0]; },
                                       .kernel = copy_kernel,
                                       .aliases = true,
                                       .samples = stop_gradient_samples},
                                      0);

// --- broadcast_to ---------------------------------------------------------------------------

Spec broadcast_infer(const InferArgs& a) {
  const Shape& want = get_attrs<ShapeAttrs>(a.attrs).shape;
  const Shape& have = a.in[0]->shape;
  if (have.rank() > want.rank() || broadcast("broadcast_to", have, want) != want) {
    throw ShapeError("broadcast_to",
                     "shape " + have.str() + " does not broadcast to " + want.str());
  }
  return {want, a.in[0]->dtype};
}

void broadcast_kernel(const KernelArgs& a) {
  const Shape& shape = a.spec.shape;
  copy_strided(a.in[0].data, kernels::broadcast_strides(a.in[0].spec->shape, shape), a.out,
               kernels::row_major(shape), shape, size_of(a.spec.dtype));
}

std::vector<Sample> broadcast_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& from, const Shape& to) {
    out.push_back({from.str() + " to " + to.str(), {s.draw(from)}, [to](std::span<const Var> in) {
                     return broadcast_to(in[0], to);
                   }});
  };
  add({}, {2, 3});
  add({3}, {2, 3});
  add({2, 1}, {2, 3});
  add({1, 2, 1}, {2, 3, 2, 4});
  add({1}, {0});
  return out;
}

constexpr Op kBroadcast{.name = "broadcast_to",
                        .math = "y = x, repeated",
                        .gradient = "x̄ = Σ ȳ over the repeats",
                        .infer = broadcast_infer,
                        .kernel = broadcast_kernel,
                        .vjp = {{pass}},
                        .broadcasts = true,
                        .repeats = true,
                        .simplify = [](const Rewrite& r) { return r.same(0); },
                        .samples = broadcast_samples};

// --- transpose ------------------------------------------------------------------------------

Spec transpose_infer(const InferArgs& a) {
  const Axes& perm = get_attrs<PermAttrs>(a.attrs).perm;
  Shape out;
  for (const std::int64_t p : perm) out.push_back(a.in[0]->shape[static_cast<int>(p)]);
  return {out, a.in[0]->dtype};
}

void transpose_kernel(const KernelArgs& a) {
  const Axes& perm = get_attrs<PermAttrs>(a.attrs).perm;
  const kernels::Strides own = kernels::row_major(a.in[0].spec->shape);
  kernels::Strides from{};
  for (int i = 0; i < perm.rank(); ++i) {
    from[static_cast<std::size_t>(i)] = own[static_cast<std::size_t>(perm[i])];
  }
  copy_strided(a.in[0].data, from, a.out, kernels::row_major(a.spec.shape), a.spec.shape,
               size_of(a.spec.dtype));
}

Var transpose_vjp(const Vjp& v) {
  const Axes& perm = v.attrs<PermAttrs>().perm;
  Axes inverse = perm;
  for (int i = 0; i < perm.rank(); ++i) inverse[static_cast<int>(perm[i])] = i;
  return transpose(v.ct, inverse);
}

std::vector<Sample> transpose_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, const Axes& perm) {
    out.push_back({shape.str() + " by " + perm.str(),
                   {s.draw(shape)},
                   [perm](std::span<const Var> in) { return transpose(in[0], perm); }});
  };
  add({}, {});
  add({4}, {});
  add({2, 3}, {});
  add({2, 3, 4}, {1, 2, 0});
  add({2, 1, 3, 2}, {0, -1, 2, 1});
  add({0, 3}, {});
  return out;
}

constexpr Op kTranspose{.name = "transpose",
                        .math = "y = x with its axes permuted",
                        .gradient = "x̄ = ȳ with the inverse permutation",
                        .infer = transpose_infer,
                        .kernel = transpose_kernel,
                        .vjp = {{transpose_vjp}},
                        .samples = transpose_samples};

// --- concat ---------------------------------------------------------------------------------

struct ConcatAttrs {
  std::int64_t axis;
  std::vector<std::int64_t> begin;  // where each input starts along the axis
  std::string str() const { return "axis " + std::to_string(axis); }
  bool operator==(const ConcatAttrs&) const = default;
};

Spec concat_infer(const InferArgs& a) {
  const int axis = static_cast<int>(get_attrs<ConcatAttrs>(a.attrs).axis);
  Spec out = *a.in[0];
  out.shape[axis] = 0;
  for (const Spec* s : a.in) {
    check_same_dtype(a.op, *a.in[0], *s);
    Shape rest = s->shape, first = a.in[0]->shape;
    if (rest.rank() == first.rank()) rest[axis] = first[axis] = 0;
    if (rest != first) {
      throw ShapeError("concat", "shapes " + a.in[0]->shape.str() + " and " + s->shape.str() +
                                     " along axis " + std::to_string(axis) +
                                     ": all other extents must agree");
    }
    out.shape[axis] += s->shape[axis];
  }
  return out;
}

void concat_kernel(const KernelArgs& a) {
  const int axis = static_cast<int>(get_attrs<ConcatAttrs>(a.attrs).axis);
  const std::size_t bytes = size_of(a.spec.dtype);
  const kernels::Strides to = kernels::row_major(a.spec.shape);
  const auto& begin = get_attrs<ConcatAttrs>(a.attrs).begin;
  for (std::size_t i = 0; i < a.in.size(); ++i) {
    const Shape& shape = a.in[i].spec->shape;
    copy_strided(a.in[i].data, kernels::row_major(shape),
                 advance(a.out, begin[i] * to[static_cast<std::size_t>(axis)], bytes), to, shape,
                 bytes);
  }
}

Var concat_vjp(const Vjp& v) {
  const auto& a = v.attrs<ConcatAttrs>();
  const std::int64_t begin = a.begin[static_cast<std::size_t>(v.arg)];
  const std::int64_t extent = v.in_spec().shape[static_cast<int>(a.axis)];
  return xtape::slice(v.ct, a.axis, {begin, begin + extent});
}

std::vector<Sample> concat_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const std::vector<Shape>& shapes, std::int64_t axis) {
    Sample sample{"axis " + std::to_string(axis), {}, [axis](std::span<const Var> in) {
                    return concat({in.begin(), in.end()}, axis);
                  }};
    for (const Shape& shape : shapes) sample.inputs.push_back(s.draw(shape));
    out.push_back(sample);
  };
  add({{3}}, 0);
  add({{3}, {2}}, 0);
  add({{2, 3}, {2, 1}, {2, 2}}, 1);
  add({{2, 3}, {0, 3}, {1, 3}, {1, 3}, {2, 3}}, -2);
  add({{2, 1, 3, 2}, {2, 2, 3, 2}}, 1);
  return out;
}

constexpr Op kConcat{.name = "concat",
                     .math = "y = x₀, x₁, … joined along an axis",
                     .gradient = "x̄ᵢ = the part of ȳ that came from xᵢ",
                     .arity = -1,
                     .infer = concat_infer,
                     .kernel = concat_kernel,
                     .vjp = {{concat_vjp}},
                     .samples = concat_samples};

}  // namespace

Var reshape(const Var& x, const Shape& shape) {
  // The one open extent is settled here, so that attributes are always whole.
  return apply(kReshape, {&x}, make_attrs(ShapeAttrs{x.value().reshape(shape).shape()}));
}

Var stop_gradient(const Var& x) { return apply(kStopGradient, {&x}); }

Axes permutation(const Attrs* a) { return get_attrs<PermAttrs>(a).perm; }

Var broadcast_to(const Var& x, const Shape& shape) {
  return apply(kBroadcast, {&x}, make_attrs(ShapeAttrs{shape}));
}

Var transpose(const Var& x, const Axes& perm) {
  const Shape& shape = x.shape();
  Axes order;
  for (int i = shape.rank(); perm.empty() && i-- > 0;) order.push_back(i);
  for (const std::int64_t p : perm) order.push_back(normalize_axis("transpose", p, shape));
  if (normalize_axes("transpose", order, shape).rank() != order.rank() ||
      order.rank() != shape.rank()) {
    throw ShapeError("transpose", "permutation " + perm.str() + " of shape " + shape.str() +
                                      ": every axis must stand once");
  }
  return apply(kTranspose, {&x}, make_attrs(PermAttrs{order}));
}

Var concat(const std::vector<Var>& xs, std::int64_t axis) {
  if (xs.empty()) throw ShapeError("concat", "no operands: there is nothing to join");
  ConcatAttrs attrs{normalize_axis("concat", axis, xs[0].shape()), {}};
  std::vector<const Var*> in;
  std::int64_t at = 0;
  for (const Var& x : xs) {
    in.push_back(&x);
    attrs.begin.push_back(at);
    if (attrs.axis < x.rank()) at += x.shape()[static_cast<int>(attrs.axis)];
  }
  return apply(kConcat, in, make_attrs(std::move(attrs)));
}

std::vector<Var> beside_each_other(const std::vector<Var>& xs) {
  std::vector<Var> out;
  for (const Var& x : xs) {
    Var joined = x;
    for (const Var& other : xs) {
      if (other.tape()) joined = beside(joined, other);
    }
    for (const Var& other : xs) joined = beside(joined, other);  // one may come from no_grad
    out.push_back(joined);
  }
  return out;
}

Var stack(const std::vector<Var>& xs, std::int64_t axis) {
  if (xs.empty()) throw ShapeError("stack", "no operands: there is nothing to join");
  const Shape& shape = xs[0].shape();
  const std::int64_t at = axis < 0 ? axis + shape.rank() + 1 : axis;
  Shape wider(shape.begin(), shape.end());
  wider.push_back(1);
  normalize_axis("stack", axis, wider);
  for (int i = shape.rank(); i > at; --i) wider[i] = shape[i - 1];
  wider[static_cast<int>(at)] = 1;
  std::vector<Var> parts;
  for (const Var& x : beside_each_other(xs)) {
    if (x.shape() != shape) {
      throw ShapeError("stack",
                       "shapes " + shape.str() + " and " + x.shape().str() + ": all must be equal");
    }
    parts.push_back(reshape(x, wider));
  }
  return concat(parts, at);
}

namespace families {
Family shaping() { return {&kReshape, &kStopGradient, &kBroadcast, &kTranspose, &kConcat}; }
}  // namespace families

}  // namespace xtape
