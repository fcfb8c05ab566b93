#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <xtape/autodiff/kernels/max_pool.hpp>

// What export.cpp writes headers with: not for users.
namespace xtape::nn::exporting {

/// The text of autodiff/kernels/math.hpp (from a file that CMake makes).
extern const char* const kMathText;
/// The text of nn/export_runtime.hpp, likewise.
extern const char* const kRuntimeText;

/// A whole number.
inline std::string text(std::int64_t n) { return std::to_string(n); }
/// A number as a hexadecimal literal, exact.
std::string number(double v);
/// The same, rounded to float.
std::string f32_number(double v);
/// A line that defines a table: type name[] = {words}.
std::string array(const char* type, const std::string& name, const std::vector<std::string>& words);
/// What an elementwise op computes, or null: $0, $1, $2 are operands, #0 to #2 the op's numbers.
const char* expression_of(std::string_view op);
/// The beginning of a header, up to the functions that predict() calls.
std::string header_head(const std::string& name);
/// The end of it.
std::string header_end(const std::string& name);
/// How many taps a window has, at most.
std::int64_t taps_of(const kernels::Pool& pool);
/// Where tap k of window i lies in a plane of the input, or −1: at [k, i].
std::vector<std::int64_t> tap_positions(const kernels::Pool& pool);

}  // namespace xtape::nn::exporting
