#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include <xtape/autodiff/var.hpp>

// How einsum reads an equation, and in which order it multiplies.
namespace xtape::contraction {

/// One character for each axis: a letter, or for an axis of the ellipsis a digit, '0' the last.
using Indices = std::string;
/// By index.
using Extents = std::array<std::int64_t, 128>;

/// An equation for operands of known shapes.
struct Equation {
  std::string text;         ///< As written.
  std::vector<Indices> in;  ///< Of each operand, one for each axis.
  Indices out;              ///< Of the result.
  Extents extent{};         ///< After broadcasting.
};
/// @throws ParseError, ShapeError or ValueError naming the equation and what is wrong with it.
Equation parse(std::string_view text, std::span<const Shape> shapes);

/// Which operands are multiplied: 0 … n − 1 those of the equation, n, n + 1, … results of steps.
struct Step {
  std::size_t a, b;  ///< The operands.
  Indices keep;      ///< The indices of the result, in no order.
  double cost;       ///< Multiply-adds.
};
struct Plan {
  std::vector<Step> steps;
  double cost = 0;  ///< Of all steps.
};
/// The order of least cost for up to 8 operands, a good one for more. No index stands twice in an
/// operand. @throws ShapeError when every order needs a tensor of more than kMaxRank axes.
Plan plan(const std::string& text, const std::vector<Indices>& in, const Indices& out,
          const Extents& extent);

/// The indices of each operand that are multiplied: not those of extent 1, each once, and not those
/// that stand neither in another operand nor in the result.
std::vector<Indices> multiplied(const Equation& e, std::span<const Shape> shapes);

inline bool has(const Indices& all, char index) { return all.find(index) != Indices::npos; }
/// The product of extents.
inline std::int64_t size(const Indices& indices, const Extents& extent) {
  std::int64_t n = 1;
  for (const char c : indices) n *= extent[static_cast<unsigned char>(c)];
  return n;
}

/// An operand, and the index of each of its axes.
struct Term {
  Var x;
  Indices indices;
};
/// Σ a b over what is not in `keep`; no index stands twice in an operand, none outside `keep` in
/// one of them alone. The axes come in the order `wanted`, where that is not empty.
Term contract(const Term& a, const Term& b, const Indices& keep, const Indices& wanted,
              const Extents& extent);

}  // namespace xtape::contraction
