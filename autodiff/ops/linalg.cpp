#include <algorithm>

#include <xtape/autodiff/kernels/gemm.hpp>
#include <xtape/autodiff/kernels/strided.hpp>
#include <xtape/autodiff/ops.hpp>
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

// Where the matrices of each product of a batch begin, counted in matrices.
struct Batch {
  Shape shape;
  kernels::Strides a, b;

  void offsets(std::int64_t product, std::int64_t& in_a, std::int64_t& in_b) const {
    in_a = in_b = 0;
    for (int axis = shape.rank(); axis-- > 0;) {
      const std::int64_t i = product % shape[axis];
      product /= shape[axis];
      in_a += i * a[static_cast<std::size_t>(axis)];
      in_b += i * b[static_cast<std::size_t>(axis)];
    }
  }
};

// One product is shared out by gemm itself, where it is large enough; many small ones are here.
void matmul_kernel(const KernelArgs& args) {
  const Shape &a = args.in[0].spec->shape, &b = args.in[1].spec->shape;
  const kernels::Gemm g = extents(a, b, get_attrs<MatmulAttrs>(args.attrs));
  const Shape shape = leading(args.spec.shape);
  const Batch batch{shape, kernels::broadcast_strides(leading(a), shape),
                    kernels::broadcast_strides(leading(b), shape)};
  const std::int64_t count = shape.size(), work = std::max<std::int64_t>(g.m * g.n * g.k, 1);
  const std::int64_t portion = std::max<std::int64_t>(kernels::kWorkPerPiece / work, 1);
  const bool share =
      count * work >= 2 * kernels::kWorkPerPiece && work < 2 * kernels::kWorkPerPiece;
  dispatch_floating(args.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto products = [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        std::int64_t in_a, in_b;
        batch.offsets(i, in_a, in_b);
        kernels::gemm(g, static_cast<const T*>(args.in[0].data) + in_a * g.m * g.k,
                      static_cast<const T*>(args.in[1].data) + in_b * g.k * g.n,
                      static_cast<T*>(args.out) + i * g.m * g.n);
      }
    };
    if (!share) return products(0, count);
    detail::parallel_for((count + portion - 1) / portion, [&](std::int64_t piece) {
      products(piece * portion, std::min(count, (piece + 1) * portion));
    });
  });
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
                     .samples = matmul_samples};

[[noreturn]] void throw_operand(const Shape& a, const Shape& b, const char* rule) {
  throw ShapeError("matmul", "shapes " + a.str() + " and " + b.str() + ": " + rule);
}

}  // namespace

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

namespace families {
Family linalg() { return {&kMatmul}; }
}  // namespace families

}  // namespace xtape
