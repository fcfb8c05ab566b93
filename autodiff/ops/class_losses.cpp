#include <xtape/autodiff/ops/loss_rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using Values = std::span<const Var>;

// x with the axis of the classes last.
Var classes_last(const char* loss, const Var& x, std::int64_t axis) {
  const int a = normalize_axis(loss, axis, x.shape());
  if (a == x.rank() - 1) return x;
  Axes perm;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != a) perm.push_back(i);
  }
  perm.push_back(a);
  return transpose(x, perm);
}

// Labels, of which some may not count: `keep` is undefined where all do.
struct Kept {
  Var labels, keep;
  Kept(const Var& target, const std::optional<std::int64_t>& ignored) : labels(target) {
    if (!ignored) return;
    keep = not_equal(labels, Tensor::full({}, static_cast<double>(*ignored), i64));
    labels = where(keep, labels, Tensor::full({}, 0, i64));
  }
  // Rows whose label does not count are 0: what a softmax makes of a NaN would stay one.
  Var rows(const Var& z) const {
    if (!keep.defined()) return z;
    Shape column = keep.shape();
    column.push_back(1);
    return where(reshape(keep, column), z, 0);
  }
  Var only(const Var& each) const { return keep.defined() ? where(keep, each, 0) : each; }
};

// Σ loss/Σ weight, of what counts; `weights` are those of the samples, undefined where all are 1.
Var weighted_mean(const Var& each, const Var& weights, const Kept& kept) {
  if (weights.defined()) return sum(each) / sum(kept.only(weights));
  if (kept.keep.defined()) return sum(each) / sum(cast(kept.keep, each.dtype()));
  return mean(each);
}

Var label_loss(const Var& each, const Var& weights, const Kept& kept, Reduction r) {
  if (r == Reduction::mean) return weighted_mean(each, weights, kept);
  return losses::reduced(each, r);
}

Var check_logits(const Var& logits, const Var& target, std::int64_t axis) {
  if (logits.rank() < 1) {
    throw ShapeError("cross_entropy", "logits of shape (): one axis holds the classes");
  }
  const Var z = classes_last("cross_entropy", beside(logits, target), axis);
  if (z.shape()[z.rank() - 1] == 1) {
    throw ShapeError("cross_entropy", "logits of shape " + logits.shape().str() +
                                          ": with one class it is always 0, use "
                                          "binary_cross_entropy_with_logits");
  }
  return z;
}

std::vector<Sample> nll_samples(const Sampler& s) {
  const auto shapes = std::vector<Shape>{{3}, {4, 3}, {2, 2, 3}, {0, 3}};
  auto out = losses::samples_of_shapes(s, {{-3, 0}}, shapes, [](Values in, Reduction r) {
    const Shape& y = in[0].shape();
    const Tensor labels = losses::sample_labels(Shape(y.begin(), y.end() - 1), 3);
    return nll_loss(in[0], labels, {.reduction = r, .ignore_index = 1});
  });
  for (const Reduction r : {Reduction::mean, Reduction::sum, Reduction::none}) {
    out.push_back(
        {"weights, classes on axis 1", {s.draw({2, 3, 2}), s.draw({3}, 0.5, 2)}, [r](Values in) {
           const Tensor labels = losses::sample_labels({2, 2}, 3);
           return nll_loss(in[0], labels, {r, in[1], 1, 1});
         }});
  }
  return out;
}
constexpr Op kNll =
    composed("nll_loss", {"L = −Σ w_t y_t/Σ w_t, t the label", "ȳ = −L̄ w_t/Σ w_t at the labels"},
             nll_samples);

