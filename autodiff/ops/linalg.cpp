#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include <xtape/autodiff/kernels/finite.hpp>
#include <xtape/autodiff/kernels/gemm.hpp>
#include <xtape/autodiff/kernels/strided.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>
#include <xtape/autodiff/threads.hpp>

namespace xtape {
namespace {

using namespace rules;

struct MatmulAttrs {
  bool ta, tb;
  std::string str() const { return std::string(ta ? "aᵀ" : "a") + (tb ? " bᵀ" : " b"); }
  bool operator==(const MatmulAttrs&) const = default;
};

Shape leading(const Shape& s) { return Shape(s.begin(), s.end() - 2); }

// m, n, k of the product, without checking that the inner extents agree.
kernels::Gemm extents(const Shape& a, const Shape& b, const MatmulAttrs& t) {
  const int ra = a.rank(), rb = b.rank();
  return {a[ra - (t.ta ? 1 : 2)], b[rb - (t.tb ? 2 : 1)], a[ra - (t.ta ? 2 : 1)], t.ta, t.tb};
}

Spec matmul_infer(const InferArgs& args) {
  const Spec &a = *args.in[0], &b = *args.in[1];
  const auto& t = get_attrs<MatmulAttrs>(args.attrs);
  check_same_dtype(args.op, a, b);
  floating_unary(args);
  const kernels::Gemm g = extents(a.shape, b.shape, t);
  const std::int64_t k = b.shape[b.shape.rank() - (t.tb ? 1 : 2)];
  if (g.k != k) {
    throw ShapeError("matmul", "shapes " + a.shape.str() + (t.ta ? "ᵀ" : "") + " and " +
                                   b.shape.str() + (t.tb ? "ᵀ" : "") +
                                   ": inner extents must agree, " + std::to_string(g.k) + " ≠ " +
                                   std::to_string(k));
  }
  Shape out = broadcast("matmul", leading(a.shape), leading(b.shape));
  out.push_back(g.m);
  out.push_back(g.n);
  return {out, a.dtype};
}

// The product for operands of known shapes; a batch of matrices where they have more axes. One
// product is shared out by gemm itself, where it is large enough; many small ones are here.
class PreparedMatmul final : public Prepared {
 public:
  PreparedMatmul(const Shape& a, const Shape& b, const Shape& out, DType dtype,
                 const MatmulAttrs& t)
      : g_(extents(a, b, t)), dtype_(dtype), batch_(leading(out)), count_(batch_.size()) {
    if (batch_.rank() == 0) return;
    a_ = kernels::broadcast_strides(leading(a), batch_);
    b_ = kernels::broadcast_strides(leading(b), batch_);
  }

  void run(const void* const* in, void* out) const override {
    dispatch_floating(dtype_, [&](auto zero) {
      using T = decltype(zero);
      const auto *a = static_cast<const T*>(in[0]), *b = static_cast<const T*>(in[1]);
      auto* c = static_cast<T*>(out);
      if (batch_.rank() == 0) return kernels::gemm(g_, a, b, c);
      many(a, b, c);
    });
  }

 private:
  template <class T>
  void many(const T* a, const T* b, T* c) const {
    const auto products = [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const auto [in_a, in_b] = offsets(i);
        kernels::gemm(g_, a + in_a * g_.m * g_.k, b + in_b * g_.k * g_.n, c + i * g_.m * g_.n);
      }
    };
    const std::int64_t work = std::max<std::int64_t>(g_.m * g_.n * g_.k, 1);
    const std::int64_t portion = std::max<std::int64_t>(kernels::kWorkPerPiece / work, 1);
    const bool share =
        count_ * work >= 2 * kernels::kWorkPerPiece && work < 2 * kernels::kWorkPerPiece;
    if (!share) return products(0, count_);
    detail::parallel_for((count_ + portion - 1) / portion, [&](std::int64_t piece) {
      products(piece * portion, std::min(count_, (piece + 1) * portion));
    });
  }

