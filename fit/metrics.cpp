#include <algorithm>
#include <cmath>

#include <xtape/autodiff/error.hpp>
#include <xtape/fit/metrics.hpp>
#include <xtape/nn/loss.hpp>

namespace xtape::fit {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

void require_rows(const char* where, std::int64_t n, std::int64_t least = 1) {
  if (n >= least) return;
  throw ValueError(where,
                   std::to_string(n) + " examples: needs " + std::to_string(least) + " or more");
}

void require_number(const char* where, double threshold) {
  if (std::isnan(threshold)) throw ValueError(where, "threshold nan: must be a number");
}

double ratio(double part, double whole) { return whole == 0 ? 0 : part / whole; }

// How many elements of `row` come before element `at` in falling order.
std::int64_t place(std::span<const double> row, std::size_t at) {
  std::int64_t before = 0;
  for (std::size_t j = 0; j < row.size(); ++j) {
    before += row[j] > row[at] || (row[j] == row[at] && j < at);
  }
  return before;
}

// How many rows have their label among the k largest.
std::int64_t right_in_top(const Tensor& outputs, const Tensor& labels, std::int64_t k) {
  const char* where = "top_accuracy";
  if (labels.dtype() != i64) {
    throw DTypeError(where, std::string("labels are ") + name(labels.dtype()) + ": must be i64");
  }
  if (outputs.rank() != 2 || labels.rank() != 1 || outputs.shape()[0] != labels.size()) {
    throw ShapeError(where, "outputs " + outputs.shape().str() + " and labels " +
                                labels.shape().str() + ": must be [n, classes] and [n]");
  }
  const std::int64_t classes = outputs.shape()[1];
  if (k < 1 || k > classes) {
    throw ValueError(
        where, "k " + std::to_string(k) + ": must be in [1, " + std::to_string(classes) + "]");
  }
  const Tensor y = outputs.to(f64);
  const std::span<const double> all = y.span<double>();
  if (std::any_of(all.begin(), all.end(), [](double v) { return std::isnan(v); })) {
    throw ValueError(where, "outputs have NaN elements, which say nothing of a class");
  }
  std::int64_t right = 0;
  for (std::int64_t i = 0; i < labels.size(); ++i) {
    const std::int64_t label = labels.data<std::int64_t>()[i];
    if (label < 0 || label >= classes) {
      throw ValueError(where, "label " + std::to_string(label) + " of row " + std::to_string(i) +
                                  ": must be in [0, " + std::to_string(classes) + ")");
    }
    right += place(all.subspan(index(i * classes), index(classes)), index(label)) < k;
  }
  return right;
}

struct Pair {
  Tensor outputs, targets;  // f64
};
Pair regression(const char* where, const Tensor& outputs, const Tensor& targets) {
  if (!is_floating(outputs.dtype()) || outputs.dtype() != targets.dtype()) {
    throw DTypeError(where, std::string("outputs ") + name(outputs.dtype()) + " and targets " +
                                name(targets.dtype()) + ": must both be f32 or both be f64");
  }
  if (outputs.shape() != targets.shape() || outputs.rank() == 0) {
    throw ShapeError(where, "outputs " + outputs.shape().str() + " and targets " +
                                targets.shape().str() + ": must be equal, [n, …]");
  }
  return {outputs.to(f64), targets.to(f64)};
}

double value_of(Metric&& metric, const Tensor& outputs, const Tensor& targets) {
  metric.add(outputs, targets);
  return metric.value();
}

constexpr const char* kErrorNames[] = {"mae", "mse", "rmse"};

}  // namespace

