#include <bit>
#include <cstring>

#include <xtape/autodiff/kernels/finite.hpp>
#include <xtape/autodiff/kernels/simd.hpp>

namespace xtape::kernels {
namespace {

// Without its sign bit a float orders like an integer; infinities and NaN come last. What takes the
// limit just below the sign takes all that is above the limit into it. Made of integer operations,
// so that the compiler vectorises it.
template <class T, class U>
bool within(const void* x, std::int64_t n, double limit) {
  const U room = (U{1} << (8 * sizeof(U) - 1)) - 1 - std::bit_cast<U>(static_cast<T>(limit));
  const auto* bits = static_cast<const unsigned char*>(x);
  constexpr std::int64_t kFew = 8;
  if (n <= kFew) {  // before the choice of an instruction set has paid
    bool all = true;
    for (std::int64_t i = 0; i < n; ++i) {
      U u;
      std::memcpy(&u, bits + i * static_cast<std::int64_t>(sizeof(U)), sizeof(U));
      all &= (u & (~U{0} >> 1)) + room < (U{1} << (8 * sizeof(U) - 1));
    }
    return all;
  }
  return at_simd_level([=]() XTAPE_INLINE_LAMBDA {
    constexpr U kSign = U{1} << (8 * sizeof(U) - 1);
    U seen = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      U u;
      std::memcpy(&u, bits + i * static_cast<std::int64_t>(sizeof(U)), sizeof(U));
      seen |= (u & ~kSign) + room;
    }
    return (seen & kSign) == 0;
  });
}

template <class T, class U>
double largest_of(const void* x, std::int64_t n, U infinite) {
  const auto* bits = static_cast<const unsigned char*>(x);
  const U most = at_simd_level([=]() XTAPE_INLINE_LAMBDA {
    U top = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      U u;
      std::memcpy(&u, bits + i * static_cast<std::int64_t>(sizeof(U)), sizeof(U));
      u &= ~U{0} >> 1;
      top = u > top ? u : top;
    }
    return top;
  });
  return static_cast<double>(std::bit_cast<T>(most < infinite ? most : infinite));
}

}  // namespace

double largest(const void* x, DType dtype, std::int64_t n) {
  if (dtype == f32) return largest_of<float>(x, n, std::uint32_t{0x7F800000});
  return largest_of<double>(x, n, std::uint64_t{0x7FF0000000000000});
}

bool all_within(const void* x, DType dtype, std::int64_t n, double limit) {
  if (dtype == f32) return within<float, std::uint32_t>(x, n, limit);
  return dtype == f64 ? within<double, std::uint64_t>(x, n, limit) : true;
}

bool all_finite(const void* x, DType dtype, std::int64_t n) {
  return all_within(x, dtype, n, largest_finite(dtype));
}

}  // namespace xtape::kernels
