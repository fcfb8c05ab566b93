#pragma once

#include <string>

// What the drawings share.
namespace xtape::plot::detail {

/// Text inside an SVG element.
std::string escape(const std::string& s);
/// Four significant digits.
std::string number(double v);

}  // namespace xtape::plot::detail
