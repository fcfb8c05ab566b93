#include <cmath>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/nn/loss.hpp>

namespace xtape::nn {

std::string loss_names() { return "mse, half_squared, l1, huber, bce, bce_logits, cross_entropy"; }

NamedLoss loss(const std::string& name) {
  if (name == "mse") return {name, [](auto& y, auto& t) { return mse_loss(y, t); }};
  if (name == "half_squared") {
    return {name, [](auto& y, auto& t) { return half_squared_error(y, t, Reduction::mean); }};
  }
  if (name == "l1") return {name, [](auto& y, auto& t) { return l1_loss(y, t); }};
  if (name == "huber") return {name, [](auto& y, auto& t) { return huber_loss(y, t); }};
  if (name == "bce") return {name, [](auto& y, auto& t) { return binary_cross_entropy(y, t); }};
  if (name == "bce_logits") {
    return {name, [](auto& y, auto& t) { return binary_cross_entropy_with_logits(y, t); }};
  }
  if (name == "cross_entropy") return {name, [](auto& y, auto& t) { return cross_entropy(y, t); }};
  throw ParseError("loss", "'" + name + "' is not one of " + loss_names());
}

Tensor predicted_classes(const Tensor& y, double threshold) {
  if (std::isnan(threshold)) {
    throw ValueError("predicted_classes", "threshold nan: must be a number");
  }
  if (!all_finite(y) && sum(cast(not_equal(y, y), i64)).item() > 0) {
    throw ValueError("predicted_classes",
                     "outputs have NaN elements, which say nothing of a class");
  }
  if (y.rank() == 2 && y.shape()[1] > 1) return argmax(y, 1).value();
  if (y.rank() != 1 && (y.rank() != 2 || y.shape()[1] != 1)) {
    throw ShapeError("predicted_classes", "outputs of shape " + y.shape().str() +
                                              ": must be [n, classes], [n, 1] or [n]");
  }
  return cast(Var(y.reshape({y.size()})) > threshold, i64).value();
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

void check_class(const char* where, std::int64_t c, std::int64_t row, std::int64_t classes) {
  if (c >= 0 && c < classes) return;
  throw ValueError(where, "class " + std::to_string(c) + " at row " + std::to_string(row) +
                              ": must be in [0, " + std::to_string(classes) + ")");
}
}  // namespace

double accuracy(const Tensor& y, const Tensor& labels, double threshold) {
  check_labels("accuracy", y, labels);
  const Tensor predicted = predicted_classes(y, threshold);
  const std::int64_t classes = y.rank() == 2 && y.shape()[1] > 1 ? y.shape()[1] : 2;
  for (std::int64_t i = 0; i < labels.size(); ++i) {
    check_class("accuracy", labels.data<std::int64_t>()[i], i, classes);
  }
  if (labels.size() == 0) throw ValueError("accuracy", "of 0 rows: needs 1 or more");
  return mean(cast(equal(predicted, labels), f64)).item();
}

std::vector<std::vector<std::int64_t>> confusion(const Tensor& y, const Tensor& labels,
                                                 std::int64_t classes, double threshold) {
  check_labels("confusion", y, labels);
  if (classes < 1) {
    throw ValueError("confusion", std::to_string(classes) + " classes: must be 1 or more");
  }
  const Tensor predicted = predicted_classes(y, threshold);
  std::vector<std::vector<std::int64_t>> counts(
      static_cast<std::size_t>(classes),
      std::vector<std::int64_t>(static_cast<std::size_t>(classes)));
  for (std::int64_t i = 0; i < labels.size(); ++i) {
    const std::int64_t t = labels.data<std::int64_t>()[i], p = predicted.data<std::int64_t>()[i];
    check_class("confusion", t, i, classes);
    check_class("confusion", p, i, classes);
    ++counts[static_cast<std::size_t>(t)][static_cast<std::size_t>(p)];
  }
  return counts;
}

}  // namespace xtape::nn
