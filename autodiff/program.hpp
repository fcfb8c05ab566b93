#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <xtape/autodiff/tape.hpp>

// A training step (or any function), recorded once and replayed: fused, planned, without
// allocating.
namespace xtape {

/// Which passes a program goes through; all by default. For tests, and for those who want to see
/// what each is worth.
struct Passes {
  bool fold_constants = true;         ///< What depends on constants alone is computed once.
  bool common_subexpressions = true;  ///< What is computed twice is computed once.
  bool simplify = true;               ///< The ops' own rules, listed in docs/programs.md.
  bool gemm_forms = true;             ///< Transposes as flags, updates inside the product.
  bool expand = true;                 ///< softmax and its kind as fusible ops.
  bool fuse = true;                   ///< Elementwise chains in one pass over cached blocks.
  bool in_place = true;               ///< Results in the memory of operands read for the last time.
  bool plan_memory = true;            ///< Values that do not live together share memory.
  /// No pass at all: the ops one after the other, each with memory of its own.
  static Passes none() { return {false, false, false, false, false, false, false, false}; }
};

/// How a program is made.
struct CompileOptions {
  std::string name = "program";  ///< For errors and listings.
  /// Record anew for arguments of another shape or dtype, instead of refusing them. The function
  /// and what it refers to must then live as long as the program.
  bool recompile = false;
  /// How many recordings are kept then; the one not used for longest makes room.
  std::size_t max_signatures = 8;
  Passes passes = {};  ///< See Passes.
};

/// Shape and dtype of an argument: `{64, 784}`, `{{64}, i64}`, `{}` for a single number, an
/// example.
struct Signature {
  Spec spec;  ///< What the argument will be.
  /// A single f32 number.
  Signature() = default;
  /// f32.
  Signature(std::initializer_list<std::int64_t> shape) : spec{Shape(shape), f32} {}
  /// Both.
  Signature(const Shape& shape, DType dtype = f32) : spec{shape, dtype} {}
  /// As that.
  Signature(const Spec& s) : spec(s) {}
  /// As an example's.
  Signature(const Tensor& example) : spec(example.spec()) {}
};

/// What one step of a program did and cost, see Program::profile.
struct StepProfile {
  std::string what;         ///< "matmul", "group of add, sigmoid".
  double microseconds = 0;  ///< Of one run, the median.
  double share = 0;         ///< Of the whole, in [0, 1].
  double bytes = 0;         ///< Read and written, at least.
  double flop = 0;          ///< Estimated: an elementwise op counts one for each element.
};

namespace program {
/// One argument of a run: a tensor, or (where that is null) a plain number.
struct Argument {
  const Tensor* tensor = nullptr;  ///< Elements, or null.
  double number = 0;               ///< The number then.
};
inline Argument argument(const Tensor& t) { return {&t, 0}; }
template <class T>
requires std::is_arithmetic_v<T> Argument argument(T x) {
  return {nullptr, static_cast<double>(x)};
}
}  // namespace program

namespace detail {
struct ProgramData;
template <class F, std::size_t... K>
constexpr bool takes(std::index_sequence<K...>) {
  return std::is_invocable_v<F&, decltype((void(K), std::declval<const Var&>()))...>;
}
/// Number of arguments of F, found by trying; −1 when it takes none of 0 to 8.
template <class F, std::size_t K = 0>
constexpr int arity() {
  if constexpr (K > 8) {
    return -1;
  } else if constexpr (takes<F>(std::make_index_sequence<K>())) {
    return static_cast<int>(K);
  } else {
    return arity<F, K + 1>();
  }
}
void check_arity(int takes, std::size_t given);
using RecordedFunction = std::function<std::vector<Var>(std::span<const Var>)>;
template <class F, std::size_t... K>
std::vector<Var> call(F& f, std::span<const Var> in, std::index_sequence<K...>) {
  using Result = std::invoke_result_t<F&, decltype((void(K), in[K]))...>;
  if constexpr (std::is_void_v<Result>) {
    f(in[K]...);
    return {};
  } else if constexpr (std::is_convertible_v<Result, Var>) {
    return {f(in[K]...)};
  } else {
    Result r = f(in[K]...);
    return std::vector<Var>(r.begin(), r.end());
  }
}
}  // namespace detail

/// A recorded computation. Running it is a flat loop over prepared steps: no allocation after the
/// first run, no lookup, no lock.
///
/// Parameters are read and written in place at every run, so that programs, eager code and other
/// programs see each other's changes between runs. Tensors that the function captured are constants
/// of the program. Copies of a Program share it; it runs in one thread at a time.
class Program {
 public:
  /// Empty: running it throws.
  Program() = default;
  /// For compile().
  Program(detail::RecordedFunction f, std::vector<Spec> inputs, CompileOptions options);

