#include <algorithm>

#include <xtape/autodiff/kernels/finite.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

struct CheckAttrs {
  std::string what;
  bool rate = false;  // of an optimizer: not negative either
  std::string str() const { return what; }
  // Who asks does not matter: one look at a value is enough, and names the first who asked.
  bool operator==(const CheckAttrs& o) const { return rate == o.rate; }
};

void check(const void* x, const Spec& s, const CheckAttrs& a) {
  const std::int64_t n = s.shape.size();
  const bool finite = kernels::all_finite(x, s.dtype, n);
  if (!a.rate) return finite ? void() : throw_not_finite(a.what);
  dispatch_floating(s.dtype, [&](auto zero) {
    const auto* rate = static_cast<const decltype(zero)*>(x);
    if (finite && std::all_of(rate, rate + n, [](auto r) { return r >= 0; })) return;
    throw ValueError(a.what, "learning rate " + detail::text(static_cast<double>(*rate)) +
                                 ": must be finite and not negative");
  });
}

void require_finite_kernel(const KernelArgs& a) {
  check(a.in[0].data, *a.in[0].spec, get_attrs<CheckAttrs>(a.attrs));
}

class PreparedCheck final : public Prepared {
 public:
  PreparedCheck(const Spec& spec, CheckAttrs attrs) : spec_(spec), attrs_(std::move(attrs)) {}
  void run(const void* const* in, void*) const override { check(in[0], spec_, attrs_); }

 private:
  Spec spec_;
  CheckAttrs attrs_;
};

std::vector<Sample> require_finite_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{0}}) {
    out.push_back({shape.str(), {s.draw(shape)}, [](std::span<const Var> in) {
                     return require_finite(in[0], "sample");
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
                              return new PreparedCheck(s, get_attrs<CheckAttrs>(a.attrs));
                            },
                            .samples = require_finite_samples};

}  // namespace

Var require_finite(const Var& x, std::string what) {
  return apply(kRequireFinite, {&x}, make_attrs(CheckAttrs{std::move(what)}));
}

Var require_rate(const Var& rate) {
  return apply(kRequireFinite, {&rate}, make_attrs(CheckAttrs{"optimizer", true}));
}

const std::string& named(const Attrs* a) { return get_attrs<CheckAttrs>(a).what; }

void throw_not_finite(const std::string& what) {
  throw ValueError(what,
                   "its gradient has NaN or infinite elements: lower the learning rate, or look "
                   "for the op that made them");
}

namespace families {
Family checks() { return {&kRequireFinite}; }
}  // namespace families

}  // namespace xtape
