#include <algorithm>
#include <bit>
#include <cctype>
#include <limits>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/ops/contraction.hpp>

namespace xtape::contraction {
namespace {

std::int64_t& at(Extents& extent, char index) { return extent[static_cast<unsigned char>(index)]; }

std::string quoted(const std::string& text) { return "equation '" + text + "'"; }

std::string said(char index) {
  const bool ellipsis = std::isdigit(static_cast<unsigned char>(index)) != 0;
  return ellipsis ? std::string("axis −") + static_cast<char>(index + 1) + " of the ellipsis"
                  : std::string("index ") + index;
}

// The letters of one operand; '.' stands for its ellipsis.
Indices read_term(const std::string& text, std::string_view term) {
  Indices out;
  for (std::size_t i = 0; i < term.size(); ++i) {
    const char c = term[i];
    if (c == ' ') continue;
    if (std::isalpha(static_cast<unsigned char>(c))) {
      out += c;
    } else if (term.substr(i, 3) == "...") {
      if (has(out, '.')) {
        throw ParseError("einsum", quoted(text) + ": more than one '...' in '" + std::string(term) +
                                       "', write one");
      }
      out += '.';
      i += 2;
    } else {
      throw ParseError("einsum", quoted(text) + ": '" + std::string(1, c) + "' in '" +
                                     std::string(term) + "' is neither a letter nor '...'");
    }
  }
  return out;
}

std::vector<Indices> read_terms(const std::string& text, std::string_view left) {
  std::vector<Indices> out;
  for (std::size_t start = 0;;) {
    const std::size_t comma = left.find(',', start);
    out.push_back(read_term(text, left.substr(start, comma - start)));
    if (comma == std::string_view::npos) return out;
    start = comma + 1;
  }
}

// '.' replaced by n axes, outermost first.
Indices spread(const Indices& term, int n) {
  Indices out;
  for (const char c : term) {
    if (c != '.') {
      out += c;
      continue;
    }
    for (int i = n; i-- > 0;) out += static_cast<char>('0' + i);
  }
  return out;
}

// The axes that the ellipsis of an operand stands for.
int ellipsis_rank(const std::string& text, const Indices& term, const Shape& shape, std::size_t k) {
  const int letters = static_cast<int>(term.size()) - (has(term, '.') ? 1 : 0);
  const int rest = shape.rank() - letters;
  if (rest == 0 || (rest > 0 && has(term, '.'))) return rest;
  throw ShapeError("einsum", quoted(text) + ", operand " + std::to_string(k) + " of shape " +
                                 shape.str() + ": " + std::to_string(letters) + " indices for " +
                                 std::to_string(shape.rank()) +
                                 " axes, write one letter for each or '...' for the others");
}

void note_extents(Equation& e, std::size_t k, const Shape& shape) {
  const auto refuse = [&](char index, std::int64_t here, std::int64_t there, const char* where) {
    throw ShapeError("einsum", quoted(e.text) + ", operand " + std::to_string(k) + " of shape " +
                                   shape.str() + ": " + said(index) + " has extent " +
                                   std::to_string(here) + " here and " + std::to_string(there) +
                                   where);
  };
  const Indices& indices = e.in[k];
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const std::int64_t n = shape[static_cast<int>(i)];
    const std::size_t twin = indices.find(indices[i]);
    const std::int64_t first = shape[static_cast<int>(twin)];
    if (n != first) {
      refuse(indices[i], n, first, " before: a diagonal needs equal extents");
    }
    std::int64_t& known = at(e.extent, indices[i]);
    if (known != 1 && n != 1 && known != n) {
      refuse(indices[i], n, known, " in an operand before: they must agree, or one be 1");
    }
    if (n != 1) known = n;
  }
}

// '...' and then, by alphabet, the letters that stand once.
Indices implicit_output(const std::vector<Indices>& terms) {
  Indices all, out;
  bool ellipsis = false;
  for (const Indices& t : terms) {
    all += t;
    ellipsis |= has(t, '.');
  }
  for (const char c : all) {
    if (c != '.' && std::count(all.begin(), all.end(), c) == 1) out += c;
  }
  std::sort(out.begin(), out.end());
  return ellipsis ? "." + out : out;
}

void check_output(const Equation& e) {
  for (const char c : e.out) {
    if (std::count(e.out.begin(), e.out.end(), c) > 1) {
      throw ParseError("einsum", quoted(e.text) + ": " + said(c) +
                                     " stands twice in the result, write diag_embed");
    }
    const auto in_it = [c](const Indices& t) { return has(t, c); };
    if (!std::any_of(e.in.begin(), e.in.end(), in_it)) {
      throw ParseError("einsum",
                       quoted(e.text) + ": " + said(c) + " of the result is in no operand");
    }
  }
  if (e.out.size() > static_cast<std::size_t>(kMaxRank)) {
    throw ShapeError("einsum", quoted(e.text) + ": a result of " + std::to_string(e.out.size()) +
                                   " axes, there are at most " + std::to_string(kMaxRank));
  }
}

// --- the order ---------------------------------------------------------------------------------

using Mask = std::uint64_t;

// Sets of indices as bits, numbered as they come.
class Numbered {
 public:
  Numbered(const std::vector<Indices>& in, const Extents& extent) {
    for (const Indices& t : in) {
      for (const char c : t) {
        if (has(names_, c)) continue;
        names_ += c;
        extents_.push_back(static_cast<double>(extent[static_cast<unsigned char>(c)]));
      }
    }
  }
  Mask mask(const Indices& indices) const {
    Mask m = 0;
    for (const char c : indices) {
      if (const auto i = names_.find(c); i != Indices::npos) m |= Mask{1} << i;
    }
    return m;
  }
  Indices indices(Mask m) const {
    Indices out;
    for (; m; m &= m - 1) out += names_[static_cast<std::size_t>(std::countr_zero(m))];
    return out;
  }
  double size(Mask m) const {
    double n = 1;
    for (; m; m &= m - 1) n *= extents_[static_cast<std::size_t>(std::countr_zero(m))];
    return n;
  }

