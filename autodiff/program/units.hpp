#pragma once

#include <string_view>

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
  enum class Kind : std::uint8_t {
    group,
    kernel,
    check,  ///< Checks that follow one another.
    parts   ///< Small contiguous slices that follow one another, such as one number for each group.
  };
  Kind kind = Kind::kernel;
  std::vector<Id> members;  ///< In topological order; one, where it is a kernel.
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

/// Ops of a group that run by one kernel, each reading the result of the one before, which nobody
/// else does.
struct Chain {
  static constexpr int kMaxLength = 4, kMaxOperands = 5;
  struct Link {
    std::string_view op;
    int slot = -1;  ///< The operand that is the result of the link before.
  };
  Link links[kMaxLength];
  int length;
  /// Of the operands that come from elsewhere, link by link: x has an element for each of the
  /// result, n is a number.
  std::string_view operands;
  void (*block)(const BlockArgs&);
};
/// An operand of a chain, and the member that reads it.
struct ChainOperand {
  Id reader, value;
};
/// The operands of the chain that ends with node `end`.
std::vector<ChainOperand> operands_of(const Graph& g, const Chain& c, Id end);

/// The units of a graph, in an order in which they can run: what follows a check comes as late as
/// can be, so that nothing is overwritten before everything that may throw has not.
struct Units {
  std::vector<Unit> units;
  std::vector<Id> unit_of;          ///< By node; kNone for leaves and aliases.
  std::vector<Form> form;           ///< By node, in its group.
  std::vector<const Chain*> chain;  ///< By node: the chain that it ends, or null.
  std::vector<Id> end_of;           ///< By node: with which member it runs: itself, but in chains.
};
Units make_units(const Graph& g, bool fuse);

/// The units that must run before those of node `i` read it: that of its root, and checks between.
void dependencies(const Graph& g, const std::vector<Id>& unit_of, Id i, std::vector<Id>& out);
/// Finds the chains in the groups; without `fuse` there are none.
void find_chains(const Graph& g, Units& u, bool fuse);
/// Brings units into an order in which they can run.
void schedule(const Graph& g, Units& u);

}  // namespace xtape::program
