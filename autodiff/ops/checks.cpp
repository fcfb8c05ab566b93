#include <algorithm>
#include <cmath>
#include <cstring>

#include <xtape/autodiff/kernels/finite.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

void require_finite_kernel(const KernelArgs& a) {
  get_attrs<FiniteCheck>(a.attrs).look_at(a.in[0].data, *a.in[0].spec);
}

class PreparedCheck final : public Prepared {
 public:
  PreparedCheck(const Spec& spec, FiniteCheck check) : spec_(spec), check_(std::move(check)) {}
  void run(const void* const* in, void*) const override { check_.look_at(in[0], spec_); }

 private:
  Spec spec_;
  FiniteCheck check_;
};

std::vector<Sample> require_finite_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{0}}) {
    out.push_back({shape.str(), {s.draw(shape)}, [](std::span<const Var> in) {
                     return require_finite(in[0], {"sample"});
                   }});
  }
  return out;
}

constexpr Op kRequireFinite{.name = "require_finite",
                            .math = "y = x, refused when not finite",
                            .gradient = "x̄ = ȳ",
                            .infer = floating_unary,
                            .kernel = require_finite_kernel,
                            .vjp = {{pass}},
                            .aliases = true,
                            .throws = true,
                            .checks = true,
                            .prepare = [](const InferArgs& a, const Spec& s) -> Prepared* {
                              return new PreparedCheck(s, get_attrs<FiniteCheck>(a.attrs));
                            },
                            .samples = require_finite_samples};

}  // namespace

double FiniteCheck::limit(DType t) const {
  const double most = kernels::largest_finite(t);
  return also == small_squares ? std::sqrt(most) / 1024 : most;
}

void FiniteCheck::look_at(const void* x, const Spec& s) const {
  const std::int64_t n = s.shape.size();
  const bool within = kernels::all_within(x, s.dtype, n, limit(s.dtype));
  if (also == not_negative) {
    dispatch_floating(s.dtype, [&](auto zero) {
      const auto* rate = static_cast<const decltype(zero)*>(x);
      if (within && std::all_of(rate, rate + n, [](auto r) { return r >= 0; })) return;
      throw ValueError(what, "learning rate " + detail::text(static_cast<double>(*rate)) +
                                 ": must be finite and not negative");
    });
  } else if (!within && kernels::all_finite(x, s.dtype, n)) {
    throw ValueError(what, "its gradient has elements beyond " + detail::text(limit(s.dtype)) +
                               ", and " + name(s.dtype) +
                               " cannot hold what the rule remembers of their squares: clip them "
                               "by value, or lower the learning rate");
  } else if (!within) {
    throw ValueError(what,
                     "its gradient has NaN or infinite elements: lower the learning rate, or look "
                     "for the op that made them");
  }
}

Var require_finite(const Var& x, FiniteCheck check) {
  return apply(kRequireFinite, {&x}, make_attrs(std::move(check)));
}

const FiniteCheck& finite_check(const Attrs* a) { return get_attrs<FiniteCheck>(a); }

namespace {

struct LookAttrs {
  std::function<void(std::span<const std::int64_t>)> check;
  std::string str() const { return {}; }
  bool operator==(const LookAttrs&) const { return false; }
};

// y = x. Of integers, so that it is no operation of the registry, which lists gradients.
constexpr Op kLookedAt{
    .name = "looked_at",
    .infer = [](const InferArgs& a) { return *a.in[0]; },
    .kernel =
        [](const KernelArgs& a) {
          const auto* const x = static_cast<const std::int64_t*>(a.in[0].data);
          get_attrs<LookAttrs>(a.attrs).check({x, static_cast<std::size_t>(a.spec.shape.size())});
          std::memcpy(a.out, x, a.spec.nbytes());
        },
    .throws = true};

}  // namespace

Var looked_at(const Var& integers, std::function<void(std::span<const std::int64_t>)> check) {
  return apply(kLookedAt, {&integers}, make_attrs(LookAttrs{std::move(check)}));
}

namespace families {
Family checks() { return {&kRequireFinite}; }
}  // namespace families

}  // namespace xtape