double top_accuracy(const Tensor& outputs, const Tensor& labels, std::int64_t k) {
  const std::int64_t right = right_in_top(outputs, labels, k);
  require_rows("top_accuracy", labels.size());
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

double mean_absolute_error(const Tensor& outputs, const Tensor& targets) {
  return value_of(MeanError(MeanError::absolute), outputs, targets);
}
double mean_squared_error(const Tensor& outputs, const Tensor& targets) {
  return value_of(MeanError(MeanError::squared), outputs, targets);
}
double root_mean_squared_error(const Tensor& outputs, const Tensor& targets) {
  return value_of(MeanError(MeanError::root_squared), outputs, targets);
}
double r_squared(const Tensor& outputs, const Tensor& targets) {
  return value_of(RSquared(), outputs, targets);
}

std::vector<ClassScores> class_scores(const Counts& counts) {
  std::vector<ClassScores> scores(counts.size());
  std::vector<std::int64_t> predicted(counts.size());
  for (std::size_t t = 0; t < counts.size(); ++t) {
    if (counts[t].size() != counts.size()) {
      throw ShapeError("class_scores", "row " + std::to_string(t) + " has " +
                                           std::to_string(counts[t].size()) + " counts for " +
                                           std::to_string(counts.size()) + " classes");
    }
    for (std::size_t p = 0; p < counts.size(); ++p) {
      predicted[p] += counts[t][p];
      scores[t].support += counts[t][p];
    }
  }
  for (std::size_t c = 0; c < counts.size(); ++c) {
    const auto right = static_cast<double>(counts[c][c]);
    const auto taken = static_cast<double>(predicted[c]);
    const auto support = static_cast<double>(scores[c].support);
    scores[c].precision = ratio(right, taken);
    scores[c].recall = ratio(right, support);
    scores[c].f1 = ratio(2 * right, taken + support);
  }
  return scores;
}

double macro_f1(const Counts& counts) {
  const std::vector<ClassScores> scores = class_scores(counts);
  double sum = 0;
  std::int64_t classes = 0, examples = 0;
  for (std::size_t c = 0; c < counts.size(); ++c) {
    const bool predicted =
        std::any_of(counts.begin(), counts.end(), [c](const auto& row) { return row[c] > 0; });
    if (scores[c].support == 0 && !predicted) continue;
    sum += scores[c].f1;
    examples += scores[c].support;
    ++classes;
  }
  require_rows("macro_f1", examples);
  return sum / static_cast<double>(classes);
}

double micro_f1(const Counts& counts) {
  std::int64_t right = 0, examples = 0;
  const std::vector<ClassScores> scores = class_scores(counts);
  for (std::size_t c = 0; c < counts.size(); ++c) {
    right += counts[c][c];
    examples += scores[c].support;
  }
  require_rows("micro_f1", examples);
  return static_cast<double>(right) / static_cast<double>(examples);
}

Accuracy::Accuracy(std::int64_t k, double threshold) : k_(k), threshold_(threshold) {
  require_number("Accuracy", threshold);
  if (k < 1) throw ValueError("Accuracy", "k " + std::to_string(k) + ": must be 1 or more");
}

std::string Accuracy::name() const {
  return k_ == 1 ? "accuracy" : "top" + std::to_string(k_) + "_accuracy";
}

void Accuracy::add(const Tensor& outputs, const Tensor& labels) {
  if (labels.defined() && labels.size() == 0) return;  // nn::accuracy refuses nothing
  const auto rows = static_cast<double>(labels.size());
  right_ += k_ == 1 ? std::llround(nn::accuracy(outputs, labels, threshold_) * rows)
                    : right_in_top(outputs, labels, k_);
  total_ += labels.size();
}

double Accuracy::value() const {
  require_rows("Accuracy", total_);
  return static_cast<double>(right_) / static_cast<double>(total_);
}

ConfusionMatrix::ConfusionMatrix(std::int64_t classes, Average average, double threshold)
    : average_(average), threshold_(threshold) {
  require_number("ConfusionMatrix", threshold);
  require_rows("ConfusionMatrix: classes", classes);
  counts_.assign(index(classes), std::vector<std::int64_t>(index(classes)));
}

std::string ConfusionMatrix::name() const {
  return average_ == Average::macro ? "macro_f1" : "micro_f1";
}

void ConfusionMatrix::add(const Tensor& outputs, const Tensor& labels) {
  const Counts more =
      nn::confusion(outputs, labels, static_cast<std::int64_t>(counts_.size()), threshold_);
  for (std::size_t t = 0; t < more.size(); ++t) {
    for (std::size_t p = 0; p < more.size(); ++p) counts_[t][p] += more[t][p];
  }
}

double ConfusionMatrix::value() const {
  return average_ == Average::macro ? macro_f1(counts_) : micro_f1(counts_);
}

void ConfusionMatrix::reset() {
  for (auto& row : counts_) std::fill(row.begin(), row.end(), 0);
}

std::string MeanError::name() const { return kErrorNames[kind_]; }

void MeanError::add(const Tensor& outputs, const Tensor& targets) {
  const Pair p = regression(kErrorNames[kind_], outputs, targets);
  for (std::int64_t i = 0; i < p.outputs.size(); ++i) {
    const double e = p.outputs.data<double>()[i] - p.targets.data<double>()[i];
    sum_ += kind_ == absolute ? std::abs(e) : e * e;
  }
  count_ += p.outputs.size();
}

double MeanError::value() const {
  require_rows(kErrorNames[kind_], count_);
  const double mean = sum_ / static_cast<double>(count_);
  return kind_ == root_squared ? std::sqrt(mean) : mean;
}

void RSquared::add(const Tensor& outputs, const Tensor& targets) {
  const Pair p = regression("r2", outputs, targets);
  const std::int64_t rows = p.targets.shape()[0];
  if (rows == 0) return;
  const std::size_t width = index(p.targets.size() / rows);
  if (rows_ == 0) columns_.assign(width, {});
  if (width != columns_.size()) {
    throw ShapeError("r2", "rows of " + std::to_string(width) + " numbers after rows of " +
                               std::to_string(columns_.size()));
  }
  const double *y = p.outputs.data<double>(), *t = p.targets.data<double>();
  for (std::int64_t r = 0; r < rows; ++r) {
    ++rows_;
    for (Column& c : columns_) {
      const double before = *t - c.mean;
      c.mean += before / static_cast<double>(rows_);
      c.spread += before * (*t - c.mean);
      c.residual += (*y - *t) * (*y - *t);
      ++y, ++t;
    }
  }
}

double RSquared::value() const {
  require_rows("r2", rows_, 2);
  double sum = 0;
  for (const Column& c : columns_) {
    const bool plain = c.spread != 0 || std::isnan(c.residual);  // NaN stays NaN
    sum += plain ? 1 - c.residual / c.spread : c.residual == 0 ? 1 : 0;
  }
  if (columns_.empty()) require_rows("r2: numbers in a row", 0);
  return sum / static_cast<double>(columns_.size());
}

void RSquared::reset() {
  columns_.clear();
  rows_ = 0;
}

}  // namespace xtape::fit
