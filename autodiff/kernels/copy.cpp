#include <cstring>

#include <xtape/autodiff/kernels/copy.hpp>

namespace xtape::kernels {

void copy_strided(const void* in, const Strides& from, void* out, const Strides& to,
                  const Shape& shape, std::size_t bytes) {
  const StridedLoop<2> loop(shape, {from, to});
  const std::int64_t n = loop.inner(), a = loop.inner_stride(0), b = loop.inner_stride(1);
  const auto copy = [&](auto unit) {
    using U = decltype(unit);
    loop.each([&](const auto& offset) {
      const U* x = static_cast<const U*>(in) + offset[0];
      U* y = static_cast<U*>(out) + offset[1];
      if (a == 1 && b == 1) {
        std::memcpy(y, x, static_cast<std::size_t>(n) * sizeof(U));
      } else {
        for (std::int64_t i = 0; i < n; ++i) y[i * b] = x[i * a];
      }
    });
  };
  if (shape.size() == 0) return;
  if (bytes == 8) return copy(std::uint64_t{});
  if (bytes == 4) return copy(std::uint32_t{});
  copy(std::uint8_t{});
}

}  // namespace xtape::kernels