  // Where the operands of product i begin, counted in matrices.
  std::pair<std::int64_t, std::int64_t> offsets(std::int64_t i) const {
    std::int64_t in_a = 0, in_b = 0;
    for (int axis = batch_.rank(); axis-- > 0; i /= batch_[axis]) {
      const auto k = static_cast<std::size_t>(axis);
      in_a += i % batch_[axis] * a_[k];
      in_b += i % batch_[axis] * b_[k];
    }
    return {in_a, in_b};
  }

  kernels::Gemm g_;
  DType dtype_;
  Shape batch_;
  std::int64_t count_;
  kernels::Strides a_, b_;
};

void matmul_kernel(const KernelArgs& args) {
  const void* in[] = {args.in[0].data, args.in[1].data};
  PreparedMatmul(args.in[0].spec->shape, args.in[1].spec->shape, args.spec.shape, args.spec.dtype,
                 get_attrs<MatmulAttrs>(args.attrs))
      .run(in, args.out);
}

Prepared* prepare_matmul(const InferArgs& args, const Spec& out) {
  return new PreparedMatmul(args.in[0]->shape, args.in[1]->shape, out.shape, out.dtype,
                            get_attrs<MatmulAttrs>(args.attrs));
}

// c = op(a) op(b): ā = c̄ op(b)ᵀ and b̄ = op(a)ᵀ c̄, transposed once more where the operand is.
Var matmul_vjp_a(const Vjp& v) {
  const auto& t = v.attrs<MatmulAttrs>();
  const Var b = v.in(1);
  return t.ta ? matmul(b, v.ct, {t.tb, true}) : matmul(v.ct, b, {false, !t.tb});
}
Var matmul_vjp_b(const Vjp& v) {
  const auto& t = v.attrs<MatmulAttrs>();
  const Var a = v.in(0);
  return t.tb ? matmul(v.ct, a, {true, t.ta}) : matmul(a, v.ct, {!t.ta, false});
}

// A transposed operand is a flag of the product.
Var matmul_simplify(const Rewrite& r) {
  auto t = r.attrs<MatmulAttrs>();
  Var operand[2] = {r.in(0), r.in(1)};
  bool changed = false;
  for (const int k : {0, 1}) {
    const Op* maker = r.maker(operand[k]);
    if (!maker || maker->name != "transpose") continue;
    const Var inside = r.operand(operand[k], 0);
    const int rank = inside.rank();
    Axes swapped;
    for (int i = 0; i < rank; ++i) swapped.push_back(i < rank - 2 ? i : 2 * rank - 3 - i);
    if (!(permutation(r.attrs_of(operand[k])) == swapped)) continue;
    operand[k] = inside;
    bool& flag = k == 0 ? t.ta : t.tb;
    flag = !flag;
    changed = true;
  }
  return changed ? apply(r.op(), {&operand[0], &operand[1]}, make_attrs(t)) : Var();
}

double matmul_flop(const InferArgs& args, const Spec& out) {
  const Shape& a = args.in[args.in.size() == 4 ? 1 : 0]->shape;
  const bool ta = get_attrs<MatmulAttrs>(args.attrs).ta;
  return 2 * static_cast<double>(out.shape.size()) *
         static_cast<double>(a[a.rank() - (ta ? 2 : 1)]);
}

std::vector<Sample> matmul_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& a, const Shape& b, MatmulOptions o = {}) {
    out.push_back({a.str() + (o.transpose_a ? "ᵀ " : " ") + b.str() + (o.transpose_b ? "ᵀ" : ""),
                   {s.draw(a), s.draw(b)},
                   [o](std::span<const Var> in) { return matmul(in[0], in[1], o); }});
  };
  add({2, 3}, {3, 4});
  add({3, 2}, {3, 4}, {true, false});
  add({2, 3}, {4, 3}, {false, true});
  add({3, 2}, {4, 3}, {true, true});
  add({9, 11}, {11, 10});
  add({11, 9}, {10, 11}, {true, true});
  add({3}, {3});
  add({3}, {3, 2});
  add({2, 3}, {3});
  add({2, 4, 3}, {3, 2});
  add({2, 4, 3}, {2, 3}, {false, true});
  add({2, 4, 3}, {4, 2}, {true, false});
  add({3, 2, 2}, {3, 2, 2});
  add({2, 1, 2, 3}, {3, 3, 2});
  add({1, 1}, {1, 1});
  add({2, 0}, {0, 3});
  add({0, 2}, {2, 3});
  return out;
}

