#pragma once

#include <algorithm>
#include <bit>
#include <memory>
#include <span>
#include <vector>

#include <xtape/autodiff/program.hpp>
#include <xtape/autodiff/program/group_builder.hpp>
#include <xtape/autodiff/program/memory_plan.hpp>

namespace xtape::program {

/// One step of the flat loop.
struct Step {
  explicit Step(Id u) : unit(u) {}
  virtual ~Step() = default;
  virtual void run() = 0;
  /// Called once, when all addresses are there that do not change between runs.
  virtual void bound() {}
  /// Where an address of the step that does change has to be written.
  virtual std::byte** address(std::byte** where) { return where; }
  Id unit;
};

/// Where a value lies.
struct Location {
  enum class Kind : std::uint8_t { none, arena, input, parameter, constant, output };
  Kind kind = Kind::none;
  std::size_t index = 0;  ///< Of the block, argument, parameter, node or output.
};

/// Who lies where: decided before any pointer exists.
struct Layout {
  /// Elements copied from one place to another, before all steps or after them.
  struct Copy {
    Location from, to;
    std::size_t bytes;
  };
  std::vector<bool> external;      ///< By node: it needs memory that outlives its unit.
  std::vector<Location> location;  ///< By root.
  std::vector<Block> blocks;       ///< Of the arena.
  Parameters parameters;           ///< Read or written.
  std::vector<Spec> recorded;      ///< By parameter: what it was when it was recorded.
  std::vector<bool> frozen;        ///< By parameter, when it was recorded.
  std::vector<bool> stored;        ///< By parameter: whether a run changes it.
  std::vector<Copy> early, late;
};
Layout make_layout(const Graph& g, const Units& units, bool in_place);

/// Addresses, to ask whether one is among them; the memory is taken once.
class Addresses {
 public:
  /// Forgets all and takes those of `n` new ones.
  template <class At>
  void assign(std::size_t n, At&& at) {
    if (table_.size() < 2 * n) table_.resize(std::bit_ceil(2 * n));
    std::fill(table_.begin(), table_.end(), nullptr);
    for (std::size_t k = 0; k < n; ++k) table_[place(at(k))] = at(k);
  }
  bool contains(const void* p) const { return !table_.empty() && table_[place(p)] == p; }

 private:
  // Where p is, or would be: at most half of the table is taken.
  std::size_t place(const void* p) const {
    const std::size_t mask = table_.size() - 1;
    std::size_t i = reinterpret_cast<std::uintptr_t>(p) * 0x9E3779B97F4A7C15U >> 32 & mask;
    while (table_[i] && table_[i] != p) i = (i + 1) & mask;
    return i;
  }
  std::vector<const void*> table_;
};

/// A graph, planned: units in order, memory in one arena, and the loop over the steps.
class Executable {
 public:
  Executable(Graph g, const Passes& passes);
  /// Runs every step. `outputs` are given memory of their own where others hold theirs. With
  /// `seconds`, adds what each step took.
  void run(std::span<const Argument> arguments, std::vector<Tensor>& outputs,
           std::vector<double>* seconds = nullptr);

  /// Whether every parameter still has the shape and dtype it was recorded with.
  bool parameters_fit() const;
  /// @throws ShapeError or DTypeError when not.
  void check_parameters(const std::string& program) const;

  const Graph& graph() const { return g_; }
  const Units& units() const { return units_; }
  const Layout& layout() const { return layout_; }
  std::size_t arena_bytes() const { return arena_bytes_; }
  std::size_t least_bytes() const { return least_bytes_; }

 private:
  struct Copy {
    std::byte *from = nullptr, *to = nullptr;
    std::size_t bytes = 0;
  };
  // Memory that may be elsewhere in the next run, and who has to know.
  struct Slot {
    void* now = nullptr;
    std::vector<std::byte**> where;
  };

  void bind(std::byte** where, const Location& l, Step* owner);
  void bind_copies(const std::vector<Layout::Copy>& plan, std::vector<Copy>& out);
  static void move(Slot& slot, void* to);
  void find_arguments(std::span<const Argument> arguments);
  void find_parameters();
  void find_outputs(std::vector<Tensor>& outputs);

  Graph g_;
  Units units_;
  Layout layout_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<Copy> early_, late_;
  std::vector<Slot> inputs_, parameters_, outputs_;
  Addresses arguments_;          // where the inputs of this run lie
  std::vector<double> numbers_;  // plain numbers given as arguments, in the argument's dtype
  std::vector<Tensor> retired_;  // argument memory that outputs or parameters had, during a run
  Tensor arena_;
  std::byte* base_ = nullptr;
  std::size_t arena_bytes_ = 0, least_bytes_ = 0;
};

}  // namespace xtape::program
