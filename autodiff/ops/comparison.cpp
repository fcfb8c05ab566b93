#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

struct Less {
  template <class T>
  bool operator()(T a, T b) const {
    return a < b;
  }
};
struct LessEqual {
  template <class T>
  bool operator()(T a, T b) const {
    return a <= b;
  }
};
struct Greater {
  template <class T>
  bool operator()(T a, T b) const {
    return a > b;
  }
};
struct GreaterEqual {
  template <class T>
  bool operator()(T a, T b) const {
    return a >= b;
  }
};
struct Equal {
  template <class T>
  bool operator()(T a, T b) const {
    return a == b;
  }
};
struct NotEqual {
  template <class T>
  bool operator()(T a, T b) const {
    return a != b;
  }
};

template <class F>
constexpr Op compare(std::string_view name, std::string_view math) {
  return pointwise(name, {math, "none: the result is boolean"}, comparison, any_binary_block<F>,
                   {{}, {}});
}

constexpr Op kLess = compare<Less>("less", "y = a < b");
constexpr Op kLessEqual = compare<LessEqual>("less_equal", "y = a ≤ b");
constexpr Op kGreater = compare<Greater>("greater", "y = a > b");
constexpr Op kGreaterEqual = compare<GreaterEqual>("greater_equal", "y = a ≥ b");
constexpr Op kEqual = compare<Equal>("equal", "y = (a = b)");
constexpr Op kNotEqual = compare<NotEqual>("not_equal", "y = (a ≠ b)");

Spec logical_infer(const InferArgs& a) {
  for (const Spec* s : a.in) {
    if (s->dtype == boolean) continue;
    throw DTypeError(a.op.name, std::string("an operand is ") + name(s->dtype) +
                                    ": takes booleans, write x > 0 or cast(x, boolean)");
  }
  return {a.in.size() == 1 ? a.in[0]->shape : broadcast(a.op.name, a.in[0]->shape, a.in[1]->shape),
          boolean};
}
template <class F>
constexpr Op logical(std::string_view name, F, std::string_view math) {
  return pointwise(name, {math, "none: the result is boolean"}, logical_infer,
                   [](const BlockArgs& a) { kernels::binary_block<F, bool>(F{}, a); }, {{}, {}});
}
constexpr Op kAnd = logical(
    "logical_and", [](bool a, bool b) { return a && b; }, "y = a and b");
constexpr Op kOr = logical(
    "logical_or", [](bool a, bool b) { return a || b; }, "y = a or b");
constexpr Op kXor = logical(
    "logical_xor", [](bool a, bool b) { return a != b; }, "y = a or b, not both");
constexpr Op kNot =
    pointwise("logical_not", {"y = not a", "none: the result is boolean"}, logical_infer,
              [](const BlockArgs& a) {
                const auto f = [](bool x) { return !x; };
                kernels::unary_block<decltype(f), bool>(f, a);
              },
              {{}});

// On booleans drawn from numbers: samples of other dtypes would only be refused.
std::vector<Sample> logical_samples(const Sampler& s) {
  std::vector<Sample> out = elementwise_samples(s);
  const Op* self = &s.op;
  for (Sample& sample : out) {
    sample.call = [self](std::span<const Var> in) {
      std::vector<Var> masks;
      for (const Var& x : in) masks.push_back(cast(x > 0, boolean));
      std::vector<const Var*> p;
      for (const Var& m : masks) p.push_back(&m);
      return xtape::apply(*self, p);
    };
  }
  return out;
}
constexpr Op on_masks(Op op) {
  op.samples = logical_samples;
  return op;
}
constexpr Op kLogicalAnd = on_masks(kAnd), kLogicalOr = on_masks(kOr), kLogicalXor = on_masks(kXor),
             kLogicalNot = on_masks(kNot);

