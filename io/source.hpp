#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace xtape::io::detail {

static_assert(std::endian::native == std::endian::little,
              "the files of io/ are little-endian and read without swapping bytes");

/// A file, or bytes in memory, read at any offset.
class Source {
 public:
  /// @throws DataError when `path` is missing, no regular file, or cannot be opened.
  explicit Source(const std::string& path);
  /// Bytes that stay elsewhere; `name` stands for the path in messages.
  Source(std::span<const std::byte> bytes, std::string name)
      : name_(std::move(name)), bytes_(bytes), size_(bytes.size()) {}
  ~Source();
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  const std::string& name() const noexcept { return name_; }
  std::uint64_t size() const noexcept { return size_; }
  /// Bytes [offset, offset + n). @throws DataError when they cannot be read or are not there.
  void read(std::uint64_t offset, void* out, std::size_t n) const;

 private:
  std::string name_;
  std::span<const std::byte> bytes_;
  std::uint64_t size_ = 0;
  int file_ = -1;
};

/// Calls f(bytes) for [offset, offset + n), a chunk of a multiple of 8 bytes at a time.
template <class F>
void for_each_chunk(const Source& source, std::uint64_t offset, std::uint64_t n, F&& f) {
  constexpr std::uint64_t kChunk = std::uint64_t{1} << 16;
  std::vector<std::byte> chunk(static_cast<std::size_t>(std::min(kChunk, n)));
  while (n > 0) {
    const auto part = static_cast<std::size_t>(std::min(kChunk, n));
    source.read(offset, chunk.data(), part);
    f(std::span<const std::byte>(chunk.data(), part));
    offset += part;
    n -= part;
  }
}

/// Calls f(element) for `count` numbers of type N from `offset` on.
template <class N, class F>
void for_each_element(const Source& source, std::uint64_t offset, std::uint64_t count, F&& f) {
  for_each_chunk(source, offset, count * sizeof(N), [&](std::span<const std::byte> chunk) {
    for (std::size_t i = 0; i < chunk.size(); i += sizeof(N)) {
      N v;
      std::memcpy(&v, chunk.data() + i, sizeof(N));
      f(v);
    }
  });
}

}  // namespace xtape::io::detail
