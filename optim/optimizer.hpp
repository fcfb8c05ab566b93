#pragma once

#include <optional>
#include <vector>

#include <xtape/autodiff/gradient.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/program.hpp>

namespace xtape::optim {

/// Parameters and the options they are moved by. Groups of one optimizer may differ in everything:
///
///     optim::Adam adam({{encoder.parameters(), {.learning_rate = 1e-5}},
///                       {head.parameters(), {.learning_rate = 1e-3, .weight_decay = 0.1}}});
template <class Options>
struct Group {
  Parameters parameters;  ///< None of them in another group.
  Options options = {};   ///< As for an optimizer of these alone.
};

/// What a rule remembers of a parameter between steps.
struct State {
  std::string name;  ///< Behind that of the parameter: "0.weight.momentum".
  double fill = 0;   ///< Its elements before the first step.
  /// What it is.
  enum Kind : std::uint8_t {
    elements,         ///< One for each element, in the parameter's dtype.
    squares,          ///< The same, made of squares of gradients, which must fit the dtype.
    number            ///< A single one, f64.
  } kind = elements;  ///< What it is.
};

/// One parameter in one step, as its rule sees it. Everything is recorded: numbers that belong to
/// no element are f64, and in() makes them fit for those of the parameter. What depends on steps()
/// is a vector with a number for each parameter of the group, computed for all of them at once.
class Update {
 public:
  /// Its value before the step.
  const Parameter& parameter() const { return parameter_; }
  /// Of the same shape and dtype, checked to be finite.
  const Var& gradient() const { return gradient_; }
  /// The learning rate η of its group.
  const Var& rate() const { return rate_; }
  /// The momentum (or first β) of its group. @throws ValueError when the rule has none.
  const Var& momentum() const;
  /// How many steps each parameter of the group has taken with this one: 1, 2, … While frozen it
  /// takes none. @throws ValueError unless the rule said that it counts.
  const Var& steps() const;
  /// State k of the rule's list. Later reads see what was set.
  Var state(std::size_t k) const;
  /// The new value of state k, which is also returned.
  Var set(std::size_t k, const Var& value);
  /// The new value of the parameter.
  void move(const Var& value) { assign(parameter_, value); }
  /// A number, or this parameter's one of a vector.
  Var own(const Var& numbers) const;
  /// The same in the parameter's dtype.
  Var in(const Var& numbers) const { return own(cast(numbers, parameter_.dtype())); }
  /// The place of its group.
  std::size_t group() const { return group_; }

 private:
  friend class Optimizer;
  Parameter parameter_;
  Parameters state_;
  Var gradient_, rate_, momentum_, steps_;
  std::size_t group_ = 0;
  std::int64_t position_ = 0;
};

/// Changes parameters by their gradients. Derived classes (see Rule) say how one parameter and its
/// state move, in ordinary operations: the same rule runs eagerly (as a program of its own,
/// compiled at the first step) and inside the programs that compile() makes of whole training
/// steps.
///
/// The learning rates, the step count and all state are buffers (Parameter::buffer): a recorded
/// step reads them at every run, so set_learning_rate() needs no new recording, and state() is all
/// there is to save.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update of every parameter that is not frozen. Gradients from tape.gradient(loss,
  /// parameters) are found by their parameters: they may come in any order, and others may be among
  /// them. Other lists of tensors are taken in the order of parameters().
  /// @throws ValueError, ShapeError or DTypeError naming the parameter whose gradient is missing,
  /// does not fit or (ValueError) is not finite; no parameter has changed then.
  void step(const Tensors& gradients);
  /// As above.
  void step(std::span<const Tensor> gradients);
  /// As above.
  void step(std::initializer_list<Tensor> gradients);
  /// The same for recorded gradients, inside compile(): notes the update, which every run of the
  /// program makes. Whether a gradient is finite is looked at in the run.
  void step(const Vars& gradients);
  /// As above.
  void step(const std::vector<Var>& gradients);

  /// Number of groups.
  std::size_t groups() const { return groups_.size(); }
  /// The rate of the next step.
  double learning_rate(std::size_t group = 0) const;
  /// The rate that the options gave: schedules multiply it.
  double base_learning_rate(std::size_t group = 0) const { return at(group).base_rate; }
  /// Of every group; may change between steps and runs. @throws ValueError when it is negative or
  /// not finite.
  void set_learning_rate(double learning_rate);
  /// Of one group.
  void set_learning_rate(std::size_t group, double learning_rate);
  /// The same of every group by a recorded number, inside compile(): the rate of every run, from
  /// its argument.
  void set_learning_rate(const Var& learning_rate);
  /// The momentum of the next step, β₁ of Adam and its kind. @throws ValueError when the group
  /// has none.
  double momentum(std::size_t group = 0) const;
  /// Of every group. @throws ValueError unless it is in [0, 1), or when a group has none.
  void set_momentum(double momentum);

