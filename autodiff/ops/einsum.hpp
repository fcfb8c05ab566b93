#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <xtape/autodiff/var.hpp>

// Contractions: sums of products over named indices.
namespace xtape {

/// Σ of products by an equation such as "bij,bjk->bik": a letter for each axis of each operand;
/// summed is what does not stand in the result. Without "->" the result has the letters that stand
/// once, by alphabet (capitals first). "..." stands for axes that broadcast, the last aligned; in
/// the result they come where "..." stands there, without it they are summed. A letter that stands
/// twice in one operand takes the diagonal. An extent of 1 broadcasts. Spaces do not count.
/// Pairs are multiplied as matrices in the order of least multiply-adds (a good order for more than
/// 8 operands), see einsum_path.
/// @throws ParseError for an equation that is none; ValueError for another number of operands;
/// ShapeError when ranks or extents do not fit; DTypeError unless all are f32 or all f64.
Var einsum(std::string_view equation, const std::vector<Var>& operands);

/// In which order einsum multiplies.
struct EinsumPath {
  /// One equation for each step, sums of single operands first: "jk,kl->jl; ij,jl->il". Indices of
  /// extent 1 are left out; digits are axes of the ellipsis, 0 the last.
  std::string text;
  /// Multiply-adds of all steps.
  double cost = 0;
};
/// The order for operands of these shapes. @throws ParseError, ValueError or ShapeError as einsum.
EinsumPath einsum_path(std::string_view equation, const std::vector<Shape>& shapes);

/// Σ over pairs of axes, of which axes_a[i] and axes_b[i] have one extent; the other axes of a come
/// first. Empty lists sum nothing. @throws ShapeError when lists or extents differ; DTypeError.
Var tensordot(const Var& a, const Var& b, const std::vector<std::int64_t>& axes_a,
              const std::vector<std::int64_t>& axes_b);
/// The last n axes of a with the first n of b. @throws ShapeError; ValueError for n < 0;
/// DTypeError.
Var tensordot(const Var& a, const Var& b, std::int64_t n = 2);

}  // namespace xtape
