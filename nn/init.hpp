#pragma once

#include <functional>
#include <string>

#include <xtape/autodiff/rng.hpp>

namespace xtape::nn {

/// How many numbers go into and out of one unit of a layer.
struct Fans {
  /// Numbers that go into a unit.
  std::int64_t fan_in = 1;
  /// Units that a number goes to.
  std::int64_t fan_out = 1;
};

/// Draws the initial value of a parameter.
struct Initializer {
  /// As in initializer().
  std::string name;
  /// Makes a value of the given shape and dtype.
  std::function<Tensor(const Shape&, Fans, DType, Rng&)> draw;
};

/// Every element `value`. Equal weights keep the neurons of a layer equal for ever.
Initializer constant(double value);
/// Uniform on [low, high).
Initializer uniform(double low, double high);
/// Normal with the given mean and standard deviation.
Initializer normal(double mean = 0, double stddev = 1);
/// Normal, drawn again by the inverse distribution function between `low` and `high` (numbers, not
/// multiples of `stddev`). @throws ValueError unless low < high and stddev > 0.
Initializer truncated_normal(double mean = 0, double stddev = 1, double low = -2, double high = 2);

/// Which fan a spread is made for: forward signals keep their variance with `in`, gradients with
/// `out`, `average` is their mean.
enum class Fan : std::uint8_t { in, out, average };
/// How numbers of a given variance are distributed.
enum class Spread : std::uint8_t { uniform, normal, truncated_normal };
/// The factor of the standard deviation that an activation of that name asks for, as PyTorch has
/// it: 1 for identity, sigmoid and others, 5/3 for tanh, √2 for relu, √(2/(1 + slope²)) for
/// leaky_relu, 3/4 for selu.
double gain(const std::string& activation, double slope = 0.01);
/// Mean 0 and variance gain²/fan: what the ones below have in common. Uniform on
/// ±gain·√(3/fan); truncated at two standard deviations, with the variance that is left.
/// @throws ValueError unless gain > 0.
Initializer variance_scaling(double gain, Fan fan = Fan::in, Spread spread = Spread::normal);
/// Uniform on ±gain·√(6/(fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010, eq. 16).
Initializer xavier_uniform(double gain = 1);
/// Normal with standard deviation gain·√(2/(fan_in + fan_out)) (Glorot and Bengio, 2010, eq. 12).
Initializer xavier_normal(double gain = 1);
/// Uniform on ±√(6/fan), for ReLU (He et al., ICCV 2015, eq. 10); also known as Kaiming.
Initializer he_uniform(Fan fan = Fan::in);
/// Normal with standard deviation √(2/fan), for ReLU (He et al., ICCV 2015, eq. 10).
Initializer he_normal(Fan fan = Fan::in);
/// Uniform on ±√(3/fan_in) (LeCun et al., "Efficient backprop", 1998, eq. 16).
Initializer lecun_uniform();
/// Normal with standard deviation √(1/fan_in) (LeCun et al., 1998, eq. 16).
Initializer lecun_normal();
/// Normal with standard deviation √(1/fan_out).
Initializer scaled_normal();
/// A random matrix [shape[0], all other extents] with orthonormal rows or columns, whichever are
/// fewer, times `gain` (Saxe et al., ICLR 2014): Gram–Schmidt of normal numbers, which is uniform
/// over all such matrices (Mezzadri 2007). @throws ShapeError at the draw below rank 2.
Initializer orthogonal(double gain = 1);
/// The identity matrix, also one that is not square. @throws ShapeError at the draw unless rank 2.
Initializer identity();
/// A convolution that passes its first channels through: 1 at the middle of window c of output c,
/// in each of the `groups`. @throws ShapeError at the draw unless rank 3 to 5, or when the outputs
/// do not divide into the groups.
Initializer dirac(std::int64_t groups = 1);
/// Normal with `stddev`, but a part `sparsity` (rounded up) of each column 0 (Martens, ICML 2010).
/// @throws ValueError unless 0 ≤ sparsity ≤ 1; ShapeError at the draw unless rank 2.
Initializer sparse(double sparsity, double stddev = 0.01);
/// The values given, whatever the generator. @throws ShapeError at the draw when shapes differ.
Initializer values(const Tensor& value);

/// The initialiser of that name, with numbers behind colons where it takes some: "zeros", "ones",
/// "he_normal", "xavier_uniform", "xavier_uniform:1.4", "constant:0.5", "uniform:-1:1",
/// "normal:0:0.1", "truncated_normal:0:1:-2:2", "orthogonal", "sparse:0.9", ….
/// @throws ParseError listing the names.
Initializer initializer(const std::string& text);

}  // namespace xtape::nn
