#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {

namespace families {
Family scattering() { return {}; }
}  // namespace families

}  // namespace xtape
