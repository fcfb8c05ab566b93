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
/// Uniform on ±√(6/(fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010, eq. 16).
Initializer xavier_uniform();
/// Normal with standard deviation √(2/(fan_in + fan_out)) (Glorot and Bengio, 2010, eq. 12).
Initializer xavier_normal();
/// Uniform on ±√(6/fan_in), for ReLU (He et al., ICCV 2015, eq. 10).
Initializer he_uniform();
/// Normal with standard deviation √(2/fan_in), for ReLU (He et al., ICCV 2015, eq. 10).
Initializer he_normal();
/// Normal with standard deviation √(1/fan_out).
Initializer scaled_normal();
/// The values given, whatever the generator. @throws ShapeError at the draw when shapes differ.
Initializer values(const Tensor& value);

/// The initialiser of that name: "zeros", "xavier_uniform", …, "constant:0.5", "uniform:-1:1",
/// "normal:0:0.1". @throws ParseError listing the names.
Initializer initializer(const std::string& text);

}  // namespace xtape::nn
