#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace xtape::io {

/// Writes a file that appears whole or not at all.
///
/// The bytes go to a temporary file in the same folder; commit() brings them to the disk (fsync),
/// renames the file to `path` and brings the folder to the disk. Whoever looks at `path` at any
/// instant, also after a crash or a kill, finds the old file or the new one. Where `path` is a
/// symbolic link, the link is replaced.
///
/// The temporary file is locked (flock) while it is written: one that nobody locks was left behind
/// by a process that died, see remove_leftovers().
class AtomicFile {
 public:
  /// Makes the temporary file. @throws DataError naming `path` and the system's reason.
  explicit AtomicFile(std::string path);
  /// Without commit() the temporary file is removed and `path` is as it was.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends. @throws DataError naming `path` and the system's reason.
  void write(const void* bytes, std::size_t n);
  /// Appends.
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// Puts the file in its place; call it once. @throws DataError naming `path` and the system's
  /// reason; `path` is as it was then, unless the text says that only the folder's fsync failed.
  void commit();

 private:
  [[noreturn]] void fail(const std::string& what, int code);
  bool create();
  void discard() noexcept;

  std::string path_, temporary_;
  int file_ = -1;
};

/// Writes `bytes` as the whole of `path`, through an AtomicFile.
/// @throws DataError naming `path` and the system's reason; `path` is as it was then.
void write_atomically(const std::string& path, std::span<const std::byte> bytes);

/// Removes the temporary files in `folder` that writers of files named `prefix…` left behind when
/// they died. Those of living writers stay, also of other processes. Returns how many were removed.
std::size_t remove_leftovers(const std::string& folder, std::string_view prefix);

}  // namespace xtape::io
