#pragma once

#include <string>
#include <vector>

#include <xtape/autodiff/var.hpp>

// A sparse linear map along one axis, which means and interpolation are made of.
namespace xtape {

/// y[i] = Σ_k weight[k] x[position[k]] for k from first[i] to first[i + 1].
struct AxisMap {
  template <class T>
  using List = std::vector<T, memory::Recycler<T>>;

  std::int64_t from;                        ///< Extent of x.
  List<std::int64_t> first{0}, position{};  ///< One more than y has elements; by term.
  List<double> weight{};                    ///< By term.

  std::int64_t to() const { return static_cast<std::int64_t>(first.size()) - 1; }
  /// One more term of the element that is being made; nothing when `w` is 0.
  void term(std::int64_t at, double w);
  /// Ends an element of y.
  void end() { first.push_back(static_cast<std::int64_t>(position.size())); }
  /// The map whose matrix is the transpose of this one's.
  AxisMap transposed() const;
  /// "5 → 3".
  std::string str() const { return std::to_string(from) + " → " + std::to_string(to()); }
  bool operator==(const AxisMap&) const = default;
};

/// x, mapped along `axis`, which has map.from elements. f32 sums are taken in double.
Var map_axis(const Var& x, int axis, AxisMap map);

}  // namespace xtape