template <class F>
constexpr Op test_of(std::string_view name, F, std::string_view math) {
  return pointwise(
      name, {math, "none: the result is boolean"},
      [](const InferArgs& a) -> Spec {
        return {floating_unary(a).shape, boolean};
      },
      [](const BlockArgs& a) {
        dispatch_floating(a.dtype, [&](auto t) { kernels::unary_block<F, decltype(t)>(F{}, a); });
      },
      {{}});
}
constexpr Op kIsNan = test_of(
    "is_nan", [](auto x) { return x != x; }, "y = x is NaN");
constexpr Op kIsFinite = test_of(
    "is_finite", [](auto x) { return x - x == 0; }, "y = x is finite");
constexpr Op kIsInf = test_of(
    "is_inf", [](auto x) { return x == x && x - x != 0; }, "y = x is ±∞");

constexpr Op kIsClose =
    composed("is_close", {"y = |a − b| ≤ atol + rtol |b|", "none: boolean"}, [](const Sampler& s) {
      std::vector<Sample> out;
      for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{0}}) {
        out.push_back({shape.str(), {s.draw(shape), s.draw({1})}, [](std::span<const Var> in) {
                         return is_close(in[0], in[1], {.rtol = 0.5});
                       }});
      }
      return out;
    });

constexpr Op kMaskedFill = composed(
    "masked_fill", {"y = v where m, else x", "x̄ = 0 where m, else ȳ; v̄ = Σ ȳ where m"},
    [](const Sampler& s) {
      std::vector<Sample> out;
      const Sampler mask{s.rng, boolean, s.op};
      for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{0}}) {
        const Tensor m = mask.draw(shape);
        out.push_back({shape.str(), {s.draw(shape), s.draw({})}, [m](std::span<const Var> in) {
                         return masked_fill(in[0], m, in[1]);
                       }});
      }
      return out;
    });

Spec where_infer(const InferArgs& a) {
  if (a.in[0]->dtype != boolean) {
    throw DTypeError("where", std::string("the mask is ") + name(a.in[0]->dtype) +
                                  ": it must be boolean, write x > 0 or cast(x, boolean)");
  }
  check_same_dtype(a.op, *a.in[1], *a.in[2]);
  const Shape branches = broadcast("where", a.in[1]->shape, a.in[2]->shape);
  return {broadcast("where", a.in[0]->shape, branches), a.in[1]->dtype};
}

void where_block(const BlockArgs& a) {
  dispatch(a.dtype, [&](auto t) {
    using T = decltype(t);
    kernels::ternary_block<bool, T>([](bool m, T x, T y) { return m ? x : y; }, a);
  });
}

std::vector<Sample> where_samples(const Sampler& s) {
  std::vector<Sample> out;
  const Sampler mask{s.rng, boolean, s.op};
  const auto add = [&](const Shape& m, const Shape& a, const Shape& b) {
    const Tensor fixed = mask.draw(m);
    out.push_back({m.str() + a.str() + b.str(),
                   {s.draw(a), s.draw(b)},
                   [fixed](std::span<const Var> in) { return where(fixed, in[0], in[1]); }});
  };
  add({}, {}, {});
  add({0}, {0}, {1});
  add({2, 3}, {2, 3}, {2, 3});
  add({2, 3}, {2, 3}, {});
  add({2, 3}, {}, {2, 3});
  add({2, 3}, {3}, {2, 1});
  add({2, 1}, {1, 3}, {4, 1, 1});
  add({}, {2, 3}, {3});
  return out;
}

constexpr Op kWhere{.name = "where",
                    .math = "y = a where m, else b",
                    .gradient = "ā = ȳ where m, else 0; b̄ = 0 where m, else ȳ",
                    .arity = 3,
                    .infer = where_infer,
                    .kernel = kernels::elementwise,
                    .block = where_block,
                    .vjp = {{},
                            {[](const Vjp& v) { return where(v.in(0), v.ct, 0); }, reads_in(0)},
                            {[](const Vjp& v) { return where(v.in(0), 0, v.ct); }, reads_in(0)}},
                    .broadcasts = true,
                    .samples = where_samples};

