#include <algorithm>
#include <map>

#include <xtape/autodiff/program/group_builder.hpp>
#include <xtape/autodiff/threads.hpp>

namespace xtape::program {
namespace {

// Bytes of one value in one block: a handful of them stays in a first-level cache.
constexpr std::int64_t kBlockBytes = 8192;
// Rows from this length on are runs of their own where an operand has one element or one row.
constexpr std::int64_t kLongRow = 256;
// Blocks of such rows may be larger: what is done once for each row is then done for several.
constexpr std::int64_t kRowBlockBytes = 16384;
// Below this many element operations a second thread costs more than it saves: waking one that
// sleeps takes some 40 µs.
constexpr std::int64_t kParallelWork = 262'144;
constexpr std::int64_t kMaxChunks = 16;

std::int32_t bytes_of(const Node& n) { return static_cast<std::int32_t>(size_of(n.spec.dtype)); }

class Builder {
 public:
  Builder(const Graph& g, const Units& units, Id u, const std::vector<bool>& external, Group& out)
      : g_(g), units_(units), u_(u), unit_(units.units[u]), external_(external), out_(out) {}

  void build(std::vector<Binding>& bindings) {
    choose_block();
    for (const Id i : unit_.members) {
      ops_ += 1;
      if (units_.end_of[i] != i) continue;
      if (const Chain* c = units_.chain[i]) {
        add_chain(*c, i);
        continue;
      }
      for (const Id in : g_.nodes[i].in) prepare(i, in);
      add(i);
    }
    choose_chunks();
    place_temporaries();
    for (const Open& o : open_) bindings.push_back({base_of(o), o.value});
  }

 private:
  static constexpr std::size_t kEnd = ~std::size_t{0};
  static constexpr std::size_t kForever = ~std::size_t{0};
  static constexpr int kOut = -1;

  // An operand of an instruction (kOut: its output), or (instruction kEnd) the result of an end.
  struct Open {
    std::size_t instruction;
    int operand;
    Id value;
  };
  // A value in scratch memory: where it is made, where it is last read.
  struct Temporary {
    std::int64_t bytes;
    std::uint8_t width;  // of an element
    std::size_t first, last;
    std::int64_t offset = 0;
  };
  struct Use {
    std::size_t instruction;
    int operand;
    std::size_t temporary;
  };

  void choose_block() {
    out_.n = unit_.n;
    out_.cols = unit_.cols;
    out_.rows = out_.cols ? out_.n / out_.cols : 1;
    std::int64_t width = 4;
    for (const Id i : unit_.members) width = std::max<std::int64_t>(width, bytes_of(g_.nodes[i]));
    const bool long_rows = unit_.rows && unit_.cols >= kLongRow;
    const std::int64_t target = (long_rows ? kRowBlockBytes : kBlockBytes) / width;
    if (out_.cols == 0) {
      out_.block = std::min(out_.n, target);
    } else if (unit_.rows || out_.cols <= target) {
      block_rows_ = std::clamp<std::int64_t>(target / out_.cols, 1, out_.rows);
      out_.block = block_rows_ * out_.cols;
    } else {
      out_.block = target;  // a part of a row
    }
    const bool parts = out_.cols > out_.block;
    out_.blocks = parts ? out_.rows * ((out_.cols + out_.block - 1) / out_.block)
                        : (out_.n + out_.block - 1) / out_.block;
  }

  void choose_chunks() {
    const auto work = out_.n * ops_;
    if (work < kParallelWork || out_.blocks < 2) return;
    out_.chunks = std::min(out_.blocks, kMaxChunks);
    out_.lanes = std::max(num_threads(), 2);
  }

  bool inside(Id root) const { return units_.unit_of[root] == u_; }
  bool by_row(Id i) const { return units_.form[i] == Form::row && g_.nodes[i].op->block; }
  Pattern pattern(Id reader, Id in) const {
    if (!g_.nodes[reader].op->block) return {Pattern::Kind::full};
    return pattern_of(g_.nodes[in].spec.shape, g_.nodes[reader].spec.shape);
  }

