#include <cmath>
#include <numeric>

#include <xtape/autodiff/kernels/elementwise.hpp>
#include <xtape/autodiff/program/units.hpp>

// Kernels of several ops that often follow one another, mostly in the rules of optimizers: what one
// hands to the next stays in a register. Each op rounds as it does alone, so that results are the
// same to the bit: where the kernel of multiply_add has one rounding, fma says so here, which
// leaves the compiler nothing to contract.
namespace xtape::program {
namespace {

using kernels::Blocks, kernels::Operand;

// Whether products and sums contract where the machine can (CMakeLists.txt).
#if defined(XTAPE_CONTRACTED)
constexpr bool kContracted = true;
#else
constexpr bool kContracted = false;
#endif
// Whether multiply_add has one rounding on the machine that the compiler was told to use.
#if defined(__FP_FAST_FMA) || defined(__FMA__) || defined(__aarch64__)
constexpr bool kBaselineFma = true;
#else
constexpr bool kBaselineFma = false;
#endif

template <bool kFma, class T>
XTAPE_INLINE T multiply_add(T a, T b, T c) {
  if constexpr (kFma && kContracted) return std::fma(a, b, c);
  return a * b + c;
}

// The operands that are numbers come as `n`, those that have elements one by one.

// c x, m b + ·
template <bool kFma, class T>
struct Average {
  static constexpr int kElements[] = {1, 2}, kNumbers[] = {0, 3};
  T n[2];
  XTAPE_INLINE T operator()(T x, T m) const { return multiply_add<kFma>(m, n[1], n[0] * x); }
};

// x², c ·, v b + ·
template <bool kFma, class T>
struct AverageSquare {
  static constexpr int kElements[] = {0, 2}, kNumbers[] = {1, 3};
  T n[2];
  XTAPE_INLINE T operator()(T x, T v) const { return multiply_add<kFma>(v, n[1], n[0] * (x * x)); }
};

// √v, · + ε, m / ·
template <bool kFma, class T>
struct Normalize {
  static constexpr int kElements[] = {0, 2}, kNumbers[] = {1};
  T n[1];
  XTAPE_INLINE T operator()(T v, T m) const { return m / (std::sqrt(v) + n[0]); }
};

// √v, · + ε, m / ·, · r + p
template <bool kFma, class T>
struct NormalizedStep {
  static constexpr int kElements[] = {0, 2, 4}, kNumbers[] = {1, 3};
  T n[2];
  XTAPE_INLINE T operator()(T v, T m, T p) const {
    return multiply_add<kFma>(m / (std::sqrt(v) + n[0]), n[1], p);
  }
};

// m / s, · r + p
template <bool kFma, class T>
struct DividedStep {
  static constexpr int kElements[] = {0, 1, 3}, kNumbers[] = {2};
  T n[1];
  XTAPE_INLINE T operator()(T m, T s, T p) const { return multiply_add<kFma>(m / s, n[0], p); }
};

// p λ + g, v μ + ·
template <bool kFma, class T>
struct DecayedAverage {
  static constexpr int kElements[] = {0, 2, 3}, kNumbers[] = {1, 4};
  T n[2];
  XTAPE_INLINE T operator()(T p, T g, T v) const {
    return multiply_add<kFma>(v, n[1], multiply_add<kFma>(p, n[0], g));
  }
};

template <class F, class T, std::size_t... kIn>
XTAPE_INLINE void run(const BlockArgs& a, std::index_sequence<kIn...>) {
  F f;
  for (std::size_t k = 0; k < std::size(F::kNumbers); ++k) {
    f.n[k] = *static_cast<const T*>(a.in[F::kNumbers[k]]);
  }
  kernels::each_block(f, static_cast<T*>(a.out), a.n,
                      Blocks<T>(Operand<T>{static_cast<const T*>(a.in[F::kElements[kIn]]), 1})...);
}

// As kernels::at_simd_level, which does not say at which.
template <template <bool, class> class F, class T>
void run_at_level(const BlockArgs& a) {
  constexpr std::make_index_sequence<std::size(F<true, T>::kElements)> kIn;
#ifdef XTAPE_MULTIVERSION
  const auto fused = [&]() XTAPE_INLINE_LAMBDA { run<F<true, T>, T>(a, kIn); };
  if (simd_level() == Simd::avx512) return kernels::at_avx512(fused);
  if (simd_level() == Simd::avx2) return kernels::at_avx2(fused);
#endif
  kernels::at_baseline([&]() XTAPE_INLINE_LAMBDA { run<F<kBaselineFma, T>, T>(a, kIn); });
}

template <template <bool, class> class F>
void block(const BlockArgs& a) {
  a.dtype == f32 ? run_at_level<F, float>(a) : run_at_level<F, double>(a);
}

// Longer ones first.
constexpr Chain kChains[] = {
    {{{"sqrt"}, {"add", 0}, {"divide", 1}, {"multiply_add", 0}}, 4, "xnxnx", block<NormalizedStep>},
    {{{"square"}, {"multiply", 1}, {"multiply_add", 2}}, 3, "xnxn", block<AverageSquare>},
    {{{"sqrt"}, {"add", 0}, {"divide", 1}}, 3, "xnx", block<Normalize>},
    {{{"multiply"}, {"multiply_add", 2}}, 2, "nxxn", block<Average>},
    {{{"divide"}, {"multiply_add", 0}}, 2, "xxnx", block<DividedStep>},
    {{{"multiply_add"}, {"multiply_add", 2}}, 2, "xnxxn", block<DecayedAverage>}};

class Finder {
 public:
  Finder(const Graph& g, Units& u) : g_(g), u_(u), uses_(g.uses()) {}

