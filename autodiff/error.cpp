#include <xtape/autodiff/error.hpp>

namespace xtape {

Error::Error(std::string_view where, const std::string& what)
    : std::runtime_error("[" + std::string(where) + "] " + what), where_(where) {}

}  // namespace xtape
