#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <xtape/autodiff/tensor.hpp>

// What a network's answers are worth: functions of tensors, and the same gathered over batches.
//
// Classifiers give outputs [n, classes] (or [n], [n, 1]: class 1 above a threshold, ½ for its
// probability, 0 for its logit) for labels i64 [n], as nn::accuracy; regressions give outputs and
// targets of one shape [n, …], floating. Everything is counted and summed in f64.
namespace xtape::fit {

/// The share of rows of `outputs` [n, classes] with the label among the k largest elements; of
/// equal ones the first counts as larger. @throws ShapeError, DTypeError; ValueError for NaN, a
/// label out of range, no rows, or unless 1 ≤ k ≤ classes.
double top_accuracy(const Tensor& outputs, const Tensor& labels, std::int64_t k);

/// mean |y − t|. @throws ShapeError or DTypeError when outputs and targets differ in shape or
/// dtype or are not floating; ValueError without elements.
double mean_absolute_error(const Tensor& outputs, const Tensor& targets);
/// mean (y − t)². @throws as mean_absolute_error.
double mean_squared_error(const Tensor& outputs, const Tensor& targets);
/// √ mean (y − t)². @throws as mean_absolute_error.
double root_mean_squared_error(const Tensor& outputs, const Tensor& targets);
/// R² = 1 − Σ (y − t)² / Σ (t − t̄)², the coefficient of determination: of each element of a row,
/// then their mean. Where all targets are equal it is 1 for answers without error and else 0, as in
/// scikit-learn. @throws as mean_absolute_error, and ValueError for fewer than 2 rows.
double r_squared(const Tensor& outputs, const Tensor& targets);

/// counts[t][p]: how many examples of class t were taken for class p, as nn::confusion gives.
using Counts = std::vector<std::vector<std::int64_t>>;

/// How well one class is told from the others. Ratios without any case are 0: the precision of a
/// class that was never predicted, the recall of one that never occurred.
struct ClassScores {
  double precision = 0;      ///< Of those taken for the class, the share that is of it.
  double recall = 0;         ///< Of those of the class, the share that was taken for it.
  double f1 = 0;             ///< 2 right / (2 right + taken wrongly + missed): the harmonic mean.
  std::int64_t support = 0;  ///< Examples of the class.
};
/// The scores of each class. @throws ShapeError unless counts are square.
std::vector<ClassScores> class_scores(const Counts& counts);
/// The mean F1 of those classes that occur or were predicted. @throws as class_scores, and
/// ValueError without examples.
double macro_f1(const Counts& counts);
/// F1 of all decisions together, which for one label per example is the accuracy. @throws as
/// macro_f1.
double micro_f1(const Counts& counts);

/// A number that says how good outputs are, gathered over batches.
class Metric {
 public:
  virtual ~Metric() = default;
  /// "accuracy": in reports, and to choose what is monitored.
  virtual std::string name() const = 0;
  /// Whether more of it is better.
  virtual bool larger_is_better() const = 0;
  /// Takes one batch in. @throws as the function of the metric; nothing has changed then.
  virtual void add(const Tensor& outputs, const Tensor& targets) = 0;
  /// Of everything since reset(). @throws ValueError before the first example.
  virtual double value() const = 0;
  /// Begins anew.
  virtual void reset() = 0;
};
/// Several of them, shared with whoever wants to look at more than value().
using Metrics = std::vector<std::shared_ptr<Metric>>;

/// Counts right answers: nn::accuracy, or top_accuracy for k above 1.
class Accuracy : public Metric {
 public:
  /// `threshold` is for outputs of one column: ½ for probabilities, 0 for logits.
  /// @throws ValueError unless k ≥ 1 and the threshold is a number.
  explicit Accuracy(std::int64_t k = 1, double threshold = 0.5);
  /// "accuracy", "top3_accuracy".
  std::string name() const override;
  bool larger_is_better() const override { return true; }
  void add(const Tensor& outputs, const Tensor& labels) override;
  double value() const override;
  void reset() override { right_ = total_ = 0; }

 private:
  std::int64_t k_, right_ = 0, total_ = 0;
  double threshold_;
};

/// How the classes of a ConfusionMatrix become one number.
enum class Average : std::uint8_t {
  macro,  ///< macro_f1()
  micro   ///< micro_f1()
};

/// What was taken for what; its value is F1.
class ConfusionMatrix : public Metric {
 public:
  /// `threshold` is for outputs of one column: ½ for probabilities, 0 for logits.
  /// @throws ValueError unless classes ≥ 1 and the threshold is a number.
  explicit ConfusionMatrix(std::int64_t classes, Average average = Average::macro,
                           double threshold = 0.5);
  /// "macro_f1", "micro_f1".
  std::string name() const override;
  bool larger_is_better() const override { return true; }
  void add(const Tensor& outputs, const Tensor& labels) override;
  double value() const override;
  void reset() override;
  /// Row: class, column: taken for.
  const Counts& counts() const { return counts_; }

 private:
  Counts counts_;
  Average average_;
  double threshold_;
};

/// mean_absolute_error, mean_squared_error or root_mean_squared_error.
class MeanError : public Metric {
 public:
  /// Which of them.
  enum Kind : std::uint8_t {
    absolute,     ///< "mae"
    squared,      ///< "mse"
    root_squared  ///< "rmse"
  };
  /// Of that kind.
  explicit MeanError(Kind kind) : kind_(kind) {}
  std::string name() const override;
  bool larger_is_better() const override { return false; }
  void add(const Tensor& outputs, const Tensor& targets) override;
  double value() const override;
  void reset() override { sum_ = 0, count_ = 0; }

 private:
  Kind kind_;
  double sum_ = 0;
  std::int64_t count_ = 0;
};

/// r_squared. Mean and spread of the targets are moved on row by row: Welford, "Note on a method
/// for calculating corrected sums of squares and products", 1962.
class RSquared : public Metric {
 public:
  /// "r2".
  std::string name() const override { return "r2"; }
  bool larger_is_better() const override { return true; }
  /// @throws as r_squared (a batch may be a single row), and ShapeError for rows of another size
  /// than before.
  void add(const Tensor& outputs, const Tensor& targets) override;
  double value() const override;
  void reset() override;

 private:
  struct Column {
    double mean = 0, spread = 0, residual = 0;  // of targets: mean, Σ (t − t̄)²; Σ (y − t)²
  };
  std::vector<Column> columns_;
  std::int64_t rows_ = 0;
};

}  // namespace xtape::fit
