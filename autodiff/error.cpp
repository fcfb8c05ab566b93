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

void Error::set_module(const std::string& path) {
  if (!module_.empty() || path.empty()) return;
  const std::string text = std::string(what()).substr(where_.size() + 2);
  static_cast<std::runtime_error&>(*this) =
      std::runtime_error("[" + path + "] " + where_ + ":" + text);
  module_ = path;
}

}  // namespace xtape
