#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include <xtape/autodiff/op.hpp>

namespace xtape {

class Scope;
namespace program {
class Capture;
}

namespace detail {
// Leaves have no inputs and no kernel: the walk downwards ends there. They are not in the registry.
inline constexpr Op kVariable{.name = "variable", .arity = 0};
inline constexpr Op kInput{.name = "input", .arity = 0};
inline constexpr Op kConstant{.name = "constant", .arity = 0};
inline constexpr Op kParameter{.name = "parameter", .arity = 0};
/// The same value at a place of its own, which is a target of gradients: uses of x itself are not
/// uses of it.
Var fresh(const Var& x);
}  // namespace detail

/// A place in the source, as std::source_location, which not all compilers have.
struct SourceLocation {
  const char* file = "";      ///< As the compiler was given it.
  unsigned line = 0;          ///< From 1; 0 where nothing is known.
  const char* function = "";  ///< Around the place.
  /// The place where it is written, also as a default argument.
  static constexpr SourceLocation here(const char* f = __builtin_FILE(),
                                       unsigned l = __builtin_LINE(),
                                       const char* fn = __builtin_FUNCTION()) {
    return {f, l, fn};
  }
};

/// What Tape::detect_anomaly looks for.
struct AnomalyOptions {
  bool infinities = true;  ///< Not only NaN: false where masks of −∞ are meant.
};

/// What to do about a target that the output does not depend on.
enum class Unconnected : std::uint8_t {
  error,  ///< Throw GradientError naming it: usually a gradient was lost by mistake.
  zero    ///< Its gradient is zeros.
};

/// How a gradient is taken.
struct GradientOptions {
  Var cotangent = {};      ///< Weights of a non-scalar output, of its shape: gradient of Σ ct·y.
  bool keep_tape = false;  ///< Keep the values that the rules read, to differentiate again.
  /// What to do about targets that y does not depend on.
  Unconnected unconnected = Unconnected::error;
};

/// A recording of tensor operations, replayed in reverse to get gradients.
///
/// The tape is a flat list of nodes, and creation order is topological order: backward is one loop
/// downwards, nothing recurses. Only the values that some gradient rule declared to read are kept.
/// There is no global tape and no hidden state: one tape per thread, as many at once as you like.
/// Threads may share parameters as long as none of them updates one meanwhile.
class Tape {
 public:
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// Puts a floating value on the tape whose gradient may be asked for.
  /// @throws DTypeError for i64 and boolean.
  Var variable(const Tensor& value, std::string label = {},
               SourceLocation where = SourceLocation::here());
  /// Puts data on the tape: no gradient wanted.
  Var input(const Tensor& value, std::string label = {},
            SourceLocation where = SourceLocation::here());
  /// Puts a parameter on the tape; operations do this by themselves. The same node each time.
  /// @throws TapeError when it was modified or frozen since.
  Var parameter(const Parameter& p);

  /// The gradient of a scalar `y` (or of Σ cotangent·y), by reverse accumulation (Griewank and
  /// Walther, "Evaluating Derivatives", 2008, ch. 3). Values are released on the way: the same part
  /// of the tape can be differentiated once, unless options.keep_tape. To differentiate the
  /// gradient itself use the free function xtape::gradient.
  /// @returns a Tensor of x's shape and dtype.
  /// @throws GradientError when y is not scalar and has no cotangent, when y does not depend on x,
  /// or when this part of the tape was consumed; TapeError when x is not on this tape, or a
  /// parameter whose value the gradient needs was modified since. Nothing has changed then.
  Tensor gradient(const Var& y, const Var& x, const GradientOptions& options = {});
  /// As above, one gradient per target, in order.
  Tensors gradient(const Var& y, std::span<const Var> xs, const GradientOptions& options = {});
  /// As above, for a braced list of variables and parameters.
  Tensors gradient(const Var& y, std::initializer_list<Var> xs,
                   const GradientOptions& options = {});
  /// As above, for parameters. A frozen one has none: its tensor is undefined, which optimizers
  /// leave out (and zero with Unconnected::zero).
  Tensors gradient(const Var& y, const Parameters& ps, const GradientOptions& options = {});

  /// The derivative of y along the directions vs of the targets xs, Σ (∂y/∂xᵢ) vᵢ, by one sweep
  /// forward over the recording (Griewank and Walther, ch. 3). Keeps the tape.
  /// @returns a Tensor of y's shape and dtype. @throws as gradient, and ShapeError when a direction
  /// has not its target's shape.
  Tensor jvp(const Var& y, std::span<const Var> xs, std::span<const Var> vs,
             Unconnected unconnected = Unconnected::error);

