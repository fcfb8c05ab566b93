#include <algorithm>
#include <cstring>

#include <xtape/autodiff/kernels/elementwise.hpp>
#include <xtape/autodiff/kernels/finite.hpp>

namespace xtape::kernels {
namespace {

// Adding one to the exponent field overflows into the sign exactly for NaN and infinities. Made of
// integer operations, so that the compiler vectorises it.
template <class U>
[[gnu::always_inline]] inline bool finite_body(const unsigned char* bits, std::int64_t n, U one) {
  constexpr U kSign = U{1} << (8 * sizeof(U) - 1);
  U seen = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    U u;
    std::memcpy(&u, bits + i * static_cast<std::int64_t>(sizeof(U)), sizeof(U));
    seen |= (u & ~kSign) + one;
  }
  return (seen & kSign) == 0;
}

#ifdef XTAPE_MULTIVERSION
template <class U>
XTAPE_AVX2 bool finite_avx2(const unsigned char* bits, std::int64_t n, U one) {
  return finite_body(bits, n, one);
}
#endif

template <class U>
bool finite(const void* x, std::int64_t n, U one) {
  const auto* bits = static_cast<const unsigned char*>(x);
#ifdef XTAPE_MULTIVERSION
  if (has_avx2()) return finite_avx2(bits, n, one);
#endif
  return finite_body(bits, n, one);
}

}  // namespace

bool all_finite(const void* x, DType dtype, std::int64_t n) {
  if (dtype == f32) return finite(x, n, std::uint32_t{1} << 23);
  return dtype == f64 ? finite(x, n, std::uint64_t{1} << 52) : true;
}

}  // namespace xtape::kernels
