#include <cstdio>

#include <xtape/autodiff/shown.hpp>

namespace xtape::detail {

std::string shown(std::string_view text, std::size_t most) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string s = "'";
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      s += c;
    } else {
      s += {'\\', 'x', kDigits[byte / 16], kDigits[byte % 16]};
    }
  }
  return s + (text.size() > most ? "…'" : "'");
}

std::string quoted(const std::string& s) {
  std::string out = "\"";
  for (const char c : s) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", c);
      out += code;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace xtape::detail
