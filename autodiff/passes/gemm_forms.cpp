#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/passes/passes.hpp>
#include <xtape/autodiff/rewrite.hpp>

namespace xtape::passes {

using namespace program;

namespace {

class Forms {
 public:
  explicit Forms(const Graph& g)
      : uses_(g.uses()),
        matmul_(*find_op("matmul")),
        require_finite_(*find_op("require_finite")),
        multiply_add_(*find_op("multiply_add")) {}

  Var operator()(Tape& tape, const Node& n, std::span<const Var* const> in) const {
    const Rewrite r(tape, *n.op, in, n.attrs.get(), n.spec);
    if (n.op == &require_finite_ && once(n, 0) && r.maker(r.in(0)) == &matmul_) {
      return check_operands(r);
    }
    if (n.op == &multiply_add_) return accumulate(r, n);
    return {};
  }

 private:
  bool once(const Node& n, std::size_t k) const { return uses_[n.in[k]] == 1; }

  // Whether a product is finite can nearly always be told from its operands: so the check needs no
  // product in memory.
  Var check_operands(const Rewrite& r) const {
    const Var product = r.in(0);
    const Attrs* attrs = r.attrs_of(product);
    const Var b = r.operand(product, 1);
    const Var a =
        require_finite_product(r.operand(product, 0), b, attrs, finite_check(r.raw_attrs()));
    return apply(matmul_, {&a, &b}, share(attrs));
  }

  // p + s·(A B), or p + (A B)·s: the product adds itself to p. Products of more than two axes are
  // many products.
  Var accumulate(const Rewrite& r, const Node& n) const {
    if (r.spec().shape.rank() != 2 || !r.same(2).defined()) return {};
    for (const std::size_t k : {0U, 1U}) {
      const Var &product = r.in(k), &scale = r.in(1 - k);
      if (!once(n, k) || r.maker(product) != &matmul_ || scale.size() != 1) continue;
      if (product.shape() != r.spec().shape) continue;
      return add_product(r.in(2), r.operand(product, 0), r.operand(product, 1), reshape(scale, {}),
                         r.attrs_of(product));
    }
    return {};
  }

  const std::vector<std::uint32_t> uses_;
  const Op &matmul_, &require_finite_, &multiply_add_;
};

}  // namespace

Graph gemm_forms(const Graph& g) {
  // Checks move to the operands first; what is then used once can be accumulated.
  const Graph moved = dead_code(rerecord(g, Forms(g)));
  return dead_code(rerecord(moved, Forms(moved)));
}

}  // namespace xtape::passes
