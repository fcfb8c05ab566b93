#include <algorithm>
#include <array>
#include <cstring>

#include <xtape/autodiff/program/group.hpp>
#include <xtape/autodiff/threads.hpp>

namespace xtape::program {

// The part of the space that a block covers, and where its scratch memory is.
struct Group::Position {
  std::int64_t element, row, col, count, rows;
  std::byte* scratch;

  std::byte* at(const Place& p) const {
    std::byte* base = p.scratch ? scratch + reinterpret_cast<std::size_t>(p.base) : p.base;
    return base + element * p.per_element + row * p.per_row + col * p.per_col;
  }
};

namespace {

using Position = Group::Position;

void run_op(const Instruction& i, Position p, std::int64_t cols) {
  const void* in[Instruction::kMaxOperands];
  if (i.each_row) {
    // Long rows are runs of their own: an operand of one row or one element needs no copies then.
    std::byte* out = p.at(i.out);
    const std::byte* from[Instruction::kMaxOperands];
    for (int k = 0; k < i.operands; ++k) from[k] = p.at(i.in[k]);
    const std::int64_t n = std::min(cols, p.count);
    for (std::int64_t r = 0; r < p.rows; ++r) {
      for (int k = 0; k < i.operands; ++k) in[k] = from[k] + r * i.in[k].next_row;
      i.block({out + r * i.out.next_row, in, i.step(), n, i.dtype, i.attrs});
    }
    return;
  }
  for (int k = 0; k < i.operands; ++k) in[k] = p.at(i.in[k]);
  i.block({p.at(i.out), in, i.step(), i.by_row ? p.rows : p.count, i.dtype, i.attrs});
}

template <class U>
void repeat_each(const std::byte* in, std::byte* out, std::int64_t rows, std::int64_t cols) {
  const auto* x = reinterpret_cast<const U*>(in);
  auto* y = reinterpret_cast<U*>(out);
  for (std::int64_t r = 0; r < rows; ++r, y += cols) std::fill_n(y, cols, x[r]);
}

void expand(const Instruction& i, const Position& p, std::int64_t cols) {
  const std::byte* in = p.at(i.in[0]);
  std::byte* out = p.at(i.out);
  if (i.bytes == 4) return repeat_each<std::uint32_t>(in, out, p.rows, cols);
  if (i.bytes == 8) return repeat_each<std::uint64_t>(in, out, p.rows, cols);
  repeat_each<std::uint8_t>(in, out, p.rows, cols);
}

void tile(const Instruction& i, const Position& p, std::int64_t count, std::int64_t cols) {
  const auto bytes = static_cast<std::size_t>(cols * i.bytes);
  std::byte* out = p.at(i.out);
  for (std::int64_t k = 0; k < count; k += cols, out += bytes) {
    std::memcpy(out, p.at(i.in[0]), bytes);
  }
}

void reduce_rows(const Instruction& i, const Position& p, std::int64_t cols) {
  const std::byte* x = p.at(i.in[0]);
  std::byte* out = p.at(i.out);
  for (std::int64_t r = 0; r < p.rows; ++r, x += cols * i.bytes, out += i.bytes) {
    alignas(16) std::byte acc[64];
    i.reducer->init(acc, 1);
    i.reducer->run(acc, x, cols);
    i.reducer->finish(acc, out, 1);
  }
}

void accumulate(const Instruction& i, const Position& p, std::byte* acc, std::int64_t count) {
  const std::byte* x = p.at(i.in[0]);
  if (count == 1) return i.reducer->run(acc, x, p.count);
  const auto bytes = static_cast<std::int64_t>(i.reducer->bytes);
  for (std::int64_t k = 0; k < p.count;) {
    const std::int64_t width = std::min(count - (k ? 0 : p.col), p.count - k);
    i.reducer->rows(acc + (k ? 0 : p.col) * bytes, x + k * i.bytes, width);
    k += width;
  }
}

}  // namespace

// One table for all, so that it stays in the cache.
const std::int64_t* Instruction::step() const {
  using Steps = std::array<std::int64_t, kMaxOperands>;
  static constexpr auto kSteps = [] {
    std::array<Steps, 1U << kMaxOperands> all{};
    for (std::size_t m = 0; m < all.size(); ++m) {
      for (std::size_t k = 0; k < kMaxOperands; ++k) all[m][k] = m >> k & 1;
    }
    return all;
  }();
  return kSteps[moving].data();
}

void Group::run_other(const Instruction& i, const Position& p, std::int64_t chunk,
                      bool fresh) const {
  switch (i.kind) {
    case Instruction::Kind::block:
      return run_op(i, p, cols);
    case Instruction::Kind::expand:
      return expand(i, p, cols);
    case Instruction::Kind::tile:
      return fresh ? tile(i, p, block, cols) : void();
    case Instruction::Kind::reduce_rows:
      return reduce_rows(i, p, cols);
    default:
      const End& e = ends[i.end];
      accumulate(i, p, e.acc + static_cast<std::size_t>(chunk) * e.chunk_bytes, e.count);
  }
}

void Group::run_block(std::int64_t begin, std::int64_t end, std::int64_t chunk, std::byte* memory,
                      bool fresh) const {
  const std::int64_t row = cols ? begin / cols : 0;
  const Position p{begin,
                   row,
                   cols ? begin - row * cols : 0,
                   end - begin,
                   cols ? std::max<std::int64_t>((end - begin) / cols, 1) : 1,
                   memory};
  for (const Instruction& i : code) {
    run_other(i, p, chunk, fresh);
  }
}

// Rows of a block that is part of a row: the last part may be shorter.
void Group::run_chunk(std::int64_t chunk, std::byte* memory, bool& fresh) const {
  for (const End& e : ends) {
    e.reducer->init(e.acc + static_cast<std::size_t>(chunk) * e.chunk_bytes, e.count);
  }
  const std::int64_t first = blocks * chunk / chunks, last = blocks * (chunk + 1) / chunks;
  const bool parts = cols && block < cols;
  const std::int64_t per_row = parts ? (cols + block - 1) / block : 1;
  for (std::int64_t b = first; b < last; ++b) {
    const std::int64_t start = parts ? b / per_row * cols : 0;
    const std::int64_t begin = start + (parts ? b % per_row : b) * block;
    const std::int64_t end = std::min(begin + block, parts ? start + cols : n);
    run_block(begin, end, chunk, memory, fresh);
    fresh = false;
  }
}

void Group::run_lane(std::int64_t lane, std::int64_t lanes_now) const {
  std::byte* memory = scratch + static_cast<std::size_t>(lane) * scratch_bytes;
  bool fresh = true;
  const std::int64_t first = chunks * lane / lanes_now, last = chunks * (lane + 1) / lanes_now;
  for (std::int64_t c = first; c < last; ++c) run_chunk(c, memory, fresh);
}

std::size_t Group::memory_bytes() const {
  std::size_t bytes = scratch_bytes * static_cast<std::size_t>(lanes);
  for (const End& e : ends) bytes += e.chunk_bytes * static_cast<std::size_t>(chunks);
  return bytes;
}

void Group::use_memory(std::byte* memory) {
  scratch = memory;
  memory += scratch_bytes * static_cast<std::size_t>(lanes);
  for (End& e : ends) {
    e.acc = memory;
    memory += e.chunk_bytes * static_cast<std::size_t>(chunks);
  }
}

void Group::prepare() {
  calls_.clear();
  if (blocks != 1) return;
  const Position p{0, 0, 0, n, rows, scratch};
  for (const Instruction& i : code) {
    Call c{};
    c.code = &i;
    if (i.kind == Instruction::Kind::block && !i.each_row) {
      c.block = i.block;
      c.args = {p.at(i.out), nullptr, i.step(), i.by_row ? rows : n, i.dtype, i.attrs};
      for (int k = 0; k < i.operands; ++k) c.in[k] = p.at(i.in[k]);
    }
    calls_.push_back(c);
  }
  for (Call& c : calls_) c.args.in = c.in;
}

std::byte** Group::address(std::byte** base) {
  for (std::size_t k = 0; k < calls_.size(); ++k) {
    Call& c = calls_[k];
    Instruction& i = code[k];
    if (!c.block || base < reinterpret_cast<std::byte**>(&i) ||
        base >= reinterpret_cast<std::byte**>(&i + 1)) {
      continue;
    }
    if (base == &i.out.base) return reinterpret_cast<std::byte**>(&c.args.out);
    for (int m = 0; m < i.operands; ++m) {
      if (base == &i.in[m].base) {
        return const_cast<std::byte**>(reinterpret_cast<const std::byte* const*>(&c.in[m]));
      }
    }
  }
  return base;
}

void Group::run_single() const {
  for (const End& e : ends) e.reducer->init(e.acc, e.count);
  for (const Call& c : calls_) {
    if (c.block) {
      c.block(c.args);
    } else {
      run_other(*c.code, {0, 0, 0, n, rows, scratch}, 0, true);
    }
  }
  for (const End& e : ends) e.reducer->finish(e.acc, e.out.base, e.count);
}

void Group::run() const {
  if (!calls_.empty()) return run_single();
  // Chunks, and with them all results, are the same however many threads there are.
  const std::int64_t lanes_now = std::min<std::int64_t>({lanes, chunks, num_threads()});
  if (lanes_now <= 1) {
    run_lane(0, 1);
  } else {
    detail::parallel_for(lanes_now, [&](std::int64_t lane) { run_lane(lane, lanes_now); });
  }
  for (const End& e : ends) {
    for (std::int64_t c = 1; c < chunks; ++c) {
      e.reducer->merge(e.acc, e.acc + static_cast<std::size_t>(c) * e.chunk_bytes, e.count);
    }
    e.reducer->finish(e.acc, e.out.base, e.count);
  }
}

}  // namespace xtape::program
