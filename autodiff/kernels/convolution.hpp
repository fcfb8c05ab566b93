#pragma once

#include <optional>

#include <xtape/autodiff/kernels/windows.hpp>

// One trilinear form Σ x w y over samples, groups, channels, windows and taps, and its derivatives
// by each of the three. Their sums are those of the matrix kernels, in an order that depends on the
// shapes alone.
namespace xtape::kernels {

/// x is samples × groups × inputs × in, w is groups × outputs × inputs × window, y is
/// samples × groups × outputs × out.
struct Convolution {
  std::int64_t samples, groups, inputs, outputs;  ///< Channels are those of one group.
  Windows windows;
};

/// y from x and w.
void convolve(const Convolution& c, const float* x, const float* w, float* y);
void convolve(const Convolution& c, const double* x, const double* w, double* y);
/// x from w and y: every element of y spread over its window.
void convolve_input(const Convolution& c, const float* y, const float* w, float* x);
void convolve_input(const Convolution& c, const double* y, const double* w, double* x);
/// The convolution of y that convolve_input() computes x by, with taps backwards and inputs for
/// outputs; none where it adds columns up.
std::optional<Convolution> mirrored(const Convolution& c);
/// w from x and y.
void convolve_weight(const Convolution& c, const float* x, const float* y, float* w);
void convolve_weight(const Convolution& c, const double* x, const double* y, double* w);

}  // namespace xtape::kernels
