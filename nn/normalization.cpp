#include <xtape/nn/normalization.hpp>

namespace xtape::nn {
namespace {

std::string extent(const Shape& s) { return s.rank() == 1 ? std::to_string(s[0]) : s.str(); }

// Factors and shifts keep their own initialisers, whatever their rank.
constexpr ParameterTraits kOwn{.weight = false};

void check_channels(const char* layer, std::int64_t channels) {
  if (channels >= 1 || channels == infer) return;
  throw ValueError(layer, std::to_string(channels) + " channels: must be 1 or more");
}

// The shape of weight and bias for an input; an open last axis is that of x.
Shape known(const char* layer, Shape normalized, const Var& x) {
  const int last = normalized.rank() - 1;
  if (normalized[last] != infer) return normalized;
  if (x.rank() == 0) throw ShapeError(layer, "input of shape (): must have an axis");
  normalized[last] = x.shape()[x.rank() - 1];
  return normalized;
}

void check_normalized(const char* layer, const Shape& s) {
  bool ok = s.rank() > 0;
  for (int i = 0; i < s.rank(); ++i) ok = ok && (s[i] >= 1 || (s[i] == infer && s.rank() == 1));
  if (ok) return;
  throw ValueError(layer, "normalized shape " + s.str() + ": extents must be 1 or more");
}

}  // namespace

BatchNorm::BatchNorm(std::int64_t channels, const BatchNormLayerOptions& o, std::optional<int> axes)
    : BatchNorm(false, channels, o, axes) {}

BatchNorm::BatchNorm(bool instance, std::int64_t channels, const BatchNormLayerOptions& o,
                     std::optional<int> axes)
    : instance_(instance), channels_(channels), options_(o), axes_(axes) {
  check_channels(instance ? "InstanceNorm" : "BatchNorm", channels);
  if (o.affine) {
    add_parameter("weight", {channels}, constant(1), {1, 1}, o.dtype, kOwn);
    add_parameter("bias", {channels}, constant(0), {1, 1}, o.dtype, kOwn);
  }
  if (!o.track_running_stats) return;
  const bool open = channels == infer;
  add_buffer("running_mean", open ? Tensor() : Tensor::zeros({channels}, o.dtype));
  add_buffer("running_var", open ? Tensor() : Tensor::ones({channels}, o.dtype));
  add_buffer("num_batches_tracked", Tensor::scalar(0, i64));
}

// Gives what is open the extent of axis 1.
void BatchNorm::size(const Var& x) const {
  const Shape channels{x.shape()[1]};
  for (std::size_t k = 0; k < own_parameters().size(); ++k) materialize(k, channels, {1, 1});
  const DType dtype = options_.affine ? own_parameters()[0].dtype() : x.dtype();
  for (std::size_t k = 0; k < own_buffers().size(); ++k) {
    Parameter b = own_buffers()[k];
    if (!b.has_value()) b.materialize(Tensor::full(channels, k == 0 ? 0 : 1, dtype));
  }
}

void BatchNorm::check(const Var& x) const {
  const int rank = x.rank();
  const bool fits = !axes_ ? rank >= 2 : rank == *axes_ + 2 || (*axes_ == 1 && rank == 2);
  if (fits && (channels_ == infer || x.shape()[1] == channels_)) return;
  throw ShapeError(instance_ ? "InstanceNorm" : "BatchNorm",
                   "input of shape " + x.shape().str() + ": must be [batch, " +
                       (channels_ == infer ? "channels" : std::to_string(channels_)) +
                       (axes_ ? "] with " + std::to_string(*axes_) + " spatial axes" : ", …]"));
}

Var BatchNorm::forward(const Var& x) const {
  check(x);
  size(x);
  const bool tracked = options_.track_running_stats;
  BatchNormOptions o{.weight = operand("weight"),
                     .bias = operand("bias"),
                     .training = training() || !tracked,
                     .momentum = options_.momentum.value_or(1),
                     .eps = options_.eps};
  if (tracked) {
    o.running_mean = read(own_buffers()[0], x);
    o.running_var = read(own_buffers()[1], x);
  }
  const auto result = instance_ ? instance_norm(x, o) : batch_norm(x, o);
  if (!tracked || !training()) return result.y;
  const Parameter &mean = own_buffers()[0], &var = own_buffers()[1], &batches = own_buffers()[2];
  const Var n = read(batches, x) + 1;
  if (options_.momentum) {
    write(mean, result.running_mean);
    write(var, result.running_var);
  } else {
    // With momentum 1 the new ones are those of this batch: old + (new − old)/n.
    const Var part = 1 / cast(n, mean.dtype());
    // Not old + (new − old) part, in which f32 loses a small first one beside the old 1.
    const Var rest = 1 - part;
    write(mean, o.running_mean * rest + result.running_mean * part);
    write(var, o.running_var * rest + result.running_var * part);
  }
  write(batches, n);
  return result.y;
}

std::string BatchNorm::describe() const {
  const std::string axes = axes_ ? std::to_string(*axes_) + "d" : "";
  std::string s = (instance_ ? "InstanceNorm" : "BatchNorm") + axes + "(";
  const Parameters& sized = own_parameters().empty() ? own_buffers() : own_parameters();
  if (!sized.empty() && sized[0].has_value()) {
    s += std::to_string(sized[0].size());
  } else {
    s += channels_ == infer ? "?" : std::to_string(channels_);
  }
  return s + (options_.affine ? ")" : ", no weight)");
}

LayerNorm::LayerNorm(const Shape& normalized, const NormLayerOptions& o)
    : normalized_(normalized), eps_(o.eps) {
  check_normalized("LayerNorm", normalized);
  if (o.affine) add_parameter("weight", normalized, constant(1), {1, 1}, o.dtype, kOwn);
  if (o.affine && o.bias) add_parameter("bias", normalized, constant(0), {1, 1}, o.dtype, kOwn);
}

Var LayerNorm::forward(const Var& x) const {
  const Shape s = known("LayerNorm", normalized_, x);
  for (std::size_t k = 0; k < own_parameters().size(); ++k) materialize(k, s, {1, 1});
  return layer_norm(x, s, {.weight = operand("weight"), .bias = operand("bias"), .eps = eps_});
}

std::string LayerNorm::describe() const {
  return "LayerNorm(" + (normalized_[0] == infer ? "?" : extent(normalized_)) +
         (own_parameters().empty() ? ", no weight)" : ")");
}

RMSNorm::RMSNorm(const Shape& normalized, const NormLayerOptions& o)
    : normalized_(normalized), eps_(o.eps) {
  check_normalized("RMSNorm", normalized);
  if (o.affine) add_parameter("weight", normalized, constant(1), {1, 1}, o.dtype, kOwn);
}

Var RMSNorm::forward(const Var& x) const {
  const Shape s = known("RMSNorm", normalized_, x);
  for (std::size_t k = 0; k < own_parameters().size(); ++k) materialize(k, s, {1, 1});
  return rms_norm(x, s, {.weight = operand("weight"), .eps = eps_});
}

std::string RMSNorm::describe() const {
  return "RMSNorm(" + (normalized_[0] == infer ? "?" : extent(normalized_)) + ")";
}

GroupNorm::GroupNorm(std::int64_t groups, std::int64_t channels, const NormLayerOptions& o)
    : groups_(groups), eps_(o.eps) {
  check_channels("GroupNorm", channels);
  if (groups < 1 || (channels != infer && channels % groups != 0)) {
    throw ValueError("GroupNorm", std::to_string(channels) + " channels in " +
                                      std::to_string(groups) + " groups: must divide");
  }
  if (o.affine) add_parameter("weight", {channels}, constant(1), {1, 1}, o.dtype, kOwn);
  if (o.affine && o.bias) add_parameter("bias", {channels}, constant(0), {1, 1}, o.dtype, kOwn);
}

Var GroupNorm::forward(const Var& x) const {
  if (x.rank() >= 2) {
    const Shape channels{x.shape()[1]};
    for (std::size_t k = 0; k < own_parameters().size(); ++k) materialize(k, channels, {1, 1});
  }
  return group_norm(x, groups_,
                    {.weight = operand("weight"), .bias = operand("bias"), .eps = eps_});
}

std::string GroupNorm::describe() const {
  return "GroupNorm(" + std::to_string(groups_) + " groups)";
}

}  // namespace xtape::nn
