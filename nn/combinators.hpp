#pragma once

#include <concepts>
#include <vector>

#include <xtape/nn/module.hpp>

// Modules made of modules, and layers that only move or join elements.
namespace xtape::nn {

/// Any function as a layer without parameters: of one input, or of a std::span<const Var>.
class Lambda : public Cloneable<Lambda> {
 public:
  /// `name` is what describe() says.
  template <class F>
  requires std::invocable<F&, const Var&> || std::invocable<F&, std::span<const Var>> Lambda(
      std::string name, F f)
      : name_(std::move(name)) {
    if constexpr (std::invocable<F&, const Var&>) {
      one_ = std::move(f);
    } else {
      all_ = std::move(f);
    }
  }
  Var forward(const Var& x) const override { return one_ ? one_(x) : all_({&x, 1}); }
  Var forward_all(std::span<const Var> xs) const override {
    return all_ ? all_(xs) : Module::forward_all(xs);
  }
  std::string describe() const override { return name_; }

 private:
  std::string name_;
  std::function<Var(const Var&)> one_;
  std::function<Var(std::span<const Var>)> all_;
};

/// The axes first … last as one, by default all behind the batch axis.
struct Flatten : Lambda {
  /// Both may count from the end.
  explicit Flatten(std::int64_t first = 1, std::int64_t last = -1);
};
/// One axis as several, of which one extent may be −1.
struct Unflatten : Lambda {
  /// The axis may count from the end.
  Unflatten(std::int64_t axis, const Shape& extents);
};
/// x[…, position, …] on one axis (from the end when negative), which goes: `Select(1, -1)` is the
/// last step of a sequence [batch, time, features].
struct Select : Lambda {
  /// Both may count from the end.
  Select(std::int64_t axis, std::int64_t position);
};
/// The mean over axes, which go.
struct Mean : Lambda {
  /// Each may count from the end.
  explicit Mean(const Axes& axes);
};

/// The sum of all inputs, which broadcast.
struct Add : Lambda {
  Add();
};
/// The product of all inputs, which broadcast.
struct Multiply : Lambda {
  Multiply();
};
/// All inputs joined along an axis.
struct Concat : Lambda {
  /// It may count from the end.
  explicit Concat(std::int64_t axis = -1);
};

/// y = f(x) + s(x), s being x itself or a shortcut that gives x the shape of f(x). He et al., "Deep
/// residual learning for image recognition", 2016. Children are "body" and "shortcut".
class Residual : public Cloneable<Residual> {
 public:
  /// f, and s where there is one. A null `body` throws ValueError.
  explicit Residual(std::shared_ptr<Module> body, std::shared_ptr<Module> shortcut = nullptr);
  /// The same for modules by value.
  template <LayerType F>
  explicit Residual(F&& body) requires(!std::is_same_v<std::remove_cvref_t<F>, Residual>)
      : Residual(take(std::forward<F>(body))) {}
  /// The same for modules by value.
  template <LayerType F, LayerType S>
  Residual(F&& body, S&& shortcut)
      : Residual(take(std::forward<F>(body)), take(std::forward<S>(shortcut))) {}
  Var forward(const Var& x) const override;
  std::string describe() const override;

 private:
  template <class M>
  static std::shared_ptr<Module> take(M&& m) {
    return std::make_shared<std::remove_cvref_t<M>>(std::forward<M>(m));
  }
};

/// Several modules beside each other. With one input all get it; with as many inputs as there are
/// branches, each gets its own. What they give goes to `join` (Add, Concat, …). Children are "0",
/// "1", …, and "join".
class Parallel : public Joining<Parallel> {
 public:
  /// @throws ValueError without branches, or for a null one.
  Parallel(const std::vector<std::shared_ptr<Module>>& branches, std::shared_ptr<Module> join);
  /// The same for modules by value: `Parallel(Concat(), Dense(3, 2), Dense(3, 4))`.
  template <LayerType J, LayerType... M>
  requires(sizeof...(M) > 0) explicit Parallel(J&& join, M&&... branches)
      : Parallel({take(std::forward<M>(branches))...}, take(std::forward<J>(join))) {}
  Var forward_all(std::span<const Var> xs) const override;
  std::string describe() const override;

 private:
  template <class M>
  static std::shared_ptr<Module> take(M&& m) {
    return std::make_shared<std::remove_cvref_t<M>>(std::forward<M>(m));
  }
};

}  // namespace xtape::nn
