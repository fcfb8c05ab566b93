#include <xtape/autodiff/kernels/finite.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

struct CheckAttrs {
  std::string what;
  std::string str() const { return what; }
  // Who asks does not matter: one look at a value is enough, and names the first who asked.
  bool operator==(const CheckAttrs&) const { return true; }
};

void check(const void* x, const Spec& s, const std::string& what) {
  if (kernels::all_finite(x, s.dtype, s.shape.size())) return;
  throw ValueError(what,
                   "its gradient has NaN or infinite elements: lower the learning rate, or look "
                   "for the op that made them");
}

void require_finite_kernel(const KernelArgs& a) {
  check(a.in[0].data, *a.in[0].spec, get_attrs<CheckAttrs>(a.attrs).what);
}

class PreparedCheck final : public Prepared {
 public:
  PreparedCheck(const Spec& spec, std::string what) : spec_(spec), what_(std::move(what)) {}
  void run(const void* const* in, void*) const override { check(in[0], spec_, what_); }

 private:
  Spec spec_;
  std::string what_;
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
                              return new PreparedCheck(s, get_attrs<CheckAttrs>(a.attrs).what);
                            },
                            .samples = require_finite_samples};

}  // namespace

Var require_finite(const Var& x, std::string what) {
  return apply(kRequireFinite, {&x}, make_attrs(CheckAttrs{std::move(what)}));
}

Var require_finite_like(const Rewrite& r, const Var& x) {
  return require_finite(x, r.attrs<CheckAttrs>().what);
}

namespace families {
Family checks() { return {&kRequireFinite}; }
}  // namespace families

}  // namespace xtape
