#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include <xtape/autodiff/error.hpp>
#include <xtape/io/source.hpp>

namespace xtape::io::detail {

Source::Source(const std::string& path) : name_(path) {
  // (Non-blocking: a pipe without a writer would wait for ever.)
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file_ < 0) {
    throw DataError(path, "cannot be opened: " + std::generic_category().message(errno));
  }
  struct stat status {};
  if (::fstat(file_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(file_);
    throw DataError(path, "is no regular file");
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

Source::~Source() {
  if (file_ >= 0) ::close(file_);
}

void Source::read(std::uint64_t offset, void* out, std::size_t n) const {
  if (offset > size_ || n > size_ - offset) {
    throw DataError(name_, "ends at byte " + std::to_string(size_) + ", bytes to " +
                               std::to_string(offset + n) + " were expected");
  }
  if (file_ < 0) {
    if (n > 0) std::memcpy(out, bytes_.data() + offset, n);
    return;
  }
  auto* to = static_cast<char*>(out);
  while (n > 0) {
    const ssize_t got = ::pread(file_, to, n, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw DataError(name_, "cannot be read: " + std::generic_category().message(errno));
    }
    if (got == 0) throw DataError(name_, "became shorter while it was read");
    to += got;
    offset += static_cast<std::uint64_t>(got);
    n -= static_cast<std::size_t>(got);
  }
}

}  // namespace xtape::io::detail
