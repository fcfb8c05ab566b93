#pragma once

#include <xtape/nn/module.hpp>

// Recurrent layers, in PyTorch's layout: for layer k (and "_reverse" for the direction back)
// `weight_ih_l<k>` [gates·hidden, in], `weight_hh_l<k>` [gates·hidden, hidden], `bias_ih_l<k>` and
// `bias_hh_l<k>` [gates·hidden]; with a projection `weight_hr_l<k>` [projection, hidden].
namespace xtape::nn {

/// What a recurrent layer is made with.
struct RecurrentOptions {
  std::int64_t layers = 1;     ///< The outputs of one are the inputs of the next.
  bool bias = true;            ///< Whether there are biases.
  bool batch_first = false;    ///< x is [batch, time, in], not [time, batch, in].
  double dropout = 0;          ///< Of the outputs of all layers but the last, in training.
  bool bidirectional = false;  ///< A second set of weights reads backwards; outputs are joined.
  /// LSTM only: h is W_hr h of so many elements, unless 0. Sak et al., "Long short-term memory
  /// recurrent neural network architectures for large scale acoustic modeling", 2014.
  std::int64_t projection = 0;
  Initializer weight_init = xavier_uniform();  ///< Of all weights.
  Initializer bias_init = constant(0);         ///< Of all biases.
  DType dtype = f32;                           ///< Of all.
};

/// The state of a recurrent layer: [layers·directions, batch, hidden], the direction back behind
/// the one forward of the same layer. `c` is for LSTM only, whose h may be projected to fewer.
struct RecurrentState {
  Var h = {};  ///< What goes out. Zeros when left out.
  Var c = {};  ///< The cells. Zeros when left out.
};

/// What a recurrent layer gives.
struct RecurrentResult {
  Var output;            ///< h of the last layer at every step, [time, batch, directions·hidden].
  RecurrentState state;  ///< After the last step.
};

/// What RNN, LSTM and GRU have in common. As a module it takes x (or x and the initial h, or x, h
/// and c) and gives the output at every step; run() gives the final state, too. `in` may be
/// nn::infer. Without the batch axis x is one sequence, and so are the results.
///
/// The products with the inputs of all steps are one product of matrices, for all gates together.
class Recurrent : public Cloneable<Recurrent> {
 public:
  Var forward(const Var& x) const override { return run(x).output; }
  Var forward_all(std::span<const Var> xs) const override;
  std::string describe() const override;
  /// All of it. `lengths` (i64 [batch]) says how many steps of each sequence count: beyond them
  /// outputs are 0 and the state stays, and the direction back begins there, as if each sequence
  /// was alone. @throws ShapeError, DTypeError; ValueError for a length that is not in [0, time]:
  /// in a program at its run.
  RecurrentResult run(const Var& x, const RecurrentState& initial = {},
                      const Var& lengths = {}) const;
  /// Extent of the state, that of h where it is projected.
  std::int64_t hidden() const { return options_.projection > 0 ? options_.projection : hidden_; }

 protected:
  /// What a step computes.
  enum class Cell : std::uint8_t { tanh, relu, lstm, gru };
  /// See RNN.
  Recurrent(Cell cell, std::int64_t in, std::int64_t hidden, const RecurrentOptions& options);

 private:
  struct Walk;
  RecurrentState walk(const Walk& w) const;
  RecurrentState step(const Walk& w, const Var& projected, const RecurrentState& s) const;
  RecurrentResult run_layers(Var x, const RecurrentState& initial, const Var& mask) const;
  Var mask(const Var& lengths, std::int64_t time, std::int64_t batch) const;
  void check(const Var& x, const RecurrentState& initial) const;
  void size(const Var& x) const;
  std::int64_t gates() const { return cell_ == Cell::lstm ? 4 : cell_ == Cell::gru ? 3 : 1; }
  std::size_t parameters_of_one() const {  // direction of one layer
    return (options_.bias ? 4U : 2U) + (options_.projection > 0 ? 1U : 0U);
  }
  int directions() const { return options_.bidirectional ? 2 : 1; }

  Cell cell_;
  std::int64_t in_, hidden_;
  RecurrentOptions options_;
};

/// h' = tanh(W_ih x + b_ih + W_hh h + b_hh). Elman, "Finding structure in time", 1990.
struct RNN : Recurrent {
  /// @throws ValueError unless extents and layers are 1 or more and dropout is in [0, 1).
  RNN(std::int64_t in, std::int64_t hidden, const RecurrentOptions& options = {})
      : Recurrent(Cell::tanh, in, hidden, options) {}
};
/// The same with max(·, 0) for tanh.
struct ReluRNN : Recurrent {
  /// As RNN.
  ReluRNN(std::int64_t in, std::int64_t hidden, const RecurrentOptions& options = {})
      : Recurrent(Cell::relu, in, hidden, options) {}
};
/// Gates i, f, g, o = σ, σ, tanh, σ of W_ih x + b_ih + W_hh h + b_hh, in this order of rows;
/// c' = f c + i g, h' = o tanh c'. Hochreiter and Schmidhuber, 1997, with the forget gate of Gers
/// et al., 2000.
struct LSTM : Recurrent {
  /// As RNN.
  LSTM(std::int64_t in, std::int64_t hidden, const RecurrentOptions& options = {})
      : Recurrent(Cell::lstm, in, hidden, options) {}
};
/// Rows r, z, n: r, z = σ(W_ih x + b_ih + W_hh h + b_hh), n = tanh(W_in x + b_in + r (W_hn h +
/// b_hn)), h' = (1 − z) n + z h. Cho et al., 2014, in the form of cuDNN.
struct GRU : Recurrent {
  /// As RNN.
  GRU(std::int64_t in, std::int64_t hidden, const RecurrentOptions& options = {})
      : Recurrent(Cell::gru, in, hidden, options) {}
};

}  // namespace xtape::nn
