#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <xtape/io/safetensors.hpp>
#include <xtape/io/source.hpp>

namespace xtape::io::detail {

/// A dtype of the format, and ours that stores it where there is one.
struct FileType {
  const char* name;
  std::uint64_t bytes;
  std::optional<DType> dtype;
  bool half() const { return bytes == 2 && dtype == f32; }
};
/// Null for a name that the format does not have.
const FileType* find_type(std::string_view name);
const FileType& type_of(DType dtype);

/// One tensor of a header; offsets count from the end of the header.
struct Entry {
  std::string name;
  const FileType* type = nullptr;
  Shape shape;
  std::uint64_t begin = 0, end = 0;
};

struct Header {
  std::vector<Entry> entries;  // by offset
  Metadata metadata;
  std::uint64_t data_begin = 0;
};

/// The longest header, in bytes: that of the reference.
inline constexpr std::uint64_t kMaxHeader = 100'000'000;

/// The JSON text of a header, not padded.
std::string header_text(const std::vector<Entry>& entries, const Metadata& metadata);
/// Reads and checks. @throws DataError as load_safetensors.
Header read_header(const Source& source);
/// Reads the JSON of a header; its entries as they stand there. @throws DataError
Header parse_header(const std::string& path, std::string_view text);
/// @throws DataError unless a Tensor can store it, or `half` and it is F16 or BF16.
void check_stored(const std::string& path, const Entry& entry, bool half);
/// The elements of an entry that check_stored() let pass.
Tensor read_tensor(const Source& source, const Header& header, const Entry& entry);

/// Entries with offsets for `tensors`, and these in the order of the file. @throws ValueError
std::vector<Entry> plan(const std::string& path, std::vector<NamedTensor>& tensors);
/// Length and padded header. @throws ValueError for one that is too long.
std::string framed(const std::string& path, std::string header);
/// Length, header and elements, handed to `out(bytes, n)` one after the other.
template <class Out>
void write_parts(const std::string& path, std::vector<NamedTensor> tensors,
                 const Metadata& metadata, Out&& out) {
  const std::string head = framed(path, header_text(plan(path, tensors), metadata));
  out(head.data(), head.size());
  for (const NamedTensor& t : tensors) out(t.value.raw(), t.value.nbytes());
}

}  // namespace xtape::io::detail
