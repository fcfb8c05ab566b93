#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

struct gzFile_s;  // zlib's; its header stays out of ours

namespace xtape::data::detail {

/// Reads a file from its beginning to its end; one that gzip wrote is decompressed on the way.
/// Which of both it is, its first bytes say, not its name.
class Reader {
 public:
  /// @throws DataError when `path` is missing, a folder, or cannot be opened.
  explicit Reader(const std::string& path);

  /// Fills `out` with the next `n` bytes and returns how many there were: fewer at the end only.
  /// @throws DataError when the file cannot be read, or its gzip stream is corrupt or cut off.
  std::size_t read(void* out, std::size_t n);

  /// Bytes in the file when read() gives them unchanged; nothing for gzip and for pipes.
  std::optional<std::uint64_t> plain_size() const;
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  std::unique_ptr<gzFile_s, int (*)(gzFile_s*)> file_;
};

/// Writes `n` bytes to `path` through a temporary file beside it that is then renamed: `path` is
/// the old file or the whole new one, never a part. A name that ends in ".gz" is compressed.
/// @throws DataError when the file cannot be written; the temporary file is gone then.
void write_file(const std::string& path, const void* bytes, std::size_t n);

}  // namespace xtape::data::detail
