#include <cstring>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

struct OneHotAttrs {
  std::int64_t classes;
  DType dtype;
  std::string str() const { return std::to_string(classes) + ", " + name(dtype); }
  bool operator==(const OneHotAttrs&) const = default;
};

Spec one_hot_infer(const InferArgs& a) {
  const auto& attrs = get_attrs<OneHotAttrs>(a.attrs);
  if (a.in[0]->dtype != i64) {
    throw DTypeError("one_hot", std::string("labels are ") + name(a.in[0]->dtype) +
                                    ": they must be i64, write cast(labels, i64)");
  }
  Shape shape = a.in[0]->shape;
  shape.push_back(attrs.classes);
  return {shape, attrs.dtype};
}

void one_hot_kernel(const KernelArgs& a) {
  const std::int64_t classes = get_attrs<OneHotAttrs>(a.attrs).classes;
  const auto* labels = static_cast<const std::int64_t*>(a.in[0].data);
  const std::int64_t n = a.in[0].spec->shape.size();
  for (std::int64_t i = 0; i < n; ++i) {
    if (labels[i] < 0 || labels[i] >= classes) {
      throw ValueError("one_hot", "label " + std::to_string(labels[i]) + " at position " +
                                      std::to_string(i) + ": must be in [0, " +
                                      std::to_string(classes) + ")");
    }
  }
  std::memset(a.out, 0, a.spec.nbytes());
  dispatch(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    for (std::int64_t i = 0; i < n; ++i) static_cast<T*>(a.out)[i * classes + labels[i]] = T{1};
  });
}

std::vector<Sample> one_hot_samples(const Sampler& s) {
  std::vector<Sample> out;
  const Sampler labels{s.rng, i64, s.op};
  for (const Shape& shape : {Shape{}, Shape{4}, Shape{2, 3}, Shape{0}}) {
    out.push_back({shape.str(), {labels.draw(shape)}, [](std::span<const Var> in) {
                     return one_hot(in[0], 5, f64);
                   }});
  }
  return out;
}

constexpr Op kOneHot{.name = "one_hot",
                     .math = "y[…, k] = 1 where x[…] = k, else 0",
                     .gradient = "none: labels are i64",
                     .infer = one_hot_infer,
                     .kernel = one_hot_kernel,
                     .throws = true,
                     .samples = one_hot_samples};

}  // namespace

Var one_hot(const Var& labels, std::int64_t classes, DType dtype) {
  if (classes < 0) throw ValueError("one_hot", std::to_string(classes) + " classes");
  return apply(kOneHot, {&labels}, make_attrs(OneHotAttrs{classes, dtype}));
}

namespace families {
Family indexing() { return {&kOneHot}; }
}  // namespace families

}  // namespace xtape
