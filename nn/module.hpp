#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/parameter.hpp>
#include <xtape/autodiff/random.hpp>
#include <xtape/nn/init.hpp>

namespace xtape::nn {

/// An extent that follows from the first input, as in `nn::Dense(nn::infer, 128)`.
inline constexpr std::int64_t infer = -1;

class Module;

/// What else there is to say of a parameter, see Module::add_parameter.
struct ParameterTraits {
  /// Whether `initialize(weights, rng)` gives it another initialiser; if nothing is said: at rank 2
  /// and more.
  std::optional<bool> weight = {};
  /// A row that is 0 after every draw, whatever the initialiser.
  std::optional<std::int64_t> zero_row = {};
};

/// Takes a forward hook away again. Copies are handles of the same hook.
class ForwardHook {
 public:
  /// What a hook is called with: the module, what went in, what came out.
  using Function = std::function<void(const Module&, std::span<const Var>, const Var&)>;
  ForwardHook() = default;
  /// The hook is not called any more.
  void remove();
  /// False after remove(), and for an empty handle.
  bool active() const;

 private:
  friend class Module;
  struct Data;
  std::shared_ptr<Data> data_;
};

/// A part of a network: named parameters, buffers and children, and a function of its inputs.
///
/// Parameters are handles, so copying a module shares its parameters with the copy (and children
/// are shared whole); clone() makes an independent network. Everything that looks at a network
/// (counting, dtype change, summary) walks the one ordered list of parameters and children.
///
/// train() and eval() change what a module does, freeze() what has a gradient. Both, like all
/// settings, act on children, which copies share, and on this module alone.
class Module {
 public:
  virtual ~Module() = default;

  /// The output for input `x`. Records where x is recorded; `net(no_grad(x))` computes only.
  /// @throws ShapeError and DTypeError naming the layer and what it expects.
  virtual Var forward(const Var& x) const = 0;
  /// The same for several inputs; a module that says nothing about it takes exactly one.
  /// @throws ValueError for another number.
  virtual Var forward_all(std::span<const Var> xs) const;
  /// forward(x), with the path of the innermost module in front of errors, and forward hooks.
  Var operator()(const Var& x) const;
  /// forward_all(xs), likewise.
  Var operator()(std::span<const Var> xs) const;
  /// The same for two inputs or more.
  template <class... V>
  Var operator()(const Var& a, const Var& b, const V&... more) const {
    const Var all[] = {a, b, more...};
    return (*this)(std::span<const Var>(all));
  }

  /// "Dense(784 → 128)".
  virtual std::string describe() const = 0;
  /// The dtype of what it takes: that of its first parameter, or its first child's.
  virtual DType input_dtype() const;
  /// Shape of the output for an input of shape `in`, found by recording, without computing; open
  /// sizes are built. @throws as forward.
  Shape output_shape(const Shape& in) const;
  /// The same for several inputs of any dtype.
  Spec output_spec(std::span<const Spec> in) const;
  /// Gives parameters of open sizes their values for an input of shape `in`, as the first run does.
  void build(const Shape& in) const { output_shape(in); }
  /// The same for several inputs of any dtype.
  void build(std::span<const Spec> in) const { output_spec(in); }

  /// A network of its own: the same structure, values and modes, no parameter, buffer or module
  /// shared with this one, no forward hooks; what is tied or stands twice here does so there.
  std::shared_ptr<Module> clone() const;

