#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include <xtape/autodiff/var.hpp>

// For those who add operations: docs/design.md walks through an example. Users of existing
// operations need autodiff/ops.hpp only.
namespace xtape {

struct Op;

/// The arguments of an op that are not tensors (axes, flags, …), shared by node and attributes of
/// equal value. Define a struct with a defaulted operator== and a str(), and wrap it by make_attrs.
class Attrs : public detail::Counted {
 public:
  virtual ~Attrs() = default;
  /// From recycled memory: attributes come and go with every operation.
  static void* operator new(std::size_t bytes) { return memory::allocate(bytes); }
  /// Gives it back.
  static void operator delete(void* p, std::size_t bytes) { memory::release(p, bytes); }
  /// For people, e.g. "axes (1,), keepdims".
  virtual std::string str() const = 0;
  /// Same type and same value.
  virtual bool equals(const Attrs& other) const = 0;
};
inline void destroy(const Attrs* a) noexcept { delete a; }
using AttrsRef = detail::Ref<const Attrs>;

/// Attributes of type T, see make_attrs.
template <class T>
class AttrsOf final : public Attrs {
 public:
  /// Takes the value.
  explicit AttrsOf(T v) : value(std::move(v)) {}
  /// Of the value.
  std::string str() const override { return value.str(); }
  /// By the value's operator==.
  bool equals(const Attrs& o) const override {
    return typeid(o) == typeid(*this) && static_cast<const AttrsOf&>(o).value == value;
  }
  /// The attributes.
  const T value;
};

template <class T>
AttrsRef make_attrs(T value) {
  return AttrsRef(new AttrsOf<T>(std::move(value)));
}
template <class T>
const T& get_attrs(const Attrs* a) {
  return static_cast<const AttrsOf<T>*>(a)->value;
}

/// What a shape rule sees.
struct InferArgs {
  const Op& op;                     ///< Whose rule is asked.
  std::span<const Spec* const> in;  ///< Shape and dtype of each input.
  const Attrs* attrs;               ///< See get_attrs; null without any.
};

/// What a kernel sees: inputs to read, an output of the inferred spec to fill. It allocates
/// nothing.
struct KernelArgs {
  /// An input: contiguous elements, and what they are.
  struct Operand {
    const void* data;  ///< The first element.
    const Spec* spec;  ///< Shape and dtype.
  };
  const Op& op;                 ///< The op that runs.
  std::span<const Operand> in;  ///< The inputs.
  void* out;                    ///< Memory for spec.nbytes() bytes.
  const Spec& spec;             ///< Of the output, as inferred.
  const Attrs* attrs;           ///< See get_attrs; null without any.
};

/// One contiguous run of an elementwise op: out[i] = f(in[0][i·step[0]], …), steps 0 or 1.
struct BlockArgs {
  void* out;                 ///< n elements.
  const void* const* in;     ///< The first element of each input.
  const std::int64_t* step;  ///< 1 where an input moves on, 0 where it repeats.
  std::int64_t n;            ///< Length of the run.
  DType dtype;               ///< Of the last input.
  const Attrs* attrs;        ///< See get_attrs; null without any.
};

/// What a VJP rule sees: the cotangent `ct` of the output, and on request the values it declared.
///
/// Everything is a Var, and rules are written in public ops. So the same rule computes numbers when
/// a gradient is wanted, and records more tape when a differentiable gradient is wanted.
class Vjp {
 public:
  const Var& ct;  ///< The cotangent ȳ: of the output's shape and dtype.
  const int arg;  ///< The input whose gradient is asked for.

  /// Input i. @throws Error when the rule did not declare that it reads it.
  Var in(int i) const;
  /// The output. @throws Error when the rule did not declare that it reads it.
  Var out() const;
  /// Shape and dtype of the input whose gradient is asked for: needs no
  /// declaration. (By value: the rule's own operations may move the nodes.)
  Spec in_spec() const;
  /// Shape and dtype of the output.
  Spec out_spec() const;
  /// The attributes of the op, of the type it was recorded with.
  template <class T>
  const T& attrs() const {
    return get_attrs<T>(raw_attrs());
  }
  /// Whether a differentiable gradient is wanted: what the rule computes is recorded.
  bool recording() const { return record_; }

 private:
  friend class Gradient;
  friend class Tangent;
  friend class ElementGraph;
  Vjp(const Var& cotangent, int argument, Tape& tape, std::uint32_t node, bool record)
      : ct(cotangent), arg(argument), tape_(tape), node_(node), record_(record) {}
  const Attrs* raw_attrs() const;

