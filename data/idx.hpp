#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include <xtape/autodiff/tensor.hpp>

namespace xtape::data {

/// What read_idx makes of the numbers in the file.
struct IdxOptions {
  /// Element type of the result. Unless given: i64 for the integer types of the file (u8, i8, i16,
  /// i32), f32 for f32, f64 for f64.
  std::optional<DType> dtype;
  /// Every number is multiplied by this; needs a floating result. 1/255 turns bytes into [0, 1].
  double scale = 1;
};

/// Reads an IDX file, the format of MNIST: plain or gzip, told apart by content. The shape of the
/// result is that in the file, 1 to 8 axes.
///
/// Bytes become numbers of the wanted dtype directly, so 47 MB of pixels read as f32 take 188 MB
/// and the file, never an i64 copy. No memory is taken on the word of the header: it grows with the
/// data that is really there.
/// @throws DataError, naming `path`, when the file is missing, empty, not IDX, of an unknown type,
///   without axes or with more than 8, shorter or longer than its extents say, or corrupt gzip.
/// @throws DTypeError for floating numbers read as i64, or a scale and a result not floating.
Tensor read_idx(const std::string& path, const IdxOptions& options = {});
/// The same for bytes in memory; `name` stands for the path in messages.
Tensor decode_idx(std::span<const std::byte> bytes, const std::string& name = "memory",
                  const IdxOptions& options = {});

/// Writes an i64 tensor of 1 to 8 axes and values 0…255 as IDX type 0x08 (u8); as gzip when `path`
/// ends in ".gz". `path` appears whole or not at all: a temporary file beside it is renamed.
/// @throws DTypeError for other dtypes. @throws ShapeError for rank 0 or an extent over 2³² − 1.
/// @throws ValueError for a value outside 0…255. @throws DataError when it cannot be written.
void write_idx(const std::string& path, const Tensor& t);

}  // namespace xtape::data
