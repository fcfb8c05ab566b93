#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/parameter.hpp>
#include <xtape/nn/init.hpp>

namespace xtape::nn {

/// A part of a network: named parameters, named children, and a function of one input.
///
/// Parameters are handles, so copying a module shares its parameters with the copy (and children
/// are shared whole); clone() makes an independent network. Everything that looks at a network
/// (counting, dtype change, summary) walks the one ordered list of parameters and children.
class Module {
 public:
  virtual ~Module() = default;

  /// The output for input `x`. Records where x is recorded; `net(no_grad(x))` computes only.
  /// @throws ShapeError and DTypeError naming the layer and what it expects.
  virtual Var forward(const Var& x) const = 0;
  /// The same as forward(x).
  Var operator()(const Var& x) const { return forward(x); }

  /// "Dense(784 → 128)".
  virtual std::string describe() const = 0;
  /// Shape of the output for an input of shape `in`, without computing; ShapeError as forward.
  virtual Shape output_shape(const Shape& in) const { return in; }
  /// A network of its own: the same structure and values, no parameter shared with this one; what
  /// is tied here is tied there.
  std::shared_ptr<Module> clone() const;

  /// Every parameter, depth first, in the order of registration. A parameter's name is its path.
  Parameters parameters() const;
  /// Number of elements of all parameters.
  std::int64_t parameter_count() const;
  /// Draws all parameters afresh by their initialisers: parameter k of the walk from rng.split(k),
  /// so that the values do not depend on what else was drawn.
  void initialize(const Rng& rng);
  /// Gives every weight (rank 2 and more) this initialiser, then draws. Biases keep theirs.
  void initialize(const Initializer& weights, const Rng& rng);
  /// Converts every parameter to f32 or f64.
  void to(DType dtype);
  /// Keeps every parameter from changing: they join tapes as constants.
  void freeze(bool frozen = true);

  /// A part of the network, under its name.
  struct Child {
    /// One word of a path.
    std::string name;
    /// Shared with copies of the parent.
    std::shared_ptr<Module> module;
  };
  /// In the order of registration.
  const std::vector<Child>& children() const { return children_; }
  /// The parameters of this module alone.
  const Parameters& own_parameters() const { return own_; }
  /// Draws those parameters again that still have the default value they were made with, as
  /// number `position` and on of a larger network. Containers call it.
  void draw_untouched(std::uint64_t position);

 protected:
  /// Parameters already copied, so that tied ones stay tied.
  using Copies = std::unordered_map<const detail::ParameterData*, Parameter>;
  /// A copy with parameters and children of its own.
  virtual std::shared_ptr<Module> clone_with(Copies& copies) const = 0;
  /// Gives this copy parameters and children of its own.
  void detach(Copies& copies);
  /// Makes a parameter drawn by `init`, from Rng(0) until initialize() is called.
  Parameter add_parameter(std::string name, const Shape& shape, Initializer init, Fans fans,
                          DType dtype);
  /// Appends a part; the names of its parameters get `name.` in front.
  void add_child(std::string name, std::shared_ptr<Module> module);

 private:
  bool contains(const Module* m) const;
  void prefix(const std::string& path);
  void draw(const Rng& rng, std::uint64_t& next, bool untouched_only);
  void override_weights(const Initializer& init);

  struct Recipe {
    Initializer init;
    Fans fans;
    std::uint64_t default_version;  // of the parameter while its value is the default one
  };
  static constexpr std::uint64_t kTouched = ~std::uint64_t{0};  // no default_version
  Parameters own_;
  std::vector<Recipe> recipes_;
  std::vector<Child> children_;
};

/// clone() for a module type M that is copyable.
template <class M>
class Cloneable : public Module {
 public:
  /// Called on a fresh clone, whose parameters are new: M fetches its handles again.
  virtual void rebind() {}

 protected:
  /// Copies M, then gives the copy parameters and children of its own.
  std::shared_ptr<Module> clone_with(Module::Copies& copies) const override {
    auto copy = std::make_shared<M>(static_cast<const M&>(*this));
    static_cast<Cloneable&>(*copy).detach(copies);
    copy->rebind();
    return copy;
  }
};

class Sequential;

/// Module, or derived from it.
template <class M>
concept LayerType = std::is_base_of_v<Module, std::remove_cvref_t<M>>;

/// One layer or more, but not a single Sequential: that is a copy.
template <class... M>
concept LayerList = sizeof...(M) > 0 && (LayerType<M> && ...) &&
                    !(sizeof...(M) == 1 &&
                      (std::is_same_v<Sequential, std::remove_cvref_t<M>> && ...));

/// Layers one after the other. Children are named "0", "1", ….
class Sequential : public Cloneable<Sequential> {
 public:
  Sequential() = default;
  /// The layers in order. (A single Sequential is copied, not nested.)
  template <class... M>
  requires LayerList<M...>
  explicit Sequential(M&&... layers) { (add(std::forward<M>(layers)), ...); }
  /// Appends a layer. A temporary whose parameters nobody set is drawn afresh, by its place, so
  /// that two `Dense(32, 32)` do not start with equal weights; a named layer is taken as it is and
  /// shares its parameters.
  template <LayerType M>
  Sequential& add(M&& layer) {
    if constexpr (!std::is_lvalue_reference_v<M>) layer.draw_untouched(parameters().size());
    return add(std::static_pointer_cast<Module>(
        std::make_shared<std::remove_cvref_t<M>>(std::forward<M>(layer))));
  }
  /// Appends a layer as it is.
  Sequential& add(std::shared_ptr<Module> layer);

  Var forward(const Var& x) const override;
  std::string describe() const override;
  Shape output_shape(const Shape& in) const override;
  /// Number of layers.
  std::size_t size() const { return children().size(); }
  /// Layer i. @throws std::out_of_range.
  const Module& operator[](std::size_t i) const { return *children().at(i).module; }
};

/// A table of the layers of `net` with the output shape and parameter count of each, for one input
/// of shape `input` (without the batch axis).
std::string summary(const Module& net, const Shape& input);

/// A small network in full: every layer with each neuron's activation, weights, bias and its signal
/// for the single input `x`, [features] or [1, features]. @throws ShapeError for more. What
/// printing a network of a few neurons should look like.
std::string print_network(const Module& net, const Tensor& x);

}  // namespace xtape::nn