  void run() {
    for (const Unit& unit : u_.units) {
      if (unit.kind != Unit::Kind::group) continue;
      for (auto it = unit.members.rbegin(); it != unit.members.rend(); ++it) end_at(*it);
    }
  }

 private:
  void end_at(Id end) {
    if (u_.end_of[end] != end) return;  // inside of one
    for (const Chain& c : kChains) {
      if (!matches(c, end)) continue;
      u_.chain[end] = &c;
      for (Id i = end, k = static_cast<Id>(c.length); k-- > 1;) {
        i = g_.nodes[i].in[static_cast<std::size_t>(c.links[k].slot)];
        u_.end_of[i] = end;
      }
      return;
    }
  }

  bool matches(const Chain& c, Id end) const {
    Id i = end;
    for (int k = c.length - 1; k >= 0; --k) {
      const Node& n = g_.nodes[i];
      if (n.kind != Node::Kind::op || n.op->name != c.links[k].op) return false;
      if (find_op(n.op->name) != n.op) return false;  // a user's own, of the same name
      if (u_.unit_of[i] != u_.unit_of[end] || u_.form[i] != Form::full) return false;
      if (n.spec.dtype != g_.nodes[end].spec.dtype || !is_floating(n.spec.dtype)) return false;
      if (i != end && (uses_[i] != 1 || n.spec.shape != g_.nodes[end].spec.shape)) return false;
      if (k > 0) i = n.in[static_cast<std::size_t>(c.links[k].slot)];
    }
    const std::vector<ChainOperand> operands = operands_of(g_, c, end);
    for (std::size_t k = 0; k < operands.size(); ++k) {
      const auto kind = pattern_of(g_.nodes[operands[k].value].spec.shape,
                                   g_.nodes[operands[k].reader].spec.shape)
                            .kind;
      const auto want = c.operands[k] == 'n' ? Pattern::Kind::scalar : Pattern::Kind::full;
      if (kind != want) return false;
    }
    return true;
  }

  const Graph& g_;
  Units& u_;
  const std::vector<std::uint32_t> uses_;
};

}  // namespace

std::vector<ChainOperand> operands_of(const Graph& g, const Chain& c, Id end) {
  std::vector<Id> members(static_cast<std::size_t>(c.length), end);
  for (std::size_t k = members.size(); k-- > 1;) {
    members[k - 1] = g.nodes[members[k]].in[static_cast<std::size_t>(c.links[k].slot)];
  }
  std::vector<ChainOperand> out;
  for (std::size_t k = 0; k < members.size(); ++k) {
    const std::vector<Id>& in = g.nodes[members[k]].in;
    for (std::size_t s = 0; s < in.size(); ++s) {
      if (k == 0 || static_cast<int>(s) != c.links[k].slot) out.push_back({members[k], in[s]});
    }
  }
  return out;
}

void find_chains(const Graph& g, Units& u, bool fuse) {
  u.chain.assign(g.nodes.size(), nullptr);
  u.end_of.resize(g.nodes.size());
  std::iota(u.end_of.begin(), u.end_of.end(), Id{0});
  if (fuse) Finder(g, u).run();
}

}  // namespace xtape::program
