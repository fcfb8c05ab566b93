#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <xtape/autodiff/tensor.hpp>
#include <xtape/io/safetensors.hpp>

namespace xtape::io {

/// How much a .npz file may hold.
struct NpzOptions {
  /// The most bytes that its arrays may have together, decompressed. 0: the larger of 16 MiB and
  /// 100 times the size of the file, so that a small file cannot fill the memory.
  std::uint64_t max_bytes = 0;
};

/// Writes tensors as NumPy's .npz: a zip archive of `name.npy` for each, as numpy.savez, with
/// `compress` as numpy.savez_compressed. Dates are 1980-01-01: the same content gives the same
/// bytes. `path` appears whole or not at all (AtomicFile).
/// @throws ValueError for a name that is empty, stands twice or is no UTF-8. @throws DataError when
///   it cannot be written, or the library was built without libzip.
void save_npz(const std::string& path, const std::vector<NamedTensor>& tensors,
              bool compress = false);
/// The same bytes in memory.
std::string encode_npz(const std::vector<NamedTensor>& tensors, bool compress = false);

/// Reads a .npz file: each member as load_npy() does, its name without ".npy", in the order of the
/// archive; checksums are compared.
/// @throws DataError naming `path`, the member and the rule that is broken: no zip archive, a
/// member
///   that is no array, stands twice, is encrypted or damaged, or more bytes than allowed; or when
///   the library was built without libzip.
std::vector<NamedTensor> load_npz(const std::string& path, const NpzOptions& options = {});
/// The same for bytes in memory; `name` stands for the path in messages.
std::vector<NamedTensor> decode_npz(std::span<const std::byte> bytes,
                                    const std::string& name = "memory",
                                    const NpzOptions& options = {});

}  // namespace xtape::io
