#pragma once

#include <cstddef>
#include <span>
#include <string>

#include <xtape/autodiff/tensor.hpp>

namespace xtape::io {

/// Writes a tensor in NumPy's .npy format, version 1.0, row-major, as numpy.save does: f32 → '<f4',
/// f64 → '<f8', i64 → '<i8', boolean → '|b1'. `path` appears whole or not at all (AtomicFile).
/// @throws ValueError for an empty handle. @throws DataError when it cannot be written.
void save_npy(const std::string& path, const Tensor& tensor);
/// The same bytes in memory.
std::string encode_npy(const Tensor& tensor);

/// Reads a .npy file, versions 1.0, 2.0 and 3.0, row-major or Fortran order (which is transposed).
/// '<f4', '<f8', '<i8' and '|b1' become f32, f64, i64 and boolean; '<f2' becomes f32, and the
/// integers
/// '|i1', '|u1', '<i2', '<u2', '<i4', '<u4' and '<u8' become i64.
/// The header is checked before memory for elements is taken: at most 10,000 bytes (as numpy),
/// these three keys once each, at most 8 axes, extents whose product is what the file has bytes
/// for, none left over. Objects and structures, which NumPy would unpickle or split, are refused.
/// @throws DataError naming `path` and the rule that is broken.
Tensor load_npy(const std::string& path);
/// The same for bytes in memory; `name` stands for the path in messages.
Tensor decode_npy(std::span<const std::byte> bytes, const std::string& name = "memory");

}  // namespace xtape::io
