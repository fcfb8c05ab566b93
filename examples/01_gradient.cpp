// 1. A gradient, from and to xtensor.
//
// A Tape records what happens to the variables put on it, and replays it in reverse to get
// derivatives. xtensor containers and lazy expressions go in, xtensor containers come out.
#include <iostream>
#include <xtensor/xarray.hpp>
#include <xtensor/xio.hpp>
#include <xtensor/xmath.hpp>

#include <xtape/autodiff/xtensor.hpp>
#include <xtape/xtape.hpp>

#include "check.hpp"

int main() {
  using namespace xtape;

  const xt::xarray<double> data{1., 2., 3.};
  Tape tape;
  Var x = tape.variable(data);
  Var y = sum(x * sin(x));
  const xt::xarray<double> dx = tape.gradient(y, x);

  std::cout << "y  = sum(x sin x) = " << y << "\ndy/dx = " << dx << "\n";
  expect("y", y.item(), 3.08342586, 5e-9);
  for (std::size_t i = 0; i < 3; ++i) {
    expect("dy/dx = sin x + x cos x", dx(i), std::sin(data(i)) + data(i) * std::cos(data(i)),
           1e-15);
  }

  // A lazy expression is evaluated once, when it becomes a tensor.
  Tape other;
  Var z = other.variable(2.0 * data + 1.0);
  expect("d(sum of squares)/dz", other.gradient(sum(square(z)), z).at({2}), 14, 0);

  // A view shares the tensor's elements: nothing is copied.
  const Tensor t = y.value();
  expect("the view reads the same memory", view<double>(t).data() == t.data<double>());
  return failures != 0;
}
