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

}  // namespace xtape::detail
