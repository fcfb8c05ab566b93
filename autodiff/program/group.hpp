#pragma once

#include <xtape/autodiff/program/units.hpp>

// A fused group: its ops run block by block, so that what one hands to the next stays in the cache.
namespace xtape::program {

/// Where an operand lies. The address of its part in a block is
/// base + elements·per_element + rows·per_row + columns·per_col, the position of the block.
struct Place {
  std::byte* base = nullptr;  ///< In scratch memory: the offset there.
  bool scratch = false;
  std::int32_t per_element = 0, per_row = 0, per_col = 0;
  std::int64_t next_row = 0;  ///< Bytes from one row of the block to the next, for each_row.
};

/// One op of a group, a chain of them, or a helper of one.
struct Instruction {
  enum class Kind : std::uint8_t {
    block,        ///< An elementwise op, or a chain of them.
    expand,       ///< Repeats each row's element over the row.
    tile,         ///< Repeats a row for all rows of a block; once.
    reduce_rows,  ///< One result for each row.
    accumulate    ///< Adds the block to the accumulators of an end result.
  };
  Kind kind = Kind::block;
  bool by_row = false;  ///< Works on one element for each row.
  bool each_row =
      false;  ///< Runs once for each row of the block, which has an operand of one element.
  DType dtype = f32;
  std::uint8_t bytes = 4;                     ///< Of an element, for the helpers.
  void (*block)(const BlockArgs&) = nullptr;  ///< Of an op, or of a chain of them.
  const Attrs* attrs = nullptr;
  const Reducer* reducer = nullptr;
  std::size_t end = 0;  ///< accumulate: which of Group::ends.
  Place out;
  static constexpr int kMaxOperands = Chain::kMaxOperands;
  int operands = 1;
  Place in[kMaxOperands];
  std::uint8_t moving = 0;  ///< Bit k: operand k moves on with the output.
  /// The same as BlockArgs wants it.
  const std::int64_t* step() const;
};

/// A reduction that ends with the group.
struct End {
  const Reducer* reducer;
  std::int64_t count;       ///< Accumulators: 1, or one for each column.
  std::size_t chunk_bytes;  ///< Accumulators of one chunk.
  std::byte* acc;           ///< Those of all chunks.
  Place out;
};

/// How a group is run; see group_builder.cpp for how it is made.
struct Group {
  std::int64_t n = 1, cols = 0, rows = 0;  ///< cols 0: rows do not matter.
  std::int64_t block = 0;                  ///< Elements of a block; whole rows, or part of one.
  std::int64_t blocks = 0, chunks = 1;     ///< A chunk is a fixed run of blocks.
  std::size_t scratch_bytes = 0;           ///< Of one lane.
  std::byte* scratch = nullptr;            ///< Of all lanes.
  int lanes = 1;                           ///< Threads that may work at the same time.
  std::vector<Instruction> code;
  std::vector<End> ends;

  void run() const;
  /// Bytes of scratch memory and accumulators, for use_memory().
  std::size_t memory_bytes() const;
  void use_memory(std::byte* memory);
  /// Settles what can be settled once all addresses are there that do not change between runs.
  void prepare();
  /// Where an address that does change has to be written: `base` is that of one of the places.
  std::byte** address(std::byte** base);
  struct Position;

 private:
  // One instruction of a group of one block, with everything settled.
  struct Call {
    void (*block)(const BlockArgs&);  // null: another kind of instruction, `code` says which
    BlockArgs args;
    const void* in[Instruction::kMaxOperands];
    const Instruction* code;
  };
  std::vector<Call> calls_;  // of a group of one block
  void run_lane(std::int64_t lane, std::int64_t lanes) const;
  void run_chunk(std::int64_t chunk, std::byte* scratch, bool& fresh) const;
  void run_single() const;
  void run_other(const Instruction& i, const Position& p, std::int64_t chunk, bool fresh) const;
  void run_block(std::int64_t begin, std::int64_t end, std::int64_t chunk, std::byte* scratch,
                 bool fresh) const;
};

}  // namespace xtape::program
