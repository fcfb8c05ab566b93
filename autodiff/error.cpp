#include <cstdio>

#include <xtape/autodiff/error.hpp>

namespace xtape {

std::string detail::text(double v) {
  char s[32];
  std::snprintf(s, sizeof s, "%.6g", v);
  return s;
}

Error::Error(std::string_view where, const std::string& what)
    : std::runtime_error("[" + std::string(where) + "] " + what), where_(where) {}

}  // namespace xtape
