#pragma once

#include <cstdint>
#include <string>
#include <vector>

// What is measured: descriptions of the workloads, the numbers they start from, and their right
// results by plain loops over double. Knows no library.
namespace bench {

/// Training of a network of dense layers by steepest descent, in f32. An activation stands behind
/// every layer, but ReLU networks end with a layer without one.
struct Network {
  enum class Activation : std::uint8_t { sigmoid, relu, tanh };
  /// mean (y−t)²; ½ Σ (y−t)²; mean over samples of −ln softmax(y)[label].
  enum class Error : std::uint8_t { mean_square, half_square_sum, cross_entropy };

  std::string name;
  std::vector<std::int64_t> sizes;  ///< Inputs, then neurons of each layer.
  std::int64_t batch;
  Activation activation;
  Error error;
  double rate;

  std::size_t layers() const { return sizes.size() - 1; }
  /// Whether an activation stands behind layer l.
  bool activated(std::size_t l) const { return activation != Activation::relu || l + 1 < layers(); }
};

/// One matrix and one vector for each layer; row-major, weights[l] is [sizes[l+1], sizes[l]].
struct Layers {
  std::vector<std::vector<float>> weights, biases;
};
/// Where the training starts.
struct Start {
  std::vector<float> input, target;
  std::vector<std::int64_t> labels;  ///< Instead of target, for cross entropy.
  Layers layers;
};
Start make_start(const Network& net);
/// What the Hessian is multiplied with.
Layers make_direction(const Network& net);

/// z ← z a + b, `length` times, in f64; then the gradient of the last z by a and b.
struct Chain {
  std::string name;
  std::int64_t length;
  double z = 0.5, a = 0.999, b = 0.001;
};

/// mean(sigmoid(a x + b) tanh(c x) + exp(−x²)) of n numbers in f32, and its gradient by a, b and c.
struct Gate {
  std::string name;
  std::int64_t n;
  double a = 0.75, b = 0.25, c = 1.125;
};
std::vector<float> make_input(const Gate& gate);

/// Over the rows of a matrix x in f32: the gradient by x of Σ logsumexp(x), or of Σ g softmax(x).
struct Rows {
  enum class Kind : std::uint8_t { logsumexp, softmax };
  std::string name;
  Kind kind;
  std::int64_t rows = 1024, columns = 1000;
};
struct RowsData {
  std::vector<float> x, g;
};
RowsData make_data(const Rows& rows);

/// A scalar function of FastAD's published benchmark in f64, and its gradient by all parameters.
struct Function {
  enum class Kind : std::uint8_t {
    sum,         ///< Σ xᵢ
    product,     ///< Π xᵢ
    logsumexp,   ///< ln Σ exp xᵢ
    matrix,      ///< Σ (A B)ᵢⱼ, both square, of n elements or a few less
    normal,      ///< Σ ln φ((xᵢ − μ)/σ)/σ without constants, μ and σ given
    regression,  ///< ln p(w, b, σ | X, y) with normal noise and priors
    volatility   ///< ln p(s, φ, σ, μ | y): volatility that follows an autoregression
  };
  std::string name;
  Kind kind;
  std::int64_t n;

  static constexpr double kMean = -0.56, kDeviation = 1.37;       // of `normal`
  std::int64_t side() const;                                      ///< Of A and B.
  std::int64_t samples() const { return n > 1000 ? 100 : 1000; }  ///< Rows of X.
};
struct FunctionData {
  std::vector<std::vector<double>> parameters;  ///< {x}, {A, B}, {w, b, σ}, {s, φ, σ, μ}
  std::vector<double> x, y;                     ///< Observations: X [samples, n], y.
};
FunctionData make_data(const Function& f);

std::vector<Network> networks();         ///< For training: W1, W1b, W2, W3, W5.
std::vector<Network> hessian_vectors();  ///< W9
std::vector<Chain> chains();             ///< W6, and those that show how the time grows.
std::vector<Gate> gates();               ///< W4
std::vector<Rows> rows();                ///< W10
std::vector<Function> functions();       ///< W11
Chain compiled_chain();                  ///< 1,000 operations to compile.

/// The error after `steps` steps.
std::vector<double> expected_training(const Network& net, int steps);
/// Hessian times direction, layer by layer, weights before biases.
std::vector<double> expected_hessian_vector(const Network& net);
std::vector<double> expected(const Chain& chain);  ///< {dz/da, dz/db}
std::vector<double> expected(const Gate& gate);    ///< {value, d/da, d/db, d/dc}
std::vector<double> expected(const Rows& rows);    ///< d/dx
std::vector<double> expected(const Function& f);   ///< Value, then the gradient.

}  // namespace bench
