#pragma once

// Between export.cpp and the file that CMake makes of sources: not for users.
namespace xtape::nn::detail {

/// The text of autodiff/kernels/math.hpp.
extern const char* const kMathText;
/// The text of nn/export_runtime.hpp.
extern const char* const kRuntimeText;

}  // namespace xtape::nn::detail
