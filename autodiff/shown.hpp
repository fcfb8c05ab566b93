#pragma once

#include <string>
#include <string_view>

namespace xtape::detail {

/// What a message shows of a file: the beginning of `text` in quotes, printable whatever it holds.
std::string shown(std::string_view text, std::size_t most = 24);

/// A JSON (and Graphviz) string.
std::string quoted(const std::string& s);

}  // namespace xtape::detail