  /// Runs with these arguments: tensors, or plain numbers for arguments of one element.
  /// @returns the output; an undefined Tensor when there is none.
  /// @throws ShapeError, DTypeError or ValueError for arguments that differ from the recorded ones
  /// (unless CompileOptions::recompile), or when there are several outputs (see run); what the ops
  /// throw about values, before any parameter has changed.
  template <class... T>
  Tensor operator()(const T&... arguments) {
    const program::Argument list[] = {program::argument(arguments)..., {}};
    check_single();
    const std::vector<Tensor>& out = run_arguments({list, sizeof...(T)});
    return out.empty() ? Tensor() : out[0];
  }
  /// The same for any number of outputs. The result is valid until the next run; copies of its
  /// tensors stay.
  const std::vector<Tensor>& run(std::span<const Tensor> arguments);
  /// As above.
  const std::vector<Tensor>& run(std::initializer_list<Tensor> arguments) {
    return run(std::span(arguments.begin(), arguments.size()));
  }

  /// Every step with its ops, shapes, memory and estimated work, as text.
  std::string str() const;
  /// The same as JSON.
  std::string json() const;
  /// Runs `rounds` times with these arguments and says what each step took. Parameters change as by
  /// any run.
  std::vector<StepProfile> profile(std::span<const Tensor> arguments, int rounds = 10);
  /// As above.
  std::vector<StepProfile> profile(std::initializer_list<Tensor> arguments, int rounds = 10) {
    return profile(std::span(arguments.begin(), arguments.size()), rounds);
  }

  /// Bytes of the arena that holds all values of a run.
  std::size_t arena_bytes() const;
  /// The largest number of bytes that live at one step: the arena cannot be smaller.
  std::size_t least_bytes() const;
  /// Steps of the loop.
  std::size_t steps() const;
  /// How often the function was recorded.
  std::size_t recordings() const;
  /// False for an empty handle.
  bool defined() const { return data_ != nullptr; }

 private:
  const std::vector<Tensor>& run_arguments(std::span<const program::Argument> arguments);
  void check_single() const;
  detail::ProgramData& data() const;

  std::shared_ptr<detail::ProgramData> data_;
};

/// A listing of a profile as a table.
std::string str(const std::vector<StepProfile>& profile);
/// The same as JSON.
std::string json(const std::vector<StepProfile>& profile);

/// Records `f` for arguments of these signatures and prepares it to run again and again. `f` takes
/// one `Var` for each (or one std::span<const Var>) and returns nothing, a Var, or a container of
/// Var; it may take gradients by gradient(), assign() to parameters, and step optimizers.
///
/// Operations are noted, not computed. What a recording cannot see throws TapeError here: reading a
/// value, values of other tapes, values computed outside by no_grad, operations of another thread.
template <class F>
Program compile(F f, std::vector<Spec> specs, const CompileOptions& options = {}) {
  constexpr int kArity = detail::arity<F>();
  if constexpr (std::is_invocable_v<F&, std::span<const Var>>) {
    return Program(
        [f = std::move(f)](std::span<const Var> in) mutable { return std::vector<Var>(f(in)); },
        std::move(specs), options);
  } else {
    static_assert(kArity >= 0, "the function must take Vars, at most 8");
    detail::check_arity(kArity, specs.size());
    return Program(
        [f = std::move(f)](std::span<const Var> in) mutable {
          return detail::call(f, in, std::make_index_sequence<static_cast<std::size_t>(kArity)>());
        },
        std::move(specs), options);
  }
}

/// The same, as `compile(f, {{64, 784}, {{64}, i64}})`.
template <class F>
Program compile(F f, std::initializer_list<Signature> inputs, const CompileOptions& options = {}) {
  std::vector<Spec> specs;
  for (const Signature& s : inputs) specs.push_back(s.spec);
  return compile(std::move(f), std::move(specs), options);
}

}  // namespace xtape
