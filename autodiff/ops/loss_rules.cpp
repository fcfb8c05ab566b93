#include <limits>

#include <xtape/autodiff/ops/loss_rules.hpp>

namespace xtape::losses {
namespace {

[[noreturn]] void throw_unfit(const char* loss, const Var& y, const Var& target) {
  const Shape &have = target.shape(), &want = y.shape();
  const std::string met = std::string("prediction ") + name(y.dtype()) + want.str() + ", target " +
                          name(target.dtype()) + have.str();
  if (have == want && target.dtype() != i64) {
    throw DTypeError(loss, met + ": dtypes must agree, write target.to(" + name(y.dtype()) + ")");
  }
  throw ShapeError(loss, met +
                             ": shapes must be equal, or the target i64 labels without the last "
                             "axis");
}

bool are_labels(const Var& y, const Var& target) {
  const Shape &have = target.shape(), &want = y.shape();
  return target.dtype() == i64 && want.rank() == have.rank() + 1 &&
         Shape(want.begin(), want.end() - 1) == have;
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

}  // namespace

Var reduced(const Var& each, Reduction r) {
  switch (r) {
    case Reduction::none:
      return each;
    case Reduction::sum:
      return sum(each);
    case Reduction::mean:
      return mean(each);
    case Reduction::batchmean:
      break;
  }
  return each.rank() == 0 ? each : sum(each) / static_cast<double>(each.shape()[0]);
}

Var targets(const char* loss, const Var& y, const Var& target) {
  if (target.shape() == y.shape() && target.dtype() == y.dtype()) return target;
  if (!are_labels(y, target)) throw_unfit(loss, y, target);
  const std::int64_t outputs = y.shape()[y.rank() - 1];
  return outputs == 1 ? binary_targets(loss, y, target) : one_hot(target, outputs, y.dtype());
}

Var label_rows(const char* loss, const Var& y, const Var& labels) {
  if (labels.dtype() != i64) {
    throw DTypeError(loss, std::string("labels are ") + name(labels.dtype()) +
                               ": they must be i64, write cast(labels, i64)");
  }
  if (!are_labels(y, labels)) {
    throw ShapeError(loss, "prediction " + y.shape().str() + " and labels " + labels.shape().str() +
                               ": labels have the shape of the prediction without the axis of the "
                               "classes");
  }
  return one_hot(labels, y.shape()[y.rank() - 1], y.dtype());
}

Var at_label(const Var& rows, const Var& y) { return sum(chain(rows, y), -1, true); }

Var class_weights(const char* loss, const Var& y, const Var& weight) {
  const Shape want{y.shape()[y.rank() - 1]};
  if (weight.shape() != want) {
    throw ShapeError(loss, "weights of shape " + weight.shape().str() + ": must be " + want.str() +
                               ", one for each class");
  }
  return beside(weight, y);
}

Var hinge(const Var& x) { return where(x < 0, 0, x); }

std::vector<Sample> samples_of_shapes(
    const Sampler& s, const std::vector<Range>& operands, const std::vector<Shape>& shapes,
    const std::function<Var(std::span<const Var>, Reduction)>& call) {
  static constexpr Reduction kReductions[] = {Reduction::mean, Reduction::sum, Reduction::none,
                                              Reduction::batchmean};
  static constexpr const char* kNames[] = {" mean", " sum", " none", " batchmean"};
  std::vector<Sample> out;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const std::size_t k = shapes[i].size() == 0 ? 1 + i % 2 : i % 4;  // no mean over nothing
    Sample sample{shapes[i].str() + kNames[k], {}, [call, k](std::span<const Var> in) {
                    return call(in, kReductions[k]);
                  }};
    for (const Range& r : operands) sample.inputs.push_back(s.draw(shapes[i], r.low, r.high));
    out.push_back(sample);
  }
  return out;
}

std::vector<Sample> elementwise_samples(const Sampler& s, const std::vector<Range>& operands,
                                        Var (*call)(std::span<const Var>, Reduction)) {
  return samples_of_shapes(s, operands, {{}, {5}, {2, 3}, {2, 1, 3, 2}, {0}, {3, 0}}, call);
}

Tensor sample_labels(const Shape& shape, std::int64_t classes) {
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < shape.size(); ++i) labels.push_back(i % classes);
  return Tensor::from(labels, shape);
}

}  // namespace xtape::losses
