#pragma once

#include <functional>
#include <string>

#include <xtape/autodiff/tape.hpp>

// To look into a tape while it works: named regions, the first non-finite value, hooks.
namespace xtape {

/// Names a region of the code: what is recorded on `tape` while the object lives belongs to it, and
/// messages about these nodes name it, with its place in the source. Regions nest.
///
///     { Scope s(tape, "encoder"); h = tanh(matmul(x, w)); }
class Scope {
 public:
  /// Opens the region. `where` is the caller's place by itself.
  Scope(Tape& tape, std::string label, SourceLocation where = SourceLocation::here());
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Tape& tape_;
};

namespace detail {
struct Hook : Counted {
  std::function<Var(const Var&)> f;
  bool active = true;
};
inline void destroy(Hook* h) noexcept { delete h; }
}  // namespace detail

/// Takes a hook away again. Copies are handles of the same hook; a handle may outlive what it
/// hooks.
class HookHandle {
 public:
  HookHandle() = default;
  /// The hook is not called any more.
  void remove();
  /// False after remove(), and for an empty handle.
  bool active() const;

 private:
  friend HookHandle add_gradient_hook(const Var& x, std::function<Var(const Var&)> hook);
  detail::Ref<detail::Hook> hook_;
};

/// Calls `hook` with the gradient with respect to x, whenever one is computed: for x recorded, by
/// sweeps over its tape; for a Parameter, by sweeps over any tape it is on. The gradient is
/// complete then. What the hook returns (of the same shape and dtype) takes its place on the way to
/// everything x was computed from; an empty Var leaves it as it is. Hooks of one x are called in
/// the order they were added, and may record: a differentiable gradient goes through them. So what
/// a hook records inside compile() is a part of the program: a hook of a Parameter that is added or
/// removed afterwards needs a new compile().
/// @throws TapeError when x is neither recorded nor a Parameter. The gradient throws GradientError
/// when a hook returns another shape or dtype.
HookHandle add_gradient_hook(const Var& x, std::function<Var(const Var&)> hook);

}  // namespace xtape