  // Where a block has several rows, rows and row elements are repeated first, so that all operands
  // of an op are long runs.
  void prepare(Id reader, Id in) {
    const Pattern::Kind kind = pattern(reader, in).kind;
    const bool tile = kind == Pattern::Kind::tile;
    if (block_rows_ == 1 || out_.cols >= kLongRow) return;
    if (!tile && kind != Pattern::Kind::column) return;
    const Id root = g_.root(in);
    if (repeated_.count({root, tile})) return;
    Instruction x;
    x.kind = tile ? Instruction::Kind::tile : Instruction::Kind::expand;
    x.bytes = static_cast<std::uint8_t>(bytes_of(g_.nodes[in]));
    x.moving = 1;
    ops_ += 1;
    if (const auto t = temporary_.find(root); t != temporary_.end()) {
      read_temporary(x, 0, t->second);
    } else {
      if (!tile) x.in[0].per_row = x.bytes;
      open_.push_back({next(), 0, root});
    }
    const std::size_t t = write_temporary(x, out_.block);
    if (tile) temporaries_[t].last = kForever;
    repeated_[{root, tile}] = t;
    out_.code.push_back(x);
  }

  void add(Id i) {
    const Node& n = g_.nodes[i];
    Instruction x;
    if (n.op->reducer) {
      x.kind = Instruction::Kind::reduce_rows;
      x.reducer = n.op->reducer(n.spec.dtype);
    } else {
      x.block = n.op->block;
      x.attrs = n.attrs.get();
    }
    x.operands = static_cast<int>(n.in.size());
    x.by_row = units_.form[i] == Form::row;
    x.dtype = g_.nodes[n.in.back()].spec.dtype;
    for (std::size_t k = 0; k < n.in.size(); ++k) read(x, static_cast<int>(k), i, n.in[k]);
    write(x, i);
    out_.code.push_back(x);
  }

  void add_chain(const Chain& c, Id end) {
    Instruction x;
    x.block = c.block;
    x.dtype = g_.nodes[end].spec.dtype;
    x.operands = 0;
    for (const ChainOperand& o : operands_of(g_, c, end)) read(x, x.operands++, o.reader, o.value);
    write(x, end);
    out_.code.push_back(x);
  }

  void read(Instruction& x, int k, Id reader, Id in) {
    const Id root = g_.root(in);
    const std::int32_t bytes = bytes_of(g_.nodes[in]);
    const Pattern::Kind kind = pattern(reader, in).kind;
    const bool tile = kind == Pattern::Kind::tile;
    Place& place = x.in[k];
    const bool column = kind == Pattern::Kind::column, alone = !repeated_.count({root, tile});
    const bool moves = kind != Pattern::Kind::scalar && !(column && alone);
    x.moving = static_cast<std::uint8_t>(x.moving | (moves ? 1 << k : 0));
    if ((tile || column) && alone && block_rows_ > 1) x.each_row = true;
    place.next_row = tile || kind == Pattern::Kind::scalar ? 0 : column ? bytes : bytes * out_.cols;
    if (const auto t = repeated_.find({root, tile}); t != repeated_.end() && (tile || column)) {
      return read_temporary(x, k, t->second);
    }
    if (const auto t = temporary_.find(root); t != temporary_.end()) {
      return read_temporary(x, k, t->second);
    }
    if (tile) {
      place.per_col = bytes;
    } else if (column) {
      place.per_row = bytes;
    } else if (kind == Pattern::Kind::full) {
      (by_row(reader) ? place.per_row : place.per_element) = bytes;
    }
    open_.push_back({next(), k, root});
  }

  void write(Instruction& x, Id i) {
    const std::int32_t bytes = bytes_of(g_.nodes[i]);
    x.bytes = static_cast<std::uint8_t>(bytes);
    x.out.next_row = bytes * out_.cols;
    if (units_.form[i] == Form::end) {
      x.kind = Instruction::Kind::accumulate;
      x.end = out_.ends.size();
      const std::int64_t count = g_.nodes[i].spec.shape.size();
      const std::size_t total = static_cast<std::size_t>(count) * x.reducer->bytes;
      out_.ends.push_back({x.reducer, count, (total + 63) / 64 * 64, nullptr, {}});
      open_.push_back({kEnd, static_cast<int>(x.end), i});
    } else if (external_[i]) {
      (x.by_row ? x.out.per_row : x.out.per_element) = bytes;
      open_.push_back({next(), kOut, i});
    } else {
      temporary_[i] = write_temporary(x, x.by_row ? block_rows_ : out_.block);
    }
  }