std::vector<Sample> cross_entropy_samples(const Sampler& s) {
  const auto shapes = std::vector<Shape>{{3}, {4, 3}, {2, 2, 3}, {0, 3}};
  auto out = losses::samples_of_shapes(s, {{-2, 2}}, shapes, [](Values in, Reduction r) {
    const Shape& z = in[0].shape();
    const Tensor labels = losses::sample_labels(Shape(z.begin(), z.end() - 1), 3);
    return cross_entropy(in[0], labels, r);
  });
  const auto more =
      losses::samples_of_shapes(s, {{-2, 2}, {0, 1}}, shapes, [](Values in, Reduction r) {
        return cross_entropy(in[0], in[1], {.reduction = r, .label_smoothing = 0.2});
      });
  out.insert(out.end(), more.begin(), more.end());
  for (const Reduction r : {Reduction::mean, Reduction::sum, Reduction::none}) {
    out.push_back({"weights, smoothing, ignored labels, classes on axis 1",
                   {s.draw({2, 3, 2}), s.draw({3}, 0.5, 2)},
                   [r](Values in) {
                     const Tensor labels = losses::sample_labels({2, 2}, 3);
                     return cross_entropy(in[0], labels, {r, in[1], 1, 0.1, 1});
                   }});
    out.push_back({"weights, probabilities on axis 0",
                   {s.draw({3, 2}), s.draw({3, 2}, 0, 1), s.draw({3}, 0.5, 2)},
                   [r](Values in) {
                     return cross_entropy(in[0], in[1],
                                          {.reduction = r, .weight = in[2], .axis = 0});
                   }});
  }
  return out;
}
constexpr Op kCrossEntropy = composed(
    "cross_entropy",
    {"L = −mean Σₖ tₖ ln softmax(z)ₖ", "z̄ = L̄ (softmax(z) Σ t − t)/n, t̄ = −L̄ ln softmax(z)/n"},
    cross_entropy_samples);

}  // namespace

Var nll_loss(const Var& prediction, const Var& labels, const NllOptions& o) {
  if (prediction.rank() < 1) {
    throw ShapeError("nll_loss", "a prediction of shape (): one axis holds the classes");
  }
  const Var y = classes_last("nll_loss", beside(prediction, o.weight), o.axis);
  const Kept kept(labels, labels.dtype() == i64 ? o.ignore_index : std::nullopt);
  Var rows = losses::label_rows("nll_loss", y, kept.labels), weights;
  if (o.weight.defined()) {
    rows = rows * losses::class_weights("nll_loss", y, o.weight);
    weights = sum(rows, -1);
  }
  return label_loss(kept.only(-sum(chain(rows, y), -1)), weights, kept, o.reduction);
}

Var cross_entropy(const Var& logits, const Var& target, const CrossEntropyOptions& o) {
  if (!(o.label_smoothing >= 0 && o.label_smoothing <= 1)) {
    throw ValueError("cross_entropy", "label_smoothing = " + detail::text(o.label_smoothing) +
                                          ": must be in [0, 1]");
  }
  const Var z = check_logits(logits, target, o.axis);
  const bool labels = target.dtype() == i64;
  const Kept kept(labels || target.shape() != logits.shape()
                      ? target
                      : classes_last("cross_entropy", beside(target, z), o.axis),
                  labels ? o.ignore_index : std::nullopt);
  Var t = losses::targets("cross_entropy", z, kept.labels), weights;
  if (o.weight.defined()) {
    const Var w = losses::class_weights("cross_entropy", z, o.weight);
    if (labels) weights = sum(t * w, -1);
    if (o.label_smoothing == 0) t = t * w;
  }
  if (o.label_smoothing != 0) {
    const auto classes = static_cast<double>(z.shape()[z.rank() - 1]);
    t = t * (1 - o.label_smoothing) + o.label_smoothing / classes;
    if (o.weight.defined()) t = t * losses::class_weights("cross_entropy", z, o.weight);
  }
  const Var terms =
      chain(t, log_softmax(kept.rows(beside(z, t))));  // where t is 0, −∞ costs nothing
  return label_loss(kept.only(-sum(terms, -1)), weights, kept, o.reduction);
}

Var cross_entropy(const Var& logits, const Var& target, Reduction r) {
  return cross_entropy(logits, target, CrossEntropyOptions{.reduction = r});
}

namespace families {
Family class_losses() { return {&kNll, &kCrossEntropy}; }
}  // namespace families

}  // namespace xtape