  Tape& tape_;
  std::uint32_t node_;
  bool record_;
};

/// Bits of VjpRule::reads.
constexpr std::uint32_t reads_in(int i) { return i < 31 ? 1U << i : 0; }
inline constexpr std::uint32_t kReadsOut = 1U << 31;

/// The gradient of one input: x̄ᵢ = rule(ȳ). Only what `reads` names is kept alive for it.
struct VjpRule {
  Var (*rule)(const Vjp&) = nullptr;  ///< Null where there is no gradient.
  std::uint32_t reads = 0;            ///< reads_in(i) and kReadsOut, or'ed.
};

/// How partial results of a reduction are kept and joined. Accumulators are opaque: `bytes` each.
struct Reducer {
  std::size_t bytes;                                       ///< Of one accumulator.
  void (*init)(void* acc, std::int64_t n);                 ///< n accumulators of nothing.
  void (*run)(void* acc, const void* x, std::int64_t n);   ///< n elements into one accumulator.
  void (*rows)(void* acc, const void* x, std::int64_t n);  ///< x[k] into accumulator k < n.
  void (*merge)(void* acc, const void* other, std::int64_t n);  ///< n accumulators into n others.
  void (*finish)(const void* acc, void* out, std::int64_t n);   ///< n results.
};

/// A kernel for operands of known shapes, with everything that depends on shapes alone settled.
class Prepared {
 public:
  virtual ~Prepared() = default;
  /// Fills the output from the inputs.
  virtual void run(const void* const* in, void* out) const = 0;
};

/// What a compiler pass tells an op's rewriting rule: see rewrite.hpp.
class Rewrite;

struct Sample;   // see sample.hpp
struct Sampler;  // see sample.hpp

/// What the gradient is at a kink, a tie or an edge of the domain: a promise, which docs/kinks.md
/// publishes and the tests check. By scalars.
struct Edge {
  std::string_view where;  ///< For people: "x = 0".
  /// The function at x[0], x[1], …; null for the op itself without attributes.
  Var (*call)(std::span<const Var>) = nullptr;
  int operands = 1;         ///< How many.
  double at[3] = {};        ///< The operands.
  double y = 0;             ///< The value there.
  double gradient[3] = {};  ///< The derivative by each operand.
};

/// What forward mode may know about an op that is not elementwise (see jvp()): without it, the
/// derivative along a direction is the transposed gradient rule.
enum class Linear : std::uint8_t {
  no,     ///< Not linear, or not known.
  joint,  ///< y(αx + βz) = αy(x) + βy(z) for all floating inputs together: sum, concat, gather.
  each    ///< The same in each input alone: matmul.
};

/// One operation, defined in one place. Instances are constants, listed in the registry only.
struct Op {
  std::string_view name;                        ///< As in error texts: "sin".
  std::string_view math = {};                   ///< "y = sin x".
  std::string_view gradient = {};               ///< "x̄ = ȳ cos x".
  std::span<const Edge> edges = {};             ///< Kinks, ties and edges of the domain.
  int arity = 1;                                ///< Number of inputs; −1 for any number.
  Spec (*infer)(const InferArgs&) = nullptr;    ///< The only shape and dtype rule.
  void (*kernel)(const KernelArgs&) = nullptr;  ///< Fills the output.
  void (*block)(const BlockArgs&) = nullptr;    ///< For elementwise ops: one contiguous run.
  VjpRule vjp[4] = {};                          ///< By input; for arity −1 the first serves all.
  bool broadcasts = false;                      ///< The engine sums gradients back to shape.
  bool repeats =
      false;  ///< The output is input 0, broadcast: readers that broadcast can do without.
  bool aliases = false;  ///< The output is input 0, perhaps under another shape.
  bool throws = false;   ///< The kernel may refuse the values it sees.
  bool checks = false;   ///< The kernel only does that: it writes nothing, the output is input 0.
  Linear linear = Linear::no;  ///< For forward mode.
  /// For forward mode, where it is cheaper than the transposed gradient rule: ẏ of an op of one
  /// input, whose tangent ẋ is `ct`. It reads what the gradient rule declared. Optional.
  Var (*tangent)(const Vjp&) = nullptr;
  int in_place = -1;  ///< The input whose memory the kernel may be given as output.
  /// For reductions: how to join, and over which axes.
  const Reducer* (*reducer)(DType) = nullptr;
  Axes (*reduced_axes)(const Attrs*) = nullptr;  ///< Normalized.
  /// Estimated operations; without it, one for each element.
  double (*flop)(const InferArgs&, const Spec& out) = nullptr;
  /// For programs: the kernel for these operands; the caller owns it. Optional.
  Prepared* (*prepare)(const InferArgs&, const Spec& out) = nullptr;
  /// For programs: a cheaper form of this use of the op, or an undefined Var. Never changes the
  /// result beyond rounding. Written in public ops, like gradient rules.
  Var (*simplify)(const Rewrite&) = nullptr;
  /// For programs: the op in terms of elementwise ops and reductions, which can be fused.
  Var (*expand)(const Rewrite&) = nullptr;
  double domain[2] = {-2, 2};        ///< Where samples are drawn.
  double kinks[2] = {1e300, 1e300};  ///< Points that samples keep away from.
  /// Calls that exercise every rule of the op.
  std::vector<Sample> (*samples)(const Sampler&) = nullptr;

  /// True for a public function made of other ops: it has a name, texts and samples, so that tests
  /// and documentation find it, but is never on a tape.
  bool composed() const { return !kernel; }

  /// Whether input `input` has a gradient.
  bool differentiable(int input) const { return rule(input).rule != nullptr; }
  /// The rule of input `input`.
  const VjpRule& rule(int input) const { return vjp[arity < 0 ? 0 : input]; }
};

/// Computes `op` and, when one of the inputs has a tape, records it there.
/// @throws TapeError when two tapes meet, or a parameter and no tape; ShapeError or DTypeError by
/// the op's rule. Nothing has changed then.
Var apply(const Op& op, std::span<const Var* const> inputs, AttrsRef attrs = {});
inline Var apply(const Op& op, std::initializer_list<const Var*> inputs, AttrsRef attrs = {}) {
  return apply(op, std::span(inputs.begin(), inputs.size()), std::move(attrs));
}

/// Every op and composed function, sorted by name. Tests, documentation and compiler passes walk
/// this list.
std::span<const Op* const> registry();
/// The op of that name, or nullptr.
const Op* find_op(std::string_view name);

}  // namespace xtape