  /// From now on every value recorded and every gradient computed on this tape is looked at, and
  /// the first one that is not finite throws AnomalyError: its op, the shapes and ranges of what
  /// went in, labels, Scopes and their places in the source. Costs a pass over every value.
  void detect_anomaly(const AnomalyOptions& options = {});

  /// True on the tape of a compile(): operations are noted there, not computed.
  bool recording() const { return recorder_ != nullptr; }

  /// Names a recorded value, in messages, listings and explanations (explain.hpp).
  /// @throws TapeError when it is not on this tape.
  void label(const Var& v, std::string label);

  /// Number of nodes. Also a mark for rewind().
  std::uint32_t size() const { return static_cast<std::uint32_t>(nodes_.size()); }
  /// Forgets every node from `mark` on. Handles to them throw from now on.
  /// @throws TapeError when mark > size().
  void rewind(std::uint32_t mark = 0);
  /// Every parameter that an operation on this tape has used, in that order.
  Parameters used_parameters() const;
  /// One line per node: index, op, attributes, inputs, shape, dtype, label.
  std::string str() const;
  /// The same as a drawing for Graphviz: `dot -Tsvg`. Boxes are operations, ellipses what was put
  /// on the tape; what has no gradient is grey.
  std::string dot() const;

 private:
  friend struct Recorder;
  friend class program::Capture;
  friend class Rewrite;
  friend void assign(Parameter& p, const Var& value);
  friend class Gradient;
  friend class Tangent;
  friend class ElementGraph;
  friend class Var;
  friend Var detail::fresh(const Var& x);
  friend class Vjp;
  friend class Scope;
  friend struct detail::TapeExtras;
  friend std::vector<Var> gradient(const Var& y, std::span<const Var> xs,
                                   const GradientOptions& options);

  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  void begin_recording();  // for compile(): from now on operations are noted, not computed

  struct Node {
    const Op* op;
    AttrsRef attrs;
    Tensor value;  // kept only when a rule reads it
    Spec spec;
    std::uint32_t first_edge;
    std::uint32_t edges;
    std::uint32_t epoch;
    bool requires_grad;
    bool consumed;
  };

  /// What a recording assigns to a parameter: the last value noted.
  struct Store {
    Parameter target;
    std::uint32_t value;
  };
  /// Where a parameter stands: its leaf, and the node that holds its present value.
  struct Place {
    std::uint32_t leaf, current;
  };

  Var leaf(const Op& op, const Tensor& value, bool requires_grad, AttrsRef attrs = {});
  template <class T>
  using Recycled = std::vector<T, memory::Recycler<T>>;

  void store(const Parameter& p, const Var& value);
  void check_thread() const;
  Var handle(std::uint32_t index, Tensor value) const;
  bool owns(const Var& v) const;
  static bool is_constant(const Var& y);
  std::uint32_t target_index(const Var& x, bool may_be_unconnected) const;
  Recycled<std::uint32_t> target_indices(const Var& y, std::span<const Var> xs,
                                         const GradientOptions& options);
  std::string describe(std::uint32_t index) const;
  std::string region(std::uint32_t index) const;
  detail::TapeExtras& extras();
  static const Parameter* parameter_of(const Node& n);

  using Places =
      std::unordered_map<const detail::ParameterData*, Place, std::hash<const void*>,
                         std::equal_to<>,
                         memory::Recycler<std::pair<const detail::ParameterData* const, Place>>>;

  Recycled<Node> nodes_;
  Recycled<std::uint32_t> edges_;
  Places parameters_;
  std::vector<Store> stores_;
  std::vector<std::pair<Parameter, std::uint32_t>> superseded_;  // nodes of older values
  std::map<std::uint32_t, std::string> labels_;
  detail::TapeSlot* slot_;
  std::uint32_t epoch_ = 0;
  detail::TapeExtras* extras_ = nullptr;  // what few tapes have: see diagnostics.cpp
  const void* recorder_ = nullptr;        // the thread that records, see recording()
};

/// Gives parameter `p` the recorded value `value` in every run of the program that compile() makes,
/// after everything that may throw. Uses of `p` later in the recording see the new value. Outside
/// of recordings it is p.assign(tensor).
/// @throws ShapeError or DTypeError as Parameter::assign; TapeError when `value` is not recorded.
void assign(Parameter& p, const Var& value);

}  // namespace xtape
