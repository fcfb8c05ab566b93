#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {

namespace families {
Family scatter_reduction() { return {}; }
}  // namespace families

}  // namespace xtape