 private:
  Indices names_;
  std::vector<double> extents_;
};

bool fits(Mask m) { return std::popcount(m) <= kMaxRank; }

// All ways to split every subset of the operands in two.
class Optimal {
 public:
  Optimal(const Numbered& names, const std::vector<Mask>& in, Mask out) : names_(names), in_(in) {
    const std::size_t all = (std::size_t{1} << in.size()) - 1;
    std::vector<Mask> touched(all + 1, 0);
    for (std::size_t s = 1; s <= all; ++s) {
      const auto last = static_cast<std::size_t>(std::countr_zero(s));
      touched[s] = touched[s & (s - 1)] | in[last];
    }
    best_.resize(all + 1);
    for (std::size_t s = 1; s <= all; ++s) {
      best_[s].keep = touched[s] & (touched[all & ~s] | out);
      if (s & (s - 1)) split(s);
    }
  }
  bool possible() const { return best_.back().cost < kNever; }
  Plan plan() {
    Plan p;
    p.cost = best_.back().cost;
    next_ = in_.size();
    write(best_.size() - 1, p);
    return p;
  }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity();
  struct Best {
    Mask keep = 0;
    double cost = 0, own = 0, moved = 0;
    std::size_t left = 0;
  };

  void split(std::size_t s) {
    Best& best = best_[s];
    best.cost = best.moved = kNever;
    if (!fits(best.keep)) return;
    // The part with the first operand on the left: each split once.
    const std::size_t first = s & (~s + 1), others = s ^ first;
    const double result = names_.size(best.keep);
    for (std::size_t part = others;;) {
      part = (part - 1) & others;
      const std::size_t left = first | part;
      const Best &a = best_[left], &b = best_[s ^ left];
      const double own = names_.size(a.keep | b.keep);
      const double cost = a.cost + b.cost + own, moved = a.moved + b.moved + result;
      if (cost < best.cost || (cost == best.cost && moved < best.moved)) {
        best.cost = cost, best.own = own, best.moved = moved, best.left = left;
      }
      if (part == 0) return;
    }
  }

  std::size_t write(std::size_t s, Plan& p) {
    if (!(s & (s - 1))) return static_cast<std::size_t>(std::countr_zero(s));
    const Best& best = best_[s];
    const std::size_t a = write(best.left, p), b = write(s ^ best.left, p);
    p.steps.push_back({a, b, names_.indices(best.keep), best.own});
    return next_++;
  }

