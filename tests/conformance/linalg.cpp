#include "adapters.hpp"

namespace xtape::conformance {

void add_linalg(Adapters&) {}

}  // namespace xtape::conformance
