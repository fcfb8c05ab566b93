#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

struct gzFile_s;  // zlib's; its header stays out of ours
struct z_stream_s;

namespace xtape::data::detail {

/// Reads a file from its beginning to its end; one that gzip wrote is decompressed on the way.
/// Which of both it is, its first bytes say, not its name.
class Reader {
 public:
  /// @throws DataError when `path` is missing, a folder, or cannot be opened.
  explicit Reader(const std::string& path);
  /// The same for bytes that stay elsewhere; `name` stands for the path in messages.
  Reader(std::span<const std::byte> bytes, std::string name);

  /// Fills `out` with the next `n` bytes and returns how many there were: fewer at the end only.
  /// @throws DataError when the file cannot be read, or its gzip stream is corrupt or cut off.
  std::size_t read(void* out, std::size_t n);

  /// Bytes in the file when read() gives them unchanged; nothing for gzip and for pipes.
  std::optional<std::uint64_t> plain_size() const;
  const std::string& path() const noexcept { return path_; }

 private:
  std::size_t read_file(void* out, std::size_t n);
  std::size_t inflate_bytes(void* out, std::size_t n);
  bool at_gzip_member() const;

  std::string path_;
  std::unique_ptr<gzFile_s, int (*)(gzFile_s*)> file_;
  std::span<const std::byte> bytes_;                             // not yet read, without a file
  std::size_t size_ = 0;                                         // of all of them
  std::unique_ptr<z_stream_s, void (*)(z_stream_s*)> inflater_;  // for compressed ones
  bool inflated_ = false;                                        // to the end
};

/// Writes `n` bytes to `path` through a temporary file beside it that is then renamed: `path` is
/// the old file or the whole new one, never a part. A name that ends in ".gz" is compressed.
/// @throws DataError when the file cannot be written; the temporary file is gone then.
void write_file(const std::string& path, const void* bytes, std::size_t n);

}  // namespace xtape::data::detail