  const Numbered& names_;
  const std::vector<Mask>& in_;
  std::vector<Best> best_;
  std::size_t next_ = 0;
};

// Always the pair that leaves least behind: its result without its operands; cheaper ones first.
// False when no pair has a result of few enough axes.
bool greedy(const Numbered& names, const std::vector<Mask>& in, Mask out, Plan& p) {
  struct Part {
    std::size_t at;
    Mask indices;
  };
  std::vector<Part> parts;
  for (const Mask m : in) parts.push_back({parts.size(), m});
  for (std::size_t next = parts.size(); parts.size() > 1; ++next) {
    constexpr double kNever = std::numeric_limits<double>::infinity();
    double least = kNever, cost = kNever;
    std::size_t a = 0, b = 0;
    Mask keep = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      for (std::size_t k = i + 1; k < parts.size(); ++k) {
        Mask others = out;
        for (std::size_t o = 0; o < parts.size(); ++o) {
          if (o != i && o != k) others |= parts[o].indices;
        }
        const Mask both = parts[i].indices | parts[k].indices;
        if (!fits(both & others)) continue;
        const double left =
            names.size(both & others) - names.size(parts[i].indices) - names.size(parts[k].indices);
        const double work = names.size(both);
        if (left < least || (left == least && work < cost)) {
          least = left, cost = work, a = i, b = k, keep = both & others;
        }
      }
    }
    if (cost == kNever) return false;
    p.steps.push_back({parts[a].at, parts[b].at, names.indices(keep), cost});
    p.cost += cost;
    parts[a] = {next, keep};
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(b));
  }
  return true;
}

}  // namespace

Equation parse(std::string_view text, std::span<const Shape> shapes) {
  Equation e;
  e.text = text;
  e.extent.fill(1);
  const std::size_t arrow = text.find("->");
  e.in = read_terms(e.text, text.substr(0, arrow));
  if (e.in.size() != shapes.size()) {
    throw ValueError("einsum", quoted(e.text) + " is for " + std::to_string(e.in.size()) +
                                   " operands, not for " + std::to_string(shapes.size()));
  }
  const bool explicit_output = arrow != std::string_view::npos;
  e.out = explicit_output ? read_term(e.text, text.substr(arrow + 2)) : implicit_output(e.in);
  int most = 0;
  for (std::size_t k = 0; k < e.in.size(); ++k) {
    const int n = ellipsis_rank(e.text, e.in[k], shapes[k], k);
    e.in[k] = spread(e.in[k], n);
    most = std::max(most, n);
  }
  e.out = spread(e.out, most);
  for (std::size_t k = 0; k < e.in.size(); ++k) note_extents(e, k, shapes[k]);
  check_output(e);
  return e;
}

std::vector<Indices> multiplied(const Equation& e, std::span<const Shape> shapes) {
  std::vector<Indices> once(e.in.size()), out(e.in.size());
  for (std::size_t k = 0; k < e.in.size(); ++k) {
    for (std::size_t i = 0; i < e.in[k].size(); ++i) {
      const char c = e.in[k][i];
      if (shapes[k][static_cast<int>(i)] != 1 && !has(once[k], c)) once[k] += c;
    }
  }
  for (std::size_t k = 0; k < once.size(); ++k) {
    for (const char c : once[k]) {
      bool needed = has(e.out, c);
      for (std::size_t o = 0; o < once.size(); ++o) needed |= o != k && has(once[o], c);
      if (needed) out[k] += c;
    }
  }
  return out;
}

Plan plan(const std::string& text, const std::vector<Indices>& in, const Indices& out,
          const Extents& extent) {
  constexpr std::size_t kOptimal = 8;
  const Numbered names(in, extent);
  std::vector<Mask> masks;
  for (const Indices& t : in) masks.push_back(names.mask(t));
  Plan p;
  if (in.size() <= kOptimal) {
    Optimal optimal(names, masks, names.mask(out));
    if (optimal.possible()) return optimal.plan();
  } else if (greedy(names, masks, names.mask(out), p)) {
    return p;
  }
  throw ShapeError("einsum", quoted(text) + ": a product on the way has more than " +
                                 std::to_string(kMaxRank) + " axes, write it as several equations");
}

}  // namespace xtape::contraction
