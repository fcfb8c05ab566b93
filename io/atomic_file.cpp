#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <random>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include <xtape/autodiff/error.hpp>
#include <xtape/io/atomic_file.hpp>

namespace xtape::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = ".tmp-";
constexpr std::size_t kDigitCount = 12;
constexpr char kDigits[] = "0123456789abcdef";

// The random name keeps two writers of one path out of each other's way.
std::string random_suffix() {
  std::random_device device;
  std::string s(kMark);
  for (std::size_t i = 0; i < kDigitCount; ++i) s += kDigits[device() % 16];
  return s;
}

bool is_temporary(std::string_view name, std::string_view prefix) {
  const std::size_t tail = kMark.size() + kDigitCount;
  return name.size() >= prefix.size() + tail && name.starts_with(prefix) &&
         name.substr(name.size() - tail, kMark.size()) == kMark &&
         name.substr(name.size() - kDigitCount).find_first_not_of(kDigits) ==
             std::string_view::npos;
}

// Whether `file` is locked by us and still in its folder.
bool claim(int file) {
  struct stat status {};
  return ::flock(file, LOCK_EX | LOCK_NB) == 0 && ::fstat(file, &status) == 0 &&
         status.st_nlink > 0;
}

// 0, or why the entries of the folder of `path` may not be on the disk.
int sync_folder(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  const int folder =
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return errno;
  const int code = ::fsync(folder) == 0 ? 0 : errno;
  ::close(folder);
  return code == EINVAL ? 0 : code;  // a file system that cannot, and needs not
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  while (!create()) {
  }
}

// False when the name was taken, or remove_leftovers() came before the lock: try another.
bool AtomicFile::create() {
  temporary_ = path_ + random_suffix();
  file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file_ < 0 && errno == EEXIST) return false;
  if (file_ < 0) {
    temporary_.clear();
    fail("cannot be written", errno);
  }
  if (claim(file_)) return true;
  discard();
  return false;
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() noexcept {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

void AtomicFile::fail(const std::string& what, int code) {
  discard();
  throw DataError(path_, what + ": " + std::generic_category().message(code));
}

void AtomicFile::write(const void* bytes, std::size_t n) {
  const char* from = static_cast<const char*>(bytes);
  while (n > 0) {
    const ssize_t done = ::write(file_, from, n);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail("cannot be written", errno);
    from += done;
    n -= static_cast<std::size_t>(done);
  }
}

void AtomicFile::commit() {
  if (::fsync(file_) != 0) fail("cannot be written", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be written", errno);
  temporary_.clear();
  discard();
  if (const int code = sync_folder(path_)) {
    fail("is written, but its folder may not be on the disk yet", code);
  }
}

void write_atomically(const std::string& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

std::size_t remove_leftovers(const std::string& folder, std::string_view prefix) {
  std::size_t removed = 0;
  std::error_code error;
  for (fs::directory_iterator it(folder.empty() ? "." : folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string path = it->path().string();
    if (!is_temporary(it->path().filename().string(), prefix)) continue;
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) continue;
    if (claim(file) && ::unlink(path.c_str()) == 0) ++removed;
    ::close(file);
  }
  return removed;
}

}  // namespace xtape::io
