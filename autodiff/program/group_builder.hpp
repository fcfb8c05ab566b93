#pragma once

#include <xtape/autodiff/program/group.hpp>

namespace xtape::program {

/// A pointer of a step that has to lead to a value's memory.
struct Binding {
  std::byte** where;
  Id value;
};

/// Makes the code of unit `u`. `external[i]` says that node i needs memory of its own: it is read
/// after the group has ended. Pointers to such values and to those from elsewhere stay open: they
/// are appended to `bindings`.
void build_group(const Graph& g, const Units& units, Id u, const std::vector<bool>& external,
                 Group& out, std::vector<Binding>& bindings);

/// Whether unit `u` may write its member `result` into the memory of `operand`: it reads that
/// element by element, and nothing of it after the result is there.
bool can_overwrite(const Graph& g, const Units& units, Id u, Id result, Id operand);

}  // namespace xtape::program
