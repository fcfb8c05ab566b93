#pragma once

#include <cstddef>

#include <xtape/autodiff/kernels/strided.hpp>

namespace xtape::kernels {

/// Copies a strided view of `in` to a strided view of `out`, element by element of `shape`.
/// Elements have `bytes` bytes, strides count elements.
void copy_strided(const void* in, const Strides& from, void* out, const Strides& to,
                  const Shape& shape, std::size_t bytes);

/// `p` moved on by so many elements.
inline const void* advance(const void* p, std::int64_t elements, std::size_t bytes) {
  return static_cast<const char*>(p) + elements * static_cast<std::int64_t>(bytes);
}
inline void* advance(void* p, std::int64_t elements, std::size_t bytes) {
  return static_cast<char*>(p) + elements * static_cast<std::int64_t>(bytes);
}

}  // namespace xtape::kernels
