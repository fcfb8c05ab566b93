#pragma once

#include <optional>

#include <xtape/nn/module.hpp>

// Normalization layers: what they compute, and where it is from, is said in
// autodiff/ops/normalization.hpp. Channels lie on axis 1.
namespace xtape::nn {

/// What a batch or instance normalization layer is made with.
struct BatchNormLayerOptions {
  double eps = 1e-5;  ///< Added to the variance.
  /// The part of new statistics in the running ones; without a number they are the mean over all
  /// batches so far.
  std::optional<double> momentum = 0.1;
  bool affine = true;               ///< Whether there are `weight` and `bias`.
  bool track_running_stats = true;  ///< Whether there are running statistics; without, those of
                                    ///< the batch serve in evaluation, too.
  DType dtype = f32;                ///< Of all but the number of batches.
};

/// What an instance normalization layer is made with.
struct InstanceNormLayerOptions {
  double eps = 1e-5;                     ///< Added to the variance.
  std::optional<double> momentum = 0.1;  ///< As BatchNormLayerOptions::momentum.
  bool affine = false;                   ///< Whether there are `weight` and `bias`.
  bool track_running_stats = false;      ///< Whether there are running statistics, which serve in
                                         ///< evaluation; without, those of each sample do.
  DType dtype = f32;                     ///< Of all but the number of batches.
};

/// Normalizes each channel over the batch and all other axes, with a learned factor `weight` and
/// shift `bias`, both [channels]. Buffers are `running_mean`, `running_var` [channels] and
/// `num_batches_tracked`: training moves them on, evaluation uses them. Ioffe and Szegedy, 2015.
/// `channels` may be nn::infer.
class BatchNorm : public Cloneable<BatchNorm> {
 public:
  /// For inputs of any rank from 2, or with `axes` spatial axes only (0 and 1 both for 1).
  /// @throws ValueError unless there is a channel.
  explicit BatchNorm(std::int64_t channels, const BatchNormLayerOptions& options = {},
                     std::optional<int> axes = {});
  Var forward(const Var& x) const override;
  std::string describe() const override;

 protected:
  /// `instance` normalizes each sample of its own.
  BatchNorm(bool instance, std::int64_t channels, const BatchNormLayerOptions& options,
            std::optional<int> axes);

 private:
  void size(const Var& x) const;
  void check(const Var& x) const;

  bool instance_ = false;
  std::int64_t channels_;
  BatchNormLayerOptions options_;
  std::optional<int> axes_;
};
/// For [batch, channels] and [batch, channels, length].
struct BatchNorm1d : BatchNorm {
  /// As BatchNorm.
  explicit BatchNorm1d(std::int64_t channels, const BatchNormLayerOptions& o = {})
      : BatchNorm(channels, o, 1) {}
};
/// For images [batch, channels, height, width].
struct BatchNorm2d : BatchNorm {
  /// As BatchNorm.
  explicit BatchNorm2d(std::int64_t channels, const BatchNormLayerOptions& o = {})
      : BatchNorm(channels, o, 2) {}
};
/// For [batch, channels, depth, height, width].
struct BatchNorm3d : BatchNorm {
  /// As BatchNorm.
  explicit BatchNorm3d(std::int64_t channels, const BatchNormLayerOptions& o = {})
      : BatchNorm(channels, o, 3) {}
};
/// As BatchNorm for each sample of its own (Ulyanov et al., 2016), by default without parameters
/// and running statistics.
struct InstanceNorm : BatchNorm {
  /// As BatchNorm.
  explicit InstanceNorm(std::int64_t channels, const InstanceNormLayerOptions& o = {})
      : BatchNorm(true, channels, {o.eps, o.momentum, o.affine, o.track_running_stats, o.dtype},
                  {}) {}
};

/// What a layer normalization is made with.
struct NormLayerOptions {
  double eps = 1e-5;   ///< Added to the variance.
  bool affine = true;  ///< Whether there is a `weight`.
  bool bias = true;    ///< Whether there is a `bias`, too.
  DType dtype = f32;   ///< Of both.
};

/// Normalizes over the last axes, those of `normalized`, which is also the shape of `weight` and
/// `bias`. Ba, Kiros, Hinton, 2016. `{nn::infer}` is the last axis.
class LayerNorm : public Cloneable<LayerNorm> {
 public:
  /// @throws ValueError unless `normalized` has extents of 1 or more.
  explicit LayerNorm(const Shape& normalized, const NormLayerOptions& options = {});
  /// The last axis.
  explicit LayerNorm(std::int64_t extent, const NormLayerOptions& options = {})
      : LayerNorm(Shape{extent}, options) {}
  Var forward(const Var& x) const override;
  std::string describe() const override;

 private:
  Shape normalized_;
  double eps_;
};

/// x/√(mean x² + eps)·weight over the last axes. Zhang and Sennrich, 2019. `{nn::infer}` is the
/// last axis.
class RMSNorm : public Cloneable<RMSNorm> {
 public:
  /// As LayerNorm; there is no bias.
  explicit RMSNorm(const Shape& normalized, const NormLayerOptions& options = {});
  /// The last axis.
  explicit RMSNorm(std::int64_t extent, const NormLayerOptions& options = {})
      : RMSNorm(Shape{extent}, options) {}
  Var forward(const Var& x) const override;
  std::string describe() const override;

 private:
  Shape normalized_;
  double eps_;
};

/// Normalizes groups of neighbouring channels; `weight` and `bias` are [channels]. Wu and He, 2018.
/// `channels` may be nn::infer.
class GroupNorm : public Cloneable<GroupNorm> {
 public:
  /// @throws ValueError unless the channels divide into the groups.
  GroupNorm(std::int64_t groups, std::int64_t channels, const NormLayerOptions& options = {});
  Var forward(const Var& x) const override;
  std::string describe() const override;

 private:
  std::int64_t groups_;
  double eps_;
};

}  // namespace xtape::nn