constexpr Op kMatmul{.name = "matmul",
                     .math = "y[i, j] = Σₖ a[i, k] b[k, j]",
                     .gradient = "ā = ȳ bᵀ, b̄ = aᵀ ȳ",
                     .arity = 2,
                     .infer = matmul_infer,
                     .kernel = matmul_kernel,
                     .vjp = {{matmul_vjp_a, reads_in(1)}, {matmul_vjp_b, reads_in(0)}},
                     .broadcasts = true,
                     .linear = Linear::each,
                     .flop = matmul_flop,
                     .prepare = prepare_matmul,
                     .simplify = matmul_simplify,
                     .samples = matmul_samples};

// --- c + s·a b: what a gradient step does to a weight -----------------------------------------

Spec add_product_infer(const InferArgs& args) {
  const Spec product = matmul_infer({args.op, args.in.subspan(1, 2), args.attrs});
  const Spec &c = *args.in[0], &s = *args.in[3];
  check_same_dtype(args.op, c, product);
  check_same_dtype(args.op, c, s);
  if (product.shape.rank() != 2 || c.shape != product.shape || s.shape.size() != 1) {
    throw ShapeError(args.op.name, "c of shape " + c.shape.str() + ", a product of shape " +
                                       product.shape.str() + ", s of shape " + s.shape.str() +
                                       ": c and the product must be equal matrices, s one number");
  }
  return c;
}

class PreparedAddProduct final : public Prepared {
 public:
  PreparedAddProduct(const Shape& a, const Shape& b, const Spec& out, const MatmulAttrs& t)
      : g_(extents(a, b, t)), dtype_(out.dtype), bytes_(out.nbytes()) {}

  void run(const void* const* in, void* out) const override {
    if (out != in[0]) std::memcpy(out, in[0], bytes_);
    kernels::Gemm g = g_;
    dispatch_floating(dtype_, [&](auto zero) {
      using T = decltype(zero);
      g.alpha = static_cast<double>(*static_cast<const T*>(in[3]));
      g.beta = 1;
      kernels::gemm(g, static_cast<const T*>(in[1]), static_cast<const T*>(in[2]),
                    static_cast<T*>(out));
    });
  }

 private:
  kernels::Gemm g_;
  DType dtype_;
  std::size_t bytes_;
};

void add_product_kernel(const KernelArgs& args) {
  const void* in[] = {args.in[0].data, args.in[1].data, args.in[2].data, args.in[3].data};
  PreparedAddProduct(args.in[1].spec->shape, args.in[2].spec->shape, args.spec,
                     get_attrs<MatmulAttrs>(args.attrs))
      .run(in, args.out);
}

Prepared* prepare_add_product(const InferArgs& args, const Spec& out) {
  return new PreparedAddProduct(args.in[1]->shape, args.in[2]->shape, out,
                                get_attrs<MatmulAttrs>(args.attrs));
}

MatmulOptions options(const MatmulAttrs& t) { return {t.ta, t.tb}; }

Var product_of(const Vjp& v) { return matmul(v.in(1), v.in(2), options(v.attrs<MatmulAttrs>())); }

