#pragma once

#include <optional>
#include <utility>

#include <xtape/autodiff/kernels/convolution.hpp>
#include <xtape/autodiff/kernels/max_pool.hpp>
#include <xtape/autodiff/op.hpp>
#include <xtape/autodiff/ops/axis_map.hpp>

// What the attributes of some ops say, for those who translate recordings (nn/export.cpp). Each
// takes those of the op that it names.
namespace xtape {

/// Of matmul: whether a and b are taken transposed.
std::pair<bool, bool> transposed_operands(const Attrs* matmul);
/// Of convolution and convolution_input.
const kernels::Convolution& convolution_of(const Attrs* convolution);
/// Of max_pool_indices.
const kernels::Pool& pool_of(const Attrs* max_pool_indices);
/// Of map_axis: the axis and the map.
std::pair<int, const AxisMap&> axis_map_of(const Attrs* map_axis);
/// Of clamp: the bounds.
std::pair<double, double> bounds_of(const Attrs* clamp);
/// Of slice: where its elements begin, when they follow one another in the whole.
std::optional<std::int64_t> contiguous_part_of(const Attrs* slice);
/// Of standardize.
struct Standardization {
  const Axes& axes;  ///< Those of a group.
  double eps;        ///< Added to the variance.
  bool centred;      ///< Whether the mean is taken off.
};
/// Of standardize.
Standardization standardization_of(const Attrs* standardize);

}  // namespace xtape
