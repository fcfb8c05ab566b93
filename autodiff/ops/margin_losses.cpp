#include <xtape/autodiff/ops/loss_rules.hpp>
#include <xtape/autodiff/ops/p_norm.hpp>

namespace xtape {
namespace {

using namespace rules;
using losses::hinge;
using Values = std::span<const Var>;

// 1 and −1 in turn, in the dtype of y.
Tensor signs(const Shape& shape, DType dtype) {
  std::vector<double> t;
  for (std::int64_t i = 0; i < shape.size(); ++i) t.push_back(i % 2 ? -1 : 1);
  return Tensor::from(t, shape).to(dtype);
}

// Labels from 0 are no signs: class 0 would say nothing.
void check_signs(const char* loss, const Var& y, const Var& target) {
  if (target.shape() == y.shape() && target.dtype() == y.dtype()) return;
  const std::string met = std::string("prediction ") + name(y.dtype()) + y.shape().str() +
                          ", target " + name(target.dtype()) + target.shape().str();
  if (target.shape() != y.shape()) throw ShapeError(loss, met + ": shapes must be equal");
  throw DTypeError(loss, met + ": must be 1 and −1 in the dtype of the prediction");
}

void check_rank(const char* loss, const Var& y) {
  if (y.rank() >= 1) return;
  throw ShapeError(loss, "a prediction of shape (): the last axis holds the classes");
}

std::vector<Sample> hinge_embedding_samples(const Sampler& s) {
  return losses::elementwise_samples(s, {{0.2, 0.9}}, [](Values in, Reduction r) {
    return hinge_embedding_loss(in[0], signs(in[0].shape(), in[0].dtype()), {r, 1});
  });
}
constexpr Edge kHingeEdges[] = {{"y = margin, t = −1",
                                 [](Values x) { return hinge_embedding_loss(x[0], 0 * x[0] - 1); },
                                 1,
                                 {1},
                                 0,
                                 {-1}}};
constexpr Edge kRankingEdges[] = {
    {"a = b, margin 0, t = 1",
     [](Values x) { return margin_ranking_loss(x[0], x[1], 0 * x[0] + 1); },
     2,
     {1, 1},
     0,
     {-1, 1}}};
constexpr Op kHingeEmbedding =
    with_edges(composed("hinge_embedding_loss",
                        {"L = mean (y where t = 1, max(0, margin − y) where t = −1)",
                         "ȳ = L̄/n where t = 1, −L̄/n where t = −1 and y ≤ margin"},
                        hinge_embedding_samples),
               kHingeEdges);

std::vector<Sample> margin_ranking_samples(const Sampler& s) {
  return losses::elementwise_samples(s, {{0.5, 1}, {-1, 0}}, [](Values in, Reduction r) {
    return margin_ranking_loss(in[0], in[1], signs(in[0].shape(), in[0].dtype()), {r, 0.3});
  });
}
constexpr Op kMarginRanking =
    with_edges(composed("margin_ranking_loss",
                        {"L = mean max(0, margin − t (a − b))",
                         "ā = −L̄ t/n where margin ≥ t (a − b), else 0; b̄ = −ā"},
                        margin_ranking_samples),
               kRankingEdges);

std::vector<Sample> soft_margin_samples(const Sampler& s) {
  return losses::elementwise_samples(s, {{-2, 2}, {-1, 1}}, [](Values in, Reduction r) {
    return soft_margin_loss(in[0], in[1], r);
  });
}
constexpr Op kSoftMargin =
    composed("soft_margin_loss", {"L = mean ln(1 + e^(−t y))", "ȳ = −L̄ t sigmoid(−t y)/n"},
             soft_margin_samples);

const std::vector<Shape> kVectors{{4}, {3, 4}, {2, 2, 3}, {0, 3}};

std::vector<Sample> cosine_samples(const Sampler& s) {
  return losses::samples_of_shapes(s, {{0.2, 1}, {0.2, 1}}, kVectors, [](Values in, Reduction r) {
    const Shape& a = in[0].shape();
    const Tensor t = signs(Shape(a.begin(), a.end() - 1), in[0].dtype());
    return cosine_embedding_loss(in[0], in[1], t, {r, 0.1});
  });
}
constexpr Op kCosineEmbedding =
    composed("cosine_embedding_loss",
             {"L = mean (1 − cos(a, b) where t = 1, max(0, cos(a, b) − margin) where t = −1)",
              "through the cosine"},
             cosine_samples);

std::vector<Sample> triplet_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](TripletOptions o) {
    const auto some = losses::samples_of_shapes(
        s, {{0, 1}, {1.2, 2}, {-1, -0.1}}, kVectors, [o](Values in, Reduction r) {
          TripletOptions with = o;
          with.reduction = r;
          return triplet_margin_loss(in[0], in[1], in[2], with);
        });
    out.insert(out.end(), some.begin(), some.end());
  };
  add({.margin = 9});
  add({.margin = 9, .p = 3, .swap = true});
  return out;
}
constexpr Op kTriplet =
    composed("triplet_margin_loss",
             {"L = mean max(0, margin + ‖a − p + ε‖ − ‖a − n + ε‖)", "through the distances"},
             triplet_samples);

