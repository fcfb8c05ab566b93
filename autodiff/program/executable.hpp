#pragma once

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
  bool is_argument(const void* p) const;
  void find_parameters();
  void find_outputs(std::vector<Tensor>& outputs);

  Graph g_;
  Units units_;
  Layout layout_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<Copy> early_, late_;
  std::vector<Slot> inputs_, parameters_, outputs_;
  std::vector<double> numbers_;  // plain numbers given as arguments, in the argument's dtype
  std::vector<Tensor> retired_;  // argument memory that outputs or parameters had, during a run
  Tensor arena_;
  std::byte* base_ = nullptr;
  std::size_t arena_bytes_ = 0, least_bytes_ = 0;
};

}  // namespace xtape::program
