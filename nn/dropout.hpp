#pragma once

#include <xtape/nn/module.hpp>

namespace xtape::nn {

/// In training each element is 0 with probability p, else x/(1 − p); in evaluation y = x.
/// Srivastava et al., JMLR 2014. Random numbers come from a stream of the module's own, by its path
/// in the network (see Module::seed): every call draws fresh ones, and so does every run of a
/// program.
class Dropout : public Cloneable<Dropout> {
 public:
  /// @throws ValueError unless 0 ≤ p < 1.
  explicit Dropout(double p = 0.5);
  Var forward(const Var& x) const override;
  std::string describe() const override;

 private:
  double p_;
};

/// Dropout of whole channels, x being [batch, channels, …]. Tompson et al., "Efficient object
/// localization using convolutional networks", 2015.
class ChannelDropout : public Cloneable<ChannelDropout> {
 public:
  /// @throws ValueError unless 0 ≤ p < 1.
  explicit ChannelDropout(double p = 0.5);
  Var forward(const Var& x) const override;
  std::string describe() const override;

 private:
  double p_;
};

}  // namespace xtape::nn