std::vector<Sample> multi_margin_samples(const Sampler& s) {
  const auto labels = [](const Var& y) {
    return losses::sample_labels(Shape(y.shape().begin(), y.shape().end() - 1), 3);
  };
  auto out = losses::samples_of_shapes(
      s, {{0, 0.8}}, {{3}, {4, 3}, {2, 2, 3}, {0, 3}}, [labels](Values in, Reduction r) {
        return multi_margin_loss(in[0], labels(in[0]), {.reduction = r});
      });
  out.push_back(
      {"squares, weights", {s.draw({4, 3}, 0, 0.8), s.draw({3}, 0.5, 2)}, [labels](Values in) {
         return multi_margin_loss(in[0], labels(in[0]), {.p = 2, .weight = in[1]});
       }});
  return out;
}
constexpr Op kMultiMargin = composed("multi_margin_loss",
                                     {"L = mean w_t Σ_{k≠t} max(0, margin − y_t + yₖ)ᵖ/classes",
                                      "through the terms that are positive"},
                                     multi_margin_samples);

std::vector<Sample> multilabel_margin_samples(const Sampler& s) {
  return losses::samples_of_shapes(
      s, {{0, 0.8}}, {{4}, {3, 4}, {2, 2, 4}, {0, 4}}, [](Values in, Reduction r) {
        const Tensor row = Tensor::from(std::vector<std::int64_t>{2, 0, -1, 1});
        return multilabel_margin_loss(in[0], broadcast_to(row, in[0].shape()), r);
      });
}
constexpr Op kMultilabelMargin =
    composed("multilabel_margin_loss",
             {"L = mean Σⱼ Σₖ max(0, 1 − yⱼ + yₖ)/classes", "through the terms that are positive"},
             multilabel_margin_samples);

std::vector<Sample> multilabel_soft_samples(const Sampler& s) {
  return losses::samples_of_shapes(s, {{-2, 2}, {0, 1}}, kVectors, [](Values in, Reduction r) {
    const Tensor w = cast(Tensor::arange(in[0].shape()[in[0].rank() - 1]), in[0].dtype()).value();
    return multilabel_soft_margin_loss(in[0], in[1], {r, w});
  });
}
constexpr Op kMultilabelSoft =
    composed("multilabel_soft_margin_loss",
             {"L = mean w (t softplus(−y) + (1 − t) softplus(y))", "ȳ = L̄ w (sigmoid(y) − t)/n"},
             multilabel_soft_samples);

// The element of each label of a sample, the mask of the labels, and that of the classes among
// them. A list of labels ends at the first −1.
struct Labelled {
  Var element, listed, among;
};
Labelled labelled(const Var& y, const Var& labels) {
  const std::int64_t n = y.shape()[y.rank() - 1];
  const Var at = Tensor::arange(n), zero = Tensor::full({}, 0, i64);
  const Var end = equal(labels, Tensor::full({}, -1, i64));
  const Var before = cast(less_equal(at, reshape(at, {n, 1})), i64);  // [j, k]: k ≤ j
  Shape pairs = y.shape();
  pairs[y.rank() - 1] = 1;
  pairs.push_back(n);
  const Var ends = sum(reshape(cast(end, i64), pairs) * before, -1);
  const Var listed = equal(ends, zero);
  const Var rows = one_hot(where(listed, labels, zero), n, y.dtype());  // [j, class]
  const Var element = sum(chain(rows, reshape(y, pairs)), -1);
  Shape column = y.shape();
  column.push_back(1);
  const Var hits = sum(rows * cast(reshape(listed, column), y.dtype()), -2);
  return {element, listed, hits > 0};
}

}  // namespace

Var hinge_embedding_loss(const Var& prediction, const Var& target, const MarginOptions& o) {
  const Var y = beside(prediction, target);
  check_signs("hinge_embedding_loss", y, target);
  const Var t = beside(target, y);
  const Var each = where(not_equal(t, 1), hinge(o.margin - y), 0) + where(not_equal(t, -1), y, 0);
  return losses::reduced(each, o.reduction);
}

Var margin_ranking_loss(const Var& a, const Var& b, const Var& target, const MarginOptions& o) {
  const Var x = beside(a, target);
  return losses::reduced(hinge(o.margin - target * (x - beside(b, target))), o.reduction);
}

