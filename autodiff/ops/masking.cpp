#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

void check_mask(std::string_view op, DType dtype) {
  if (dtype == boolean) return;
  throw DTypeError(op, std::string("the mask is ") + name(dtype) +
                           ": it must be boolean, write x > 0 or cast(x, boolean)");
}

// --- mask_ranks: how many elements of a mask are true before each that is ---------------------

struct Available {
  std::int64_t elements;
  std::string str() const { return std::to_string(elements) + " elements"; }
  bool operator==(const Available&) const = default;
};

Spec mask_ranks_infer(const InferArgs& a) {
  check_mask(a.op.name, a.in[0]->dtype);
  return {a.in[0]->shape, i64};
}

void mask_ranks_kernel(const KernelArgs& a) {
  const std::int64_t n = a.spec.shape.size();
  const std::int64_t available = get_attrs<Available>(a.attrs).elements;
  const auto* mask = static_cast<const bool*>(a.in[0].data);
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < n; ++i) total += mask[i];
  if (total > available) {
    throw ValueError("masked_scatter", "a mask that is true " + std::to_string(total) +
                                           " times, and " + std::to_string(available) +
                                           " values: there must be one for each");
  }
  auto* out = static_cast<std::int64_t*>(a.out);
  std::int64_t rank = 0;
  for (std::int64_t i = 0; i < n; ++i) out[i] = mask[i] ? rank++ : 0;
}

Var mask_ranks(const Var& mask, std::int64_t available);

constexpr Op kMaskRanks{.name = "mask_ranks",
                        .math = "y = number of true elements before each true one, else 0",
                        .gradient = "none: the result is an index",
                        .infer = mask_ranks_infer,
                        .kernel = mask_ranks_kernel,
                        .throws = true,
                        .samples = [](const Sampler& s) {
                          const Sampler masks{s.rng, boolean, s.op};
                          std::vector<Sample> out;
                          for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 3}, Shape{0}}) {
                            out.push_back({shape.str(), {masks.draw(shape)}, [](Operands x) {
                                             return mask_ranks(x[0], 9);
                                           }});
                          }
                          return out;
                        }};

Var mask_ranks(const Var& mask, std::int64_t available) {
  return apply(kMaskRanks, {&mask}, make_attrs(Available{available}));
}

}  // namespace

Tensor true_positions(std::string_view op, const Tensor& mask) {
  check_mask(op, mask.dtype());
  std::vector<std::int64_t> at;
  const auto elements = mask.span<bool>();
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (elements[i]) at.push_back(static_cast<std::int64_t>(i));
  }
  return Tensor::from(at);
}

Var masked_select(const Var& x, const Var& mask) {
  const Shape shape = broadcast("masked_select", x.shape(), mask.shape());
  const Tensor wide = broadcast_to(mask.value(), shape).value();
  return index_select(ravel(broadcast_to(x, shape)), 0, true_positions("masked_select", wide));
}

Var masked_scatter(const Var& x, const Var& mask, const Var& src) {
  check_mask("masked_scatter", mask.dtype());
  const Shape shape = broadcast("masked_scatter", x.shape(), mask.shape());
  const Var wide = broadcast_to(beside(beside(mask, x), src), shape);
  const Var ranks = mask_ranks(wide, src.size());
  if (src.size() == 0) return where(cast(ranks, boolean), 0, x);
  return where(wide, take(beside(src, x), ranks), x);
}

namespace {

Tensor mask_of(const Shape& shape) {
  Tensor mask = Tensor::empty(shape, boolean);
  for (std::int64_t i = 0; i < mask.size(); ++i) static_cast<bool*>(mask.raw())[i] = i % 3 != 1;
  return mask;
}

constexpr Op kMaskedSelect = composed(
    "masked_select", {"y = the elements where the mask is true", "x̄ = ȳ in its places, else 0"},
    [](const Sampler& s) {
      const auto f = [](const Shape& m) {
        return [m](Operands x) { return masked_select(x[0], mask_of(m)); };
      };
      return cases(s, {{{{}}, f({})},
                       {{{5}}, f({5})},
                       {{{2, 3, 1, 2}}, f({3, 2, 1})},
                       {{{}}, f({2, 2})},
                       {{{0, 3}}, f({3})}});
    });
constexpr Op kMaskedScatter =
    composed("masked_scatter",
             {"y = x, but where the mask is true one element of src after the other",
              "x̄ = 0 where the mask is true, else ȳ; s̄rc = ȳ where the mask is true"},
             [](const Sampler& s) {
               const auto f = [](const Shape& m) {
                 return [m](Operands x) { return masked_scatter(x[0], mask_of(m), x[1]); };
               };
               return cases(s, {{{{}, {2}}, f({})},
                                {{{5}, {5}}, f({5})},
                                {{{2, 3, 1, 2}, {2, 6}}, f({3, 1, 2})},
                                {{{0, 3}, {0}}, f({3})}});
             });

}  // namespace

namespace families {
Family masking() { return {&kMaskRanks, &kMaskedSelect, &kMaskedScatter}; }
}  // namespace families

}  // namespace xtape