  /// Every parameter, depth first, in the order of registration, shared ones once. A parameter's
  /// name is its path.
  Parameters parameters() const;
  /// Those whose names match a pattern, in which `*` stands for any text and `?` for one
  /// character: "encoder.*", "*.bias".
  Parameters parameters(const std::string& pattern) const;
  /// Those for which `wanted` holds.
  Parameters parameters(const std::function<bool(const Parameter&)>& wanted) const;
  /// State without a gradient, such as running statistics, in the same order.
  Parameters buffers() const;
  /// The parameters, then the buffers: all that makes the network's answers, and what to keep of
  /// it: `io::save(path, net.state())`, `io::load(path, net.state())`.
  Parameters state() const;
  /// Where the random numbers of dropout come from: key and position of the generator of each
  /// module that draws some, in the same order. With the parameters and buffers, all that a
  /// training must keep to go on as it would have. seed() and initialize() set them.
  Parameters random_state() const;
  /// Number of elements of all parameters.
  std::int64_t parameter_count() const;
  /// Draws all parameters afresh by their initialisers: parameter k of the walk from rng.split(k),
  /// so that the values do not depend on what else was drawn. Frozen ones keep their values. Also
  /// seed(rng).
  void initialize(const Rng& rng);
  /// Gives every weight of a layer (dense, convolution, recurrent, attention, bilinear, embedding,
  /// and what layers of one's own have of rank 2 and more) this initialiser, then draws. Biases and
  /// normalization layers keep theirs, the row of padding of an embedding stays 0.
  void initialize(const Initializer& weights, const Rng& rng);
  /// Starts the random numbers of dropout anew: each module has a stream of its own, by its path.
  /// Programs that were compiled before go on with the new numbers.
  void seed(const Rng& rng);
  /// Converts every parameter and floating buffer to f32 or f64.
  void to(DType dtype);
  /// Keeps every parameter from changing: they join tapes as constants.
  void freeze(bool frozen = true);
  /// How layers that differ (dropout, batch normalization) behave: in training, as at first, or
  /// not. A program keeps the mode of its recording.
  void train(bool on = true);
  /// train(false).
  void eval() { train(false); }
  /// What train() was told.
  bool training() const { return training_; }
  /// Makes parameter `path` ("decoder.weight") the same as `as`, from now on one parameter: tied
  /// weights. Before compile(): programs that exist keep what was there. @throws ValueError for an
  /// unknown path; ShapeError or DTypeError when they differ.
  void tie(const std::string& path, const Parameter& as);
  /// The parameter of that path. @throws ValueError listing the paths.
  Parameter parameter(const std::string& path) const;

  /// Calls `hook` after each call of this module. Hooks do not change anything. A recording
  /// (compile(), a compiled fit) calls hooks once, when it is made, with values without elements;
  /// runs of the program call none.
  ForwardHook add_forward_hook(ForwardHook::Function hook);
  /// Puts a gradient hook (see add_gradient_hook) on each recorded output of this module from now
  /// on. Removing the handle stops this, and the hooks that are there. In a program what the hook
  /// recorded is a part of it: adding or removing one afterwards needs a new compile().
  ForwardHook add_output_gradient_hook(std::function<Var(const Var&)> hook);

  /// A part of the network, under its name.
  struct Child {
    /// One word of a path.
    std::string name;
    /// Shared with copies of the parent.
    std::shared_ptr<Module> module;
  };
  /// In the order of registration.
  const std::vector<Child>& children() const { return children_; }
  /// Where it stands in its network, "encoder.2"; empty for the network itself.
  const std::string& path() const { return path_; }
  /// The parameters of this module alone.
  const Parameters& own_parameters() const { return own_; }
  /// The buffers of this module alone.
  const Parameters& own_buffers() const { return buffers_; }
  /// Draws those parameters again that still have the default value they were made with, as
  /// number `position` and on of a larger network. Containers call it.
  void draw_untouched(std::uint64_t position);

