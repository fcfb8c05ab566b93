#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/nn/loss.hpp>

namespace xtape::nn {
namespace {

Var reduce(const Var& each, Reduction r) {
  return r == Reduction::none ? each : r == Reduction::sum ? sum(each) : mean(each);
}

// Labels 0 and 1 for a single output: numbers of its shape.
Var binary_targets(const char* loss, const Var& y, const Var& labels) {
  if (labels.value().is_symbolic()) {  // one_hot looks at them in every run
    const Var on = slice(one_hot(labels, 2, y.dtype()), -1, {1, 2});
    return reshape(on, y.shape());
  }
  for (const std::int64_t l : labels.value().span<std::int64_t>()) {
    if (l == 0 || l == 1) continue;
    throw ValueError(loss,
                     "label " + std::to_string(l) +
                         " for a single output: it stands for class 1, labels must be 0 or 1");
  }
  return cast(reshape(labels, y.shape()), y.dtype());
}

// Targets of the shape and dtype of the prediction, made from labels where need be.
Var targets(const char* loss, const Var& y, const Var& target) {
  const Shape &have = target.shape(), &want = y.shape();
  if (have == want && target.dtype() == y.dtype()) return target;
  if (target.dtype() == i64 && want.rank() == have.rank() + 1 &&
      Shape(want.begin(), want.end() - 1) == have) {
    const std::int64_t outputs = want[want.rank() - 1];
    return outputs == 1 ? binary_targets(loss, y, target) : one_hot(target, outputs, y.dtype());
  }
  const std::string met = std::string("prediction ") + name(y.dtype()) + want.str() + ", target " +
                          name(target.dtype()) + have.str();
  if (have == want && target.dtype() != i64) {
    throw DTypeError(loss, met + ": dtypes must agree, write target.to(" + name(y.dtype()) + ")");
  }
  throw ShapeError(loss, met +
                             ": shapes must be equal, or the target i64 labels without the last "
                             "axis");
}

}  // namespace

Var mse_loss(const Var& prediction, const Var& target, Reduction r) {
  const Var y = beside(prediction, target);
  return reduce(square(y - targets("mse_loss", y, target)), r);
}

Var half_squared_error(const Var& prediction, const Var& target, Reduction r) {
  const Var y = beside(prediction, target);
  return 0.5 * reduce(square(y - targets("half_squared_error", y, target)), r);
}

Var binary_cross_entropy(const Var& prediction, const Var& target, Reduction r) {
  const Var p = beside(prediction, target);
  const Var t = beside(targets("binary_cross_entropy", p, target), p);
  const Var on = maximum(log(p), -100), off = maximum(log1p(-p), -100);
  return reduce(-(t * on + (1 - t) * off), r);
}

Var binary_cross_entropy_with_logits(const Var& logits, const Var& target, Reduction r) {
  const Var z = beside(logits, target);
  const Var t = beside(targets("binary_cross_entropy_with_logits", z, target), z);
  // Both terms stay precise where they are small; chain: 0 · ∞ is 0 for a certain target.
  return reduce(chain(t, softplus(-z)) + chain(1 - t, softplus(z)), r);
}

Var cross_entropy(const Var& logits, const Var& target, Reduction r) {
  if (logits.rank() < 1) {
    throw ShapeError("cross_entropy", "logits of shape (): the last axis holds the classes");
  }
  if (logits.shape()[logits.rank() - 1] == 1) {
    throw ShapeError("cross_entropy", "logits of shape " + logits.shape().str() +
                                          ": with one class it is always 0, use "
                                          "binary_cross_entropy_with_logits");
  }
  const Var t = targets("cross_entropy", logits, target);
  const Var terms =
      chain(t, log_softmax(beside(logits, t)));  // where t is 0 a logit of −∞ costs nothing
  return reduce(-sum(terms, -1), r);
}

NamedLoss loss(const std::string& name) {
  if (name == "mse") return {name, [](auto& y, auto& t) { return mse_loss(y, t); }};
  if (name == "half_squared") {
    return {name, [](auto& y, auto& t) { return half_squared_error(y, t, Reduction::mean); }};
  }
  if (name == "bce") return {name, [](auto& y, auto& t) { return binary_cross_entropy(y, t); }};
  if (name == "bce_logits") {
    return {name, [](auto& y, auto& t) { return binary_cross_entropy_with_logits(y, t); }};
  }
  if (name == "cross_entropy") return {name, [](auto& y, auto& t) { return cross_entropy(y, t); }};
  throw ParseError(
      "loss", "'" + name + "' is not one of mse, half_squared, bce, bce_logits, cross_entropy");
}

Tensor predicted_classes(const Tensor& y) {
  if (!all_finite(y) && sum(cast(not_equal(y, y), i64)).item() > 0) {
    throw ValueError("predicted_classes",
                     "outputs have NaN elements, which say nothing of a class");
  }
  if (y.rank() == 2 && y.shape()[1] > 1) return argmax(y, 1).value();
  if (y.rank() != 1 && (y.rank() != 2 || y.shape()[1] != 1)) {
    throw ShapeError("predicted_classes", "outputs of shape " + y.shape().str() +
                                              ": must be [n, classes], [n, 1] or [n]");
  }
  return cast(Var(y.reshape({y.size()})) > 0.5, i64).value();
}

namespace {
void check_labels(const char* where, const Tensor& y, const Tensor& labels) {
  if (labels.dtype() != i64) {
    throw DTypeError(where, std::string("labels are ") + name(labels.dtype()) + ": must be i64");
  }
  if (labels.rank() != 1 || y.rank() < 1 || y.shape()[0] != labels.size()) {
    throw ShapeError(where, "outputs " + y.shape().str() + " and labels " + labels.shape().str() +
                                ": must be [n, …] and [n]");
  }
}
}  // namespace

double accuracy(const Tensor& y, const Tensor& labels) {
  check_labels("accuracy", y, labels);
  return mean(cast(equal(predicted_classes(y), labels), f64)).item();
}

std::vector<std::vector<std::int64_t>> confusion(const Tensor& y, const Tensor& labels,
                                                 std::int64_t classes) {
  check_labels("confusion", y, labels);
  const Tensor predicted = predicted_classes(y);
  std::vector<std::vector<std::int64_t>> counts(
      static_cast<std::size_t>(classes),
      std::vector<std::int64_t>(static_cast<std::size_t>(classes)));
  for (std::int64_t i = 0; i < labels.size(); ++i) {
    const std::int64_t t = labels.data<std::int64_t>()[i], p = predicted.data<std::int64_t>()[i];
    if (t < 0 || t >= classes || p >= classes) {
      throw ValueError("confusion", "class " + std::to_string(std::max(t, p)) + " at row " +
                                        std::to_string(i) + ": must be in [0, " +
                                        std::to_string(classes) + ")");
    }
    ++counts[static_cast<std::size_t>(t)][static_cast<std::size_t>(p)];
  }
  return counts;
}

}  // namespace xtape::nn