struct CastAttrs {
  DType dtype;
  std::string str() const { return name(dtype); }
  bool operator==(const CastAttrs&) const = default;
};

void cast_block(const BlockArgs& a) {
  dispatch(a.dtype, [&](auto from) {
    dispatch(get_attrs<CastAttrs>(a.attrs).dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      const auto f = [](From x) { return static_cast<To>(x); };
      kernels::unary_block<decltype(f), From>(f, a);
    });
  });
}

std::vector<Sample> cast_samples(const Sampler& s) {
  std::vector<Sample> out = elementwise_samples(s);
  // Through an integer dtype gradients end; between the floating ones f32 would spoil differences.
  for (Sample& sample : out) {
    sample.call = [](std::span<const Var> in) {
      return cast(cast(in[0], f64), in[0].dtype()) * cast(in[0], in[0].dtype());
    };
  }
  return out;
}

constexpr Op kCast{.name = "cast",
                   .math = "y = x in another dtype",
                   .gradient = "x̄ = ȳ in the dtype of x",
                   .infer = [](const InferArgs& a) -> Spec {
                     return {a.in[0]->shape, get_attrs<CastAttrs>(a.attrs).dtype};
                   },
                   .kernel = kernels::elementwise,
                   .block = cast_block,
                   .vjp = {{[](const Vjp& v) { return cast(v.ct, v.in_spec().dtype); }}},
                   .simplify = [](const Rewrite& r) { return r.same(0); },
                   .samples = cast_samples};

}  // namespace

Var less(const Var& a, const Var& b) { return apply(kLess, {&a, &b}); }
Var less_equal(const Var& a, const Var& b) { return apply(kLessEqual, {&a, &b}); }
Var greater(const Var& a, const Var& b) { return apply(kGreater, {&a, &b}); }
Var greater_equal(const Var& a, const Var& b) { return apply(kGreaterEqual, {&a, &b}); }
Var equal(const Var& a, const Var& b) { return apply(kEqual, {&a, &b}); }
Var not_equal(const Var& a, const Var& b) { return apply(kNotEqual, {&a, &b}); }
Var where(const Var& mask, const Var& a, const Var& b) { return apply(kWhere, {&mask, &a, &b}); }

Var cast(const Var& x, DType dtype) { return apply(kCast, {&x}, make_attrs(CastAttrs{dtype})); }

Var logical_and(const Var& a, const Var& b) { return apply(kLogicalAnd, {&a, &b}); }
Var logical_or(const Var& a, const Var& b) { return apply(kLogicalOr, {&a, &b}); }
Var logical_xor(const Var& a, const Var& b) { return apply(kLogicalXor, {&a, &b}); }
Var logical_not(const Var& a) { return apply(kLogicalNot, {&a}); }
Var is_nan(const Var& x) { return apply(kIsNan, {&x}); }
Var is_finite(const Var& x) { return apply(kIsFinite, {&x}); }
Var is_inf(const Var& x) { return apply(kIsInf, {&x}); }

Var is_close(const Var& a, const Var& b, const CloseOptions& o) {
  const Var x = beside(a, b), y = beside(b, a);
  // Infinities are close to themselves only; their difference is NaN or infinite.
  const Var near = logical_and(abs(x - y) <= o.atol + o.rtol * abs(y), is_finite(y));
  const Var close = logical_or(equal(x, y), near);
  return o.equal_nan ? logical_or(close, logical_and(is_nan(x), is_nan(y))) : close;
}

Var masked_fill(const Var& x, const Var& mask, const Var& value) {
  return where(mask, beside(value, x), beside(x, value));
}

namespace families {
Family comparison() {
  return {&kLess,  &kLessEqual, &kGreater,    &kGreaterEqual, &kEqual,      &kNotEqual,
          &kWhere, &kCast,      &kLogicalAnd, &kLogicalOr,    &kLogicalXor, &kLogicalNot,
          &kIsNan, &kIsFinite,  &kIsInf,      &kIsClose,      &kMaskedFill};
}
}  // namespace families

}  // namespace xtape
