#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <xtape/autodiff/tensor.hpp>

namespace xtape::io {

/// Free text that travels with tensors.
using Metadata = std::map<std::string, std::string>;

/// A tensor and what it is called in a file.
struct NamedTensor {
  std::string name;  ///< Any UTF-8 text.
  Tensor value;      ///< Any shape and dtype.
};

/// What a safetensors file holds.
struct Safetensors {
  std::vector<NamedTensor> tensors;  ///< In the order of their data.
  Metadata metadata;                 ///< The file's `__metadata__`.
  /// The tensor of that name. @throws ValueError when there is none.
  const Tensor& at(const std::string& name) const;
};

/// What reading makes of dtypes that no Tensor has.
struct SafetensorsOptions {
  bool half_to_f32 = false;  ///< F16 and BF16 become f32, exactly; without it they are refused.
};

/// Writes tensors in the safetensors format, version of the Rust crate 0.4: an 8-byte length, a
/// JSON header padded to a multiple of 8 bytes, the elements, little-endian and row-major. Dtypes:
/// f32 → F32, f64 → F64, i64 → I64, boolean → BOOL. Tensors stand in the order of the reference:
/// larger dtypes first (I64, F64, F32, BOOL), then by name, which aligns every element; metadata by
/// key. The same content gives the same bytes. `path` appears whole or not at all (AtomicFile).
/// @throws ValueError for a name that stands twice, is no UTF-8 or is `__metadata__`, an empty
///   tensor handle, and a header beyond 100 MB. @throws DataError when it cannot be written.
void save_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                      const Metadata& metadata = {});
/// The same bytes in memory.
std::string encode_safetensors(const std::vector<NamedTensor>& tensors,
                               const Metadata& metadata = {});

/// Reads a safetensors file. Everything that the header says is checked before memory for tensors
/// is taken: its length (at most 100 MB, as the reference), JSON with these fields and no others
/// and no key twice, known dtypes, at most 8 axes, products of extents that do not overflow,
/// offsets that fit shape and dtype and cover the data without gap or overlap to the last byte;
/// then that BOOL elements are 0 or 1.
/// @throws DataError naming `path`, the key and the rule that is broken, or the dtype that no
/// Tensor
///   has.
Safetensors load_safetensors(const std::string& path, const SafetensorsOptions& options = {});
/// The same for bytes in memory; `name` stands for the path in messages.
Safetensors decode_safetensors(std::span<const std::byte> bytes, const std::string& name = "memory",
                               const SafetensorsOptions& options = {});

}  // namespace xtape::io
