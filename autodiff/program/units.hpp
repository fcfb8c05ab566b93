#pragma once

#include <xtape/autodiff/program/graph.hpp>

// From a graph to what runs as one: fused groups of elementwise ops and reductions, and kernels.
namespace xtape::program {

/// How the elements of a group's member lie in the group's space of `n` elements, which are rows of
/// `cols` where that matters.
enum class Form : std::uint8_t {
  full,  ///< One element for each of the space.
  row,   ///< One element for each row.
  end    ///< A reduction over all rows: known when the group has ended.
};

/// What runs as one.
struct Unit {
  enum class Kind : std::uint8_t { group, kernel, check };
  Kind kind = Kind::kernel;
  std::vector<Id> members;  ///< In topological order; one, but for groups.
  std::int64_t n = 1;       ///< Elements of a group's space.
  std::int64_t cols = 0;    ///< Length of its rows; 0 where rows do not matter.
  bool rows = false;        ///< Whether some member has Form::row: rows are then not divided.
};

/// Longer rows are not reduced inside a group: they would not stay in the cache.
inline constexpr std::int64_t kMaxRow = 8192;

/// How an elementwise op reads an operand of fewer elements than its result.
struct Pattern {
  enum class Kind : std::uint8_t { full, scalar, tile, column, other };
  Kind kind;
  std::int64_t cols = 0;  ///< tile: its period; column: how long each element is repeated.
};
Pattern pattern_of(const Shape& operand, const Shape& result);

/// Which way a reduction goes through memory.
struct Direction {
  Form form;              ///< Of the result; full when it fits neither way.
  std::int64_t cols = 0;  ///< Length of a row; for Form::end the number of results (1: total).
};
Direction direction_of(const Node& n, const Shape& operand);

/// The units of a graph, in an order in which they can run: what follows a check comes as late as
/// can be, so that nothing is overwritten before everything that may throw has not.
struct Units {
  std::vector<Unit> units;
  std::vector<Id> unit_of;  ///< By node; kNone for leaves and aliases.
  std::vector<Form> form;   ///< By node, in its group.
};
Units make_units(const Graph& g, bool fuse);

/// The units that must run before those of node `i` read it: that of its root, and checks between.
void dependencies(const Graph& g, const std::vector<Id>& unit_of, Id i, std::vector<Id>& out);
/// Brings units into an order in which they can run.
void schedule(const Graph& g, Units& u);

}  // namespace xtape::program
