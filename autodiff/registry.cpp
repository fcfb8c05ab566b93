#include <algorithm>
#include <cmath>

#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

constexpr double kKinkMargin = 0.05;

std::vector<const Op*> collect() {
  std::vector<const Op*> all;
  using namespace families;
  for (const auto family : {activation,
                            along_axis,
                            arithmetic,
                            attention,
                            axes,
                            axis_maps,
                            blending,
                            checkpointing,
                            checks,
                            class_losses,
                            comparison,
                            convolution,
                            ctc,
                            custom,
                            decomposition,
                            determinants,
                            diagonals,
                            distance,
                            einsum,
                            embedding,
                            extremum,
                            gathering,
                            grid_sampling,
                            indexing,
                            joining,
                            linalg,
                            linear_systems,
                            logarithmic,
                            losses,
                            margin_losses,
                            masking,
                            matrix,
                            normalization,
                            norms,
                            padding,
                            pooling,
                            products,
                            random,
                            rearranging,
                            recurrence,
                            reduction,
                            resampling,
                            rounding,
                            scan,
                            scatter_reduction,
                            scattering,
                            shaping,
                            slicing,
                            sorting,
                            special,
                            statistics,
                            subscript,
                            transcendental,
                            trigonometric,
                            unfolding,
                            user}) {
    const auto ops = family();
    all.insert(all.end(), ops.begin(), ops.end());
  }
  std::sort(all.begin(), all.end(), [](const Op* a, const Op* b) { return a->name < b->name; });
  return all;
}

}  // namespace

std::span<const Op* const> registry() {
  static const auto* const all = new std::vector<const Op*>(collect());
  return *all;
}

const Op* find_op(std::string_view name) {
  const auto all = registry();
  const auto it =
      std::find_if(all.begin(), all.end(), [&](const Op* op) { return op->name == name; });
  return it == all.end() ? nullptr : *it;
}

Tensor Sampler::draw(const Shape& shape) const { return draw(shape, op.domain[0], op.domain[1]); }

Tensor Sampler::draw(const Shape& shape, double low, double high) const {
  if (!is_floating(dtype)) {
    Tensor t = Tensor::empty(shape, dtype);
    dispatch(dtype, [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0; i < t.size(); ++i) {
        static_cast<T*>(t.raw())[i] = static_cast<T>(rng.integer(dtype == boolean ? 2 : 5));
      }
    });
    return t;
  }
  Tensor t = Tensor::empty(shape, f64);
  auto* out = static_cast<double*>(t.raw());
  for (std::int64_t i = 0; i < t.size(); ++i) {
    bool near;
    do {
      out[i] = low + (high - low) * rng.uniform();
      near = std::abs(out[i] - op.kinks[0]) < kKinkMargin ||
             std::abs(out[i] - op.kinks[1]) < kKinkMargin;
    } while (near);
  }
  return t.to(dtype);
}

namespace rules {

std::vector<Sample> elementwise_samples(const Sampler& s) {
  const Op* op = &s.op;
  const auto call = [op](std::span<const Var> in) {
    std::vector<const Var*> p;
    for (const Var& v : in) p.push_back(&v);
    return xtape::apply(*op, p);
  };
  const Shape shapes[] = {{}, {1}, {0}, {5}, {2, 3}, {2, 1, 3, 2}};
  const Shape partners[] = {{}, {4}, {3, 0}, {2, 1}, {2, 1}, {4, 1, 1}};
  std::vector<Sample> out;
  for (std::size_t i = 0; i < std::size(shapes); ++i) {
    Sample sample{shapes[i].str(), {}, call};
    for (int k = 0; k < op->arity; ++k) sample.inputs.push_back(s.draw(shapes[i]));
    out.push_back(sample);
    if (op->arity < 2) continue;
    for (int k = 0; k < op->arity; ++k) {
      Sample mixed = sample;
      mixed.label += " with " + partners[i].str();
      mixed.inputs[static_cast<std::size_t>(k)] = s.draw(partners[i]);
      try {
        broadcast("", shapes[i], partners[i]);
      } catch (const ShapeError&) {
        continue;
      }
      out.push_back(mixed);
    }
  }
  return out;
}

}  // namespace rules
}  // namespace xtape