std::vector<Sample> add_product_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& c, const Shape& a, const Shape& b, const Shape& number,
                       MatmulAttrs t) {
    out.push_back({c.str() + t.str(),
                   {s.draw(c), s.draw(a), s.draw(b), s.draw(number)},
                   [t](std::span<const Var> in) {
                     const AttrsRef attrs = make_attrs(t);
                     return add_product(in[0], in[1], in[2], in[3], attrs.get());
                   }});
  };
  add({2, 4}, {2, 3}, {3, 4}, {}, {false, false});
  add({2, 4}, {3, 2}, {4, 3}, {1, 1}, {true, true});
  add({9, 10}, {9, 11}, {10, 11}, {}, {false, true});
  add({9, 10}, {11, 9}, {11, 10}, {}, {true, false});
  add({2, 3}, {2, 0}, {0, 3}, {}, {false, false});
  return out;
}

constexpr Op kAddProduct{
    .name = "add_product",
    .math = "y = c + s a b",
    .gradient = "c̄ = ȳ, ā = s ȳ bᵀ, b̄ = s aᵀ ȳ, s̄ = Σ ȳ a b",
    .arity = 4,
    .infer = add_product_infer,
    .kernel = add_product_kernel,
    .vjp = {{pass},
            {[](const Vjp& v) {
               const auto& t = v.attrs<MatmulAttrs>();
               const Var ct = chain(v.ct, v.in(3)), b = v.in(2);
               return t.ta ? matmul(b, ct, {t.tb, true}) : matmul(ct, b, {false, !t.tb});
             },
             reads_in(2) | reads_in(3)},
            {[](const Vjp& v) {
               const auto& t = v.attrs<MatmulAttrs>();
               const Var ct = chain(v.ct, v.in(3)), a = v.in(1);
               return t.tb ? matmul(ct, a, {true, t.ta}) : matmul(a, ct, {!t.ta, false});
             },
             reads_in(1) | reads_in(3)},
            {[](const Vjp& v) {
               return reshape(sum(chain(v.ct, product_of(v))), v.in_spec().shape);
             },
             reads_in(1) | reads_in(2)}},
    .in_place = 0,
    .flop = matmul_flop,
    .prepare = prepare_add_product,
    .samples = add_product_samples};

[[noreturn]] void throw_operand(const Shape& a, const Shape& b, const char* rule) {
  throw ShapeError("matmul", "shapes " + a.str() + " and " + b.str() + ": " + rule);
}

// --- a product that must be finite, looked at without computing it ----------------------------

struct CheckedProductAttrs {
  MatmulAttrs t;
  FiniteCheck check;
  std::string str() const { return check.what; }
  bool operator==(const CheckedProductAttrs&) const = default;
};

// |a b| ≤ k max|a| max|b|: where that bound is within the limit, so is the product and every sum on
// the way. Where it is not, the product itself is looked at, which is rare and may cost.
void checked_product_kernel(const KernelArgs& args) {
  const auto& attrs = get_attrs<CheckedProductAttrs>(args.attrs);
  const Spec &a = *args.in[0].spec, &b = *args.in[1].spec;
  const kernels::Gemm g = extents(a.shape, b.shape, attrs.t);
  const double in_a = kernels::largest(args.in[0].data, a.dtype, a.shape.size());
  const double in_b = kernels::largest(args.in[1].data, b.dtype, b.shape.size());
  const double bound = in_a * in_b * static_cast<double>(g.k);
  if (bound <= attrs.check.limit(a.dtype) || in_a == 0 || in_b == 0) {
    if (std::isfinite(in_a) && std::isfinite(in_b)) return;
  }
  const AttrsRef t = make_attrs(attrs.t);
  const std::array<const Spec*, 2> specs{&a, &b};
  const Spec product = matmul_infer({args.op, specs, t.get()});
  const Tensor c = Tensor::empty(product.shape, product.dtype);
  const void* in[] = {args.in[0].data, args.in[1].data};
  PreparedMatmul(a.shape, b.shape, product.shape, product.dtype, attrs.t)
      .run(in, const_cast<void*>(c.raw()));
  attrs.check.look_at(c.raw(), product);
}

