#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <xtape/autodiff/diagnostics.hpp>
#include <xtape/nn/module.hpp>

// Is this network in a state to learn? Activations, gradients and updates of every layer, and what
// is known to keep networks from learning, found in them.
namespace xtape::nn {

/// What some numbers are like. Those that are not finite are counted, and left out of the rest.
struct Statistics {
  std::int64_t count = 0;      ///< How many, 0 where there was nothing to look at.
  std::int64_t nonfinite = 0;  ///< How many of them are NaN or infinite.
  /// c, the first finite one: sums of what differs from it keep the spread of numbers that are all
  /// large (Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983).
  double center = 0;
  double sum = 0;      ///< Σ (x − c).
  double squares = 0;  ///< Σ (x − c)².
  /// Takes in the elements of a floating tensor.
  void add(const Tensor& x);
  /// Σ x / n.
  double mean() const;
  /// √(Σ (x − mean)²/n).
  double stddev() const;
  /// √(Σ x²/n).
  double rms() const;
  /// √(Σ x²).
  double norm() const;
};

/// From when on a number is a finding. Where a source gives a rule of thumb, it is the default.
struct DiagnosisOptions {
  /// The gradient (rms, by the outputs of a layer) fell below this part of that of the last layer.
  /// Glorot and Bengio (AISTATS 2010, fig. 7) take layers of equal gradients for healthy; three
  /// digits is our choice of "far from it". Also for the outputs, against those of the first layer.
  double vanishing = 1e-3;
  /// It grew beyond this multiple.
  double exploding = 1e3;
  /// Share of ReLU units that are 0 for all samples. Stanford's CS231n ("Neural networks 1",
  /// 2015) warns of 40 % after too large a learning rate.
  double dead = 0.4;
  /// Share of outputs of a hidden sigmoid or tanh that are saturated: there the slope is less than
  /// 6 % of its maximum, |tanh| > 0.97 (Karpathy, "Building makemore 3", 2022). Our choice: half.
  double saturated = 0.5;
  /// Norm of a weight's update over that of the weight: CS231n ("Neural networks 3") and Karpathy
  /// want about 1e-3. A finding is two digits below,
  double update_low = 1e-5;
  /// and two above.
  double update_high = 1e-1;
  /// Fewer samples say nothing about units that are always 0.
  std::int64_t min_samples = 16;
  /// diagnose() takes rate·‖gradient‖ for the norm of the update, as plain SGD has it; 0: unknown.
  double learning_rate = 0;
};

/// A layer in one forward pass and the sweep backward.
struct LayerHealth {
  std::string path;     ///< Its module's: "encoder.2".
  std::string kind;     ///< Its module's describe().
  Statistics output;    ///< Of what it gave.
  Statistics gradient;  ///< Of the loss by that; without elements where no gradient came.
  /// rms of the output over that of the layer before; NaN for the first.
  double output_ratio = std::numeric_limits<double>::quiet_NaN();
  /// rms of the gradient over that of the layer behind; NaN for the last.
  double gradient_ratio = std::numeric_limits<double>::quiet_NaN();
  std::int64_t samples = 0;  ///< Extent of the first axis.
  /// ReLU: share of units that are 0 for every sample, else NaN. A unit is an element of a sample;
  /// of images (rank 4 and more), where weights are shared, a channel; of nn::Neurons, one with a
  /// ReLU.
  double dead = std::numeric_limits<double>::quiet_NaN();
  /// Sigmoid and tanh: share of saturated outputs, else NaN.
  double saturated = std::numeric_limits<double>::quiet_NaN();
};

/// A parameter in the same pass.
struct ParameterHealth {
  std::string path;     ///< "encoder.2.weight".
  int rank = 0;         ///< Number of axes.
  Statistics value;     ///< Of its elements.
  Statistics gradient;  ///< Of the loss by it; without elements where no gradient came.
  /// ‖update‖ / ‖value‖; NaN where not known.
  double update = std::numeric_limits<double>::quiet_NaN();
  std::int64_t rows = 0;  ///< Neurons: rows of a weight, 0 where rows are something else.
  /// Neurons that have the same weights and the same gradient as one before.
  std::int64_t equal_rows = 0;
};

/// What may be wrong.
enum class Ailment : std::uint8_t {
  nonfinite,           ///< NaN or infinite numbers.
  vanishing_gradient,  ///< Gradients fade on the way back.
  exploding_gradient,  ///< They grow.
  vanishing_output,    ///< Outputs fade on the way forward.
  exploding_output,    ///< They grow.
  dead_units,          ///< ReLU units without a gradient.
  saturated_units,     ///< Sigmoid or tanh units with hardly any.
  equal_neurons,       ///< Neurons that will stay equal.
  small_update,        ///< Weights hardly move.
  large_update         ///< Weights move too much.
};
/// "vanishing gradient".
const char* name_of(Ailment a);

/// Something that keeps networks from learning, and where.
struct Finding {
  Ailment kind;          ///< What.
  std::string path;      ///< Of the layer or parameter, "loss" for the loss.
  double value;          ///< The number that is out of bounds: a ratio, a share, a count.
  std::string sentence;  ///< For people: path, number, what usually helps.
};

/// A network's state.
struct Diagnosis {
  std::optional<double> loss;               ///< Where known: see diagnose().
  std::vector<LayerHealth> layers;          ///< In the order of their first calls.
  std::vector<ParameterHealth> parameters;  ///< As Module::parameters().
  std::vector<Finding> findings;            ///< Empty for a healthy network.
  /// Why nothing was seen, and what to do; empty where something was.
  std::string unseen;
  /// A table of layers, one of parameters, the findings.
  std::string str() const;
  /// The same as JSON; what is not known is null.
  std::string json() const;
};

/// Looks at layers and parameters while a network trains, through hooks. It sees forward passes
/// that are recorded, and sweeps over them; programs, where nothing is computed at the recording,
/// and inference pass unseen (`Diagnosis::unseen` says so if there was nothing else). Nothing that
/// it does changes a number. Costs a few passes over outputs, gradients and parameters, in every
/// `every`-th pass.
class Monitor {
 public:
  /// Attaches hooks to the layers and parameters of `net`. @throws ValueError when every < 1.
  explicit Monitor(Module& net, const DiagnosisOptions& options = {}, std::int64_t every = 1);
  /// As remove().
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;
  /// Takes all hooks away. What was seen stays.
  void remove();
  /// What the last pass looked at, a call of `net` as a whole, was like, with the sweep and the
  /// update (the change of the parameters since) behind it, as far as they have happened.
  Diagnosis diagnosis() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
  std::vector<ForwardHook> layers_;
  std::vector<HookHandle> parameters_;
};

/// Computes the loss of `net` for a batch and its gradient, and says what they tell of the network.
/// Works on a clone: running statistics, random streams and hooks of `net` stay as they are.
/// @throws what net and loss throw; GradientError unless the loss is a scalar that depends on the
/// parameters.
Diagnosis diagnose(const Module& net, const std::function<Var(const Var&, const Tensor&)>& loss,
                   const Tensor& inputs, const Tensor& targets,
                   const DiagnosisOptions& options = {});

}  // namespace xtape::nn