  /// Number of steps taken.
  std::int64_t steps() const { return static_cast<std::int64_t>(steps_.value().item()); }
  /// Of all groups, in their order.
  const Parameters& parameters() const { return parameters_; }
  /// Everything that the next step depends on beside the parameters: the step count, for each group
  /// "learning_rate", "momentum" and "counts" (where it has them), then the state of each
  /// parameter. Always in the same order for the same parameters and options. Assigning to these
  /// handles restores an optimizer, programs that contain it included.
  Parameters state() const;

 protected:
  Optimizer() : steps_(Parameter::buffer(Tensor::scalar(0, i64), "steps")) {}
  /// What a group is made of.
  struct GroupSpec {
    double learning_rate;            ///< η ≥ 0.
    std::optional<double> momentum;  ///< Where it may change between steps.
    std::vector<State> state;        ///< Of each parameter.
    bool counts = false;             ///< Whether the rule reads Update::steps.
  };
  /// @throws ValueError when there are no parameters, one stands twice, a handle is empty, or the
  /// learning rate is negative or not finite.
  void add_group(const Parameters& parameters, const GroupSpec& spec);
  /// Moves one parameter: assigns to it and to its state, through `u`.
  virtual void update(Update& u) = 0;
  /// State k of parameter i.
  const Parameter& state(std::size_t i, std::size_t k) const { return slots_[i].state[k]; }

 private:
  struct Numbers {  // of a group
    Parameter rate, momentum, counts;
    double base_rate;
  };
  struct Slot {  // of a parameter
    std::size_t group;
    std::int64_t position;  // there
    Parameters state;
    std::vector<State::Kind> kinds;  // of the state
    bool frozen = false;             // when the eager step was recorded, and the dtype then
    DType dtype = f32;
  };
  const Numbers& at(std::size_t group) const;
  void check(const std::vector<Spec>& gradients) const;
  [[noreturn]] static void throw_missing(const Parameter& p);
  void record(const std::vector<Var>& gradients);
  std::vector<Var> count(const Var& recorded);
  Update update_of(std::size_t i, const Var& gradient, const Var& steps);
  const Parameters& state_of(std::size_t i) const;
  bool program_fits() const;
  void compile_step();

  Parameters parameters_;
  Parameter steps_;
  std::vector<Numbers> groups_;
  std::vector<Slot> slots_;
  Program program_;           // the eager step
  std::vector<Spec> specs_;   // of the gradients
  std::vector<Tensor> live_;  // gradients of those that are not frozen
};

/// An optimizer made of a rule with options. `Derived` inherits the constructors and says
///
///     static void check(const Options& o);                         // throws when out of range
///     static std::vector<State> state_of(const Options& o);        // what it remembers
///     static std::optional<double> momentum_of(const Options& o);  // what set_momentum() sets
///     static bool counts_of(const Options& o);                     // reads Update::steps?
///     void update(Update& u) override;                             // the rule
///
/// where momentum_of (nothing) and counts_of (no) may be left out. Options have a `learning_rate`.
template <class Derived, class Options>
class Rule : public Optimizer {
 public:
  /// All parameters with the same options. @throws ValueError for an option outside its range, an
  /// empty handle, or a parameter that stands twice.
  explicit Rule(const Parameters& parameters, const Options& options = {}) {
    add(parameters, options);
  }
  /// Groups with options of their own.
  explicit Rule(const std::vector<Group<Options>>& groups) {
    for (const Group<Options>& g : groups) add(g.parameters, g.options);
  }

 protected:
  /// Those of the parameter's group.
  const Options& options(const Update& u) const { return options_[u.group()]; }
  /// Of a group.
  const Options& options(std::size_t group) const { return options_[group]; }
  /// What is said by leaving it out.
  static bool counts_of(const Options&) { return false; }
  /// What is said by leaving it out.
  static std::optional<double> momentum_of(const Options&) { return std::nullopt; }

 private:
  void add(const Parameters& parameters, const Options& o) {
    Derived::check(o);
    add_group(parameters, {o.learning_rate, Derived::momentum_of(o), Derived::state_of(o),
                           Derived::counts_of(o)});
    options_.push_back(o);
  }

  std::vector<Options> options_;
};

}  // namespace xtape::optim