Spec checked_product_infer(const InferArgs& args) {
  const AttrsRef t = make_attrs(get_attrs<CheckedProductAttrs>(args.attrs).t);
  matmul_infer({args.op, args.in, t.get()});
  return *args.in[0];
}

std::vector<Sample> checked_product_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const bool t : {false, true}) {
    for (const Shape& shape : {Shape{2, 2}, Shape{3, 3}}) {
      out.push_back({shape.str(), {s.draw(shape), s.draw(shape)}, [t](std::span<const Var> in) {
                       const AttrsRef attrs = make_attrs(MatmulAttrs{t, !t});
                       return in[1] * require_finite_product(in[0], in[1], attrs.get(), {"sample"});
                     }});
    }
  }
  return out;
}

constexpr Op kCheckedProduct{.name = "require_finite_product",
                             .math = "y = a, refused when a b is not finite",
                             .gradient = "ā = ȳ",
                             .arity = 2,
                             .infer = checked_product_infer,
                             .kernel = checked_product_kernel,
                             .vjp = {{pass}, {}},
                             .aliases = true,
                             .throws = true,
                             .checks = true,
                             .samples = checked_product_samples};

}  // namespace

Var require_finite_product(const Var& a, const Var& b, const Attrs* matmul, FiniteCheck check) {
  return apply(kCheckedProduct, {&a, &b},
               make_attrs(CheckedProductAttrs{get_attrs<MatmulAttrs>(matmul), std::move(check)}));
}

Var matmul(const Var& left_operand, const Var& right_operand, const MatmulOptions& o) {
  const Var a = beside(left_operand, right_operand), b = beside(right_operand, a);
  const Shape sa = a.shape(), sb = b.shape();
  if (sa.rank() == 0 || sb.rank() == 0) {
    throw_operand(sa, sb, "a 0-d operand has no rows, write a * b");
  }
  if ((sa.rank() == 1 && o.transpose_a) || (sb.rank() == 1 && o.transpose_b)) {
    throw ValueError("matmul", "a vector has no transpose: reshape it to a matrix first");
  }
  const AttrsRef attrs = make_attrs(MatmulAttrs{o.transpose_a, o.transpose_b});
  if (sa.rank() >= 2 && sb.rank() >= 2) {
    if (sa.rank() == 2 || sb.rank() > 2 || o.transpose_a) return apply(kMatmul, {&a, &b}, attrs);
    // Many rows times one matrix: a single larger product.
    const Var rows = reshape(a, {leading(sa).size() * sa[sa.rank() - 2], sa[sa.rank() - 1]});
    const Var y = apply(kMatmul, {&rows, &b}, attrs);
    Shape out = sa;
    out[sa.rank() - 1] = y.shape()[1];
    return reshape(y, out);
  }
  // A vector is a row on the left and a column on the right; its axis goes again afterwards.
  const Var left = sa.rank() == 1 ? reshape(a, {1, sa[0]}) : a;
  const Var right = sb.rank() == 1 ? reshape(b, {sb[0], 1}) : b;
  const Var y = matmul(left, right, o);
  Axes gone;
  if (sa.rank() == 1) gone.push_back(y.rank() - 2);
  if (sb.rank() == 1) gone.push_back(y.rank() - 1);
  return reshape(y, reduced(y.shape(), gone, false));
}

Var add_product(const Var& c, const Var& a, const Var& b, const Var& s, const Attrs* attrs) {
  return apply(kAddProduct, {&c, &a, &b, &s}, share(attrs));
}

std::pair<bool, bool> transposed_operands(const Attrs* matmul) {
  const auto& a = get_attrs<MatmulAttrs>(matmul);
  return {a.ta, a.tb};
}

namespace families {
Family linalg() { return {&kMatmul, &kAddProduct, &kCheckedProduct}; }
}  // namespace families

}  // namespace xtape
