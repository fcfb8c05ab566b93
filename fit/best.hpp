#pragma once

#include <cmath>
#include <limits>

#include <xtape/autodiff/parameter.hpp>

namespace xtape::fit::detail {

/// The best value so far and, where wanted, what parameters were there.
class Best {
 public:
  /// Of these parameters, none to keep nothing.
  Best(const Parameters& kept, bool maximize, double min_delta)
      : parameters_(kept), maximize_(maximize), min_delta_(min_delta) {
    for (const Parameter& p : kept) values_.push_back(Parameter::buffer(p.value(), p.name()));
  }

  /// True for an improvement, whose parameters are noted. NaN is none.
  bool observe(double value, std::int64_t epoch) {
    const double gain = maximize_ ? value - value_ : value_ - value;
    const bool better = epoch_ == 0 ? !std::isnan(value) : gain > min_delta_;
    if (!better) {
      ++waited_;
      return false;
    }
    value_ = value;
    epoch_ = epoch;
    waited_ = 0;
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i].assign(parameters_[i].value());
    return true;
  }
  /// Gives the parameters the values of the best epoch, if there was any.
  void restore() {
    if (epoch_ == 0) return;
    for (std::size_t i = 0; i < values_.size(); ++i) parameters_[i].assign(values_[i].value());
  }

  double value() const { return value_; }
  std::int64_t epoch() const { return epoch_; }    // 0: none yet
  std::int64_t waited() const { return waited_; }  // observations since
  bool keeps() const { return !values_.empty(); }
  const Parameters& values() const { return values_; }
  /// Continues from there, but for values().
  void set(double value, std::int64_t epoch, std::int64_t waited) {
    value_ = value, epoch_ = epoch, waited_ = waited;
  }

 private:
  Parameters parameters_, values_;
  bool maximize_;
  double min_delta_;
  double value_ = std::numeric_limits<double>::quiet_NaN();
  std::int64_t epoch_ = 0, waited_ = 0;
};

}  // namespace xtape::fit::detail