 protected:
  struct Recipe;
  /// What was copied already, so that ties stay.
  struct Copies {
    /// Parameters and buffers by original.
    std::unordered_map<const detail::ParameterData*, std::pair<Parameter, std::shared_ptr<Recipe>>>
        parameters;
    /// By original.
    std::unordered_map<const Module*, std::shared_ptr<Module>> modules;
  };
  /// A copy with parameters and children of its own.
  virtual std::shared_ptr<Module> clone_with(Copies& copies) const = 0;
  /// Called when parameters of this module have become other ones, by clone() or tie(): a module
  /// that keeps handles fetches them again.
  virtual void rebind() {}
  /// Gives this copy parameters and children of its own.
  void detach(Copies& copies);
  /// Makes a parameter drawn by `init`, from Rng(0) until initialize() is called. With an extent
  /// or fan that is `infer` it has no value before materialize().
  Parameter add_parameter(std::string name, const Shape& shape, Initializer init, Fans fans,
                          DType dtype, const ParameterTraits& traits = {});
  /// Gives own parameter `k` its shape, and the value it would have had if it had been known.
  void materialize(std::size_t k, const Shape& shape, Fans fans) const;
  /// Makes a buffer; without a value (a Tensor that is not defined) it gets one by
  /// Parameter::materialize, before anyone reads it.
  Parameter add_buffer(std::string name, Tensor value);
  /// What a buffer holds, for an operation beside `x`: read at every run where x is recorded for a
  /// program, a constant elsewhere (so that it may be assigned to before the gradient is taken).
  static Var read(const Parameter& buffer, const Var& x);
  /// Gives a buffer a new value: in every run of a program where the value is recorded for one, at
  /// once elsewhere.
  static void write(Parameter buffer, const Var& value);
  /// Appends a part; the names of its parameters get `name.` in front.
  void add_child(std::string name, std::shared_ptr<Module> module);
  /// Child k as the module that it was made as. Ask for it in forward() instead of keeping a
  /// pointer, which in a clone would be to the module that was cloned. @throws ValueError for
  /// another kind.
  template <class M>
  const M& child(std::size_t k) const {
    const auto* const m =
        k < children_.size() ? dynamic_cast<M*>(children_[k].module.get()) : nullptr;
    if (!m) throw_no_such_child(k);
    return *m;
  }
  /// Own parameter of that name, empty where there is none.
  Parameter own(std::string_view name) const;
  /// Own parameter as an operand, an empty one where there is none. A function that takes it alone
  /// does not see where x is: softplus(beside(operand("raw"), x)).
  Var operand(std::string_view name) const {
    const Parameter p = own(name);
    return p.defined() ? Var(p) : Var();
  }
  /// Tells the forward hooks; operator() does.
  void call_hooks(std::span<const Var> in, const Var& out) const;
  /// From now on the module draws random numbers.
  void add_generator();
  /// Where it draws them from.
  Generator& generator() const { return *generator_; }
  /// Runs f; an error that leaves it gets the path of this module.
  template <class F>
  decltype(auto) located(F&& f) const {
    try {
      return f();
    } catch (Error& e) {
      e.set_module(path_);
      throw;
    }
  }

 private:
  [[noreturn]] void throw_no_such_child(std::size_t k) const;
  bool contains(const Module* m) const;
  void collect(Parameters& all, Parameters Module::*list) const;
  void visit(const std::function<void(Module&)>& f);
  struct Places;
  void place(const std::string& path, Places& places);
  void draw(const Rng& rng, std::uint64_t next, bool untouched_only);

  Parameters own_, buffers_;
  std::vector<std::shared_ptr<Recipe>> recipes_;   // of own_, shared by copies and ties
  std::vector<std::string> names_, buffer_names_;  // without path
  std::vector<Child> children_;
  std::string path_;
  bool training_ = true;
  std::shared_ptr<Generator> generator_;
  std::vector<std::shared_ptr<ForwardHook::Data>> hooks_;
};

/// clone() for a module type M that is copyable, derived from Base by way of this.
template <class M, class Base = Module>
class Cloneable : public Base {
 public:
  using Base::Base;

 protected:
  /// Copies M, then gives the copy parameters and children of its own.
  std::shared_ptr<Module> clone_with(Module::Copies& copies) const override {
    auto copy = std::make_shared<M>(static_cast<const M&>(*this));
    static_cast<Cloneable&>(*copy).detach(copies);
    static_cast<Cloneable&>(*copy).rebind();
    return copy;
  }
};

/// A module of several inputs: M overrides forward_all.
template <class M>
class Joining : public Cloneable<M> {
 public:
  /// forward_all of x alone.
  Var forward(const Var& x) const override { return this->forward_all({&x, 1}); }
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
  /// The first layer gets all inputs.
  Var forward_all(std::span<const Var> xs) const override;
  std::string describe() const override;
  /// Number of layers.
  std::size_t size() const { return children().size(); }
  /// Layer i. @throws std::out_of_range.
  const Module& operator[](std::size_t i) const { return *children().at(i).module; }
  /// The same, to freeze it or change its mode.
  Module& operator[](std::size_t i) { return *children().at(i).module; }
};

/// A table of the layers of `net` with the output shape and parameter count of each, for inputs of
/// shape `input`; all shapes are those of one sample, without the batch axis in front.
std::string summary(const Module& net, const Shape& input);
/// The same for a network of several inputs: shape (without the batch axis) and dtype of each.
std::string summary(const Module& net, std::span<const Spec> inputs);

/// A small network in full: every layer with each neuron's activation, weights, bias and its signal
/// for the single input `x`, [features] or [1, features]. Shows the behaviour of eval(), of a
/// clone: nothing is drawn, nothing of `net` changes. @throws ShapeError for more.
std::string print_network(const Module& net, const Tensor& x);

}  // namespace xtape::nn