  // These note operands of the instruction that is pushed next.
  std::size_t next() const { return out_.code.size(); }
  void read_temporary(Instruction& x, int k, std::size_t t) {
    x.in[k].scratch = true;
    if (temporaries_[t].last != kForever) temporaries_[t].last = next();
    uses_.push_back({next(), k, t});
  }
  std::size_t write_temporary(Instruction& x, std::int64_t elements) {
    temporaries_.push_back({(elements * x.bytes + 63) / 64 * 64, x.bytes, next(), next()});
    x.out.scratch = true;
    uses_.push_back({next(), kOut, temporaries_.size() - 1});
    return temporaries_.size() - 1;
  }

  // First fit; the memory of an operand serves for the result of the op that reads it last.
  void place_temporaries() {
    struct Slot {
      std::int64_t offset, bytes;
      std::uint8_t width;
      std::size_t last;
    };
    std::vector<Slot> slots;
    std::int64_t total = 0;
    for (Temporary& t : temporaries_) {  // in the order in which they are made
      const bool in_place = out_.code[t.first].kind == Instruction::Kind::block;
      // What is made once for all blocks needs memory that no earlier instruction of the next block
      // writes to.
      const auto fits = [&](const Slot& s) {
        return t.last != kForever && s.bytes == t.bytes &&
               (s.last < t.first || (s.last == t.first && in_place && s.width == t.width));
      };
      auto slot = std::find_if(slots.begin(), slots.end(), fits);
      if (slot == slots.end()) {
        slot = slots.insert(slots.end(), {total, t.bytes, t.width, 0});
        total += t.bytes;
      }
      slot->last = t.last;
      slot->width = t.width;
      t.offset = slot->offset;
    }
    out_.scratch_bytes = static_cast<std::size_t>(total);
    for (const Use& u : uses_) {
      Instruction& x = out_.code[u.instruction];
      Place& p = u.operand == kOut ? x.out : x.in[u.operand];
      p.base = reinterpret_cast<std::byte*>(temporaries_[u.temporary].offset);
    }
  }

  std::byte** base_of(const Open& o) {
    if (o.instruction == kEnd) return &out_.ends[static_cast<std::size_t>(o.operand)].out.base;
    Instruction& x = out_.code[o.instruction];
    return o.operand == kOut ? &x.out.base : &x.in[o.operand].base;
  }

  const Graph& g_;
  const Units& units_;
  Id u_;
  const Unit& unit_;
  const std::vector<bool>& external_;
  Group& out_;
  std::int64_t block_rows_ = 1, ops_ = 0;
  std::vector<Open> open_;
  std::vector<Temporary> temporaries_;
  std::vector<Use> uses_;
  std::map<Id, std::size_t> temporary_;                  // by member
  std::map<std::pair<Id, bool>, std::size_t> repeated_;  // by value, and whether it is a row
};

}  // namespace

void build_group(const Graph& g, const Units& units, Id u, const std::vector<bool>& external,
                 Group& out, std::vector<Binding>& bindings) {
  Builder(g, units, u, external, out).build(bindings);
}

bool can_overwrite(const Graph& g, const Units& units, Id u, Id result, Id operand) {
  const Unit& unit = units.units[u];
  if (units.form[result] != Form::full) return false;
  if (g.nodes[result].spec.nbytes() != g.nodes[operand].spec.nbytes()) return false;
  if (size_of(g.nodes[result].spec.dtype) != size_of(g.nodes[operand].spec.dtype)) return false;
  for (const Id m : unit.members) {
    for (const Id in : g.nodes[m].in) {
      if (g.root(in) != operand) continue;
      if (units.end_of[m] > result || units.form[m] == Form::row) return false;
      if (g.nodes[m].op->block &&
          pattern_of(g.nodes[in].spec.shape, g.nodes[m].spec.shape).kind != Pattern::Kind::full) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace xtape::program