Var soft_margin_loss(const Var& y, const Var& target, Reduction r) {
  check_signs("soft_margin_loss", y, target);
  return losses::reduced(softplus(-(target * y)), r);
}

Var cosine_embedding_loss(const Var& a, const Var& b, const Var& target, const MarginOptions& o) {
  constexpr double kEps = 1e-12;
  const Var x = beside(a, b), y = beside(b, x);
  if (x.rank() < 1 || y.rank() < 1) {
    throw ShapeError("cosine_embedding_loss", "a vector of shape (): the last axis is that of it");
  }
  const Var norms = (sum(square(x), -1) + kEps) * (sum(square(y), -1) + kEps);
  const Var cosine = sum(x * y, -1) / sqrt(norms);
  if (target.shape() != cosine.shape()) {
    throw ShapeError("cosine_embedding_loss", "targets of shape " + target.shape().str() +
                                                  " for vectors of shape " + x.shape().str() +
                                                  ": must be without the last axis");
  }
  const Var apart = where(equal(target, -1), hinge(cosine - o.margin), 0);
  return losses::reduced(where(equal(target, 1), 1 - cosine, apart), o.reduction);
}

Var triplet_margin_loss(const Var& anchor, const Var& positive, const Var& negative,
                        const TripletOptions& o) {
  const Var a = beside(beside(anchor, positive), negative);
  const Var p = beside(positive, a), n = beside(negative, a);
  if (a.rank() < 1 || a.shape() != p.shape() || a.shape() != n.shape()) {
    throw ShapeError("triplet_margin_loss", "shapes " + a.shape().str() + ", " + p.shape().str() +
                                                " and " + n.shape().str() +
                                                ": must be equal, with an axis of coordinates");
  }
  const auto distance = [&](const Var& u, const Var& v) {
    return squeeze(p_norm("triplet_margin_loss", u - v + o.eps, o.p, -1), -1);
  };
  Var far = distance(a, n);
  if (o.swap) far = minimum(far, distance(p, n));
  return losses::reduced(hinge(o.margin + distance(a, p) - far), o.reduction);
}

Var multi_margin_loss(const Var& prediction, const Var& labels, const MultiMarginOptions& o) {
  check_rank("multi_margin_loss", prediction);
  if (o.p != 1 && o.p != 2) {
    throw ValueError("multi_margin_loss", "p = " + std::to_string(o.p) + ": must be 1 or 2");
  }
  const Var y = beside(prediction, o.weight);
  const Var rows = losses::label_rows("multi_margin_loss", y, labels);
  const Var over = relu(o.margin - losses::at_label(rows, y) + y);
  Var terms = where(rows > 0, 0, o.p == 1 ? over : square(over));
  if (o.weight.defined()) {
    terms = terms * losses::at_label(rows, losses::class_weights("multi_margin_loss", y, o.weight));
  }
  const auto classes = static_cast<double>(y.shape()[y.rank() - 1]);
  return losses::reduced(sum(terms, -1) / classes, o.reduction);
}

Var multilabel_margin_loss(const Var& y, const Var& labels, Reduction r) {
  check_rank("multilabel_margin_loss", y);
  if (labels.dtype() != i64) {
    throw DTypeError("multilabel_margin_loss",
                     std::string("labels are ") + name(labels.dtype()) + ": they must be i64");
  }
  if (labels.shape() != y.shape()) {
    throw ShapeError("multilabel_margin_loss", "prediction " + y.shape().str() + " and labels " +
                                                   labels.shape().str() + ": must be equal");
  }
  const Labelled l = labelled(y, labels);
  Shape column = y.shape(), row = y.shape();
  column.push_back(1);
  row[y.rank() - 1] = 1;
  row.push_back(y.shape()[y.rank() - 1]);
  const Var over = relu(1 - reshape(l.element, column) + reshape(y, row));
  const Var terms = where(reshape(l.listed, column), where(reshape(l.among, row), 0, over), 0);
  const auto classes = static_cast<double>(y.shape()[y.rank() - 1]);
  return losses::reduced(sum(terms, {-2, -1}) / classes, r);
}

Var multilabel_soft_margin_loss(const Var& y, const Var& target,
                                const MultilabelSoftMarginOptions& o) {
  check_rank("multilabel_soft_margin_loss", y);
  const Var each = binary_cross_entropy_with_logits(
      y, target, LogitsOptions{.reduction = Reduction::none, .weight = o.weight});
  return losses::reduced(mean(each, -1), o.reduction);
}

namespace families {
Family margin_losses() {
  return {&kHingeEmbedding, &kMarginRanking, &kSoftMargin,       &kCosineEmbedding,
          &kTriplet,        &kMultiMargin,   &kMultilabelMargin, &kMultilabelSoft};
}
}  // namespace families

}  // namespace xtape
