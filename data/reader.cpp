#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <random>
#include <system_error>
#include <zlib.h>

#include <xtape/autodiff/error.hpp>
#include <xtape/data/reader.hpp>

namespace xtape::data::detail {
namespace {

namespace fs = std::filesystem;

// gzread and gzwrite count in int.
constexpr std::size_t kMaxCall = std::size_t{1} << 30;

std::string system_text(int code) {
  return code ? std::generic_category().message(code) : "unknown reason";
}

std::string random_suffix() {
  constexpr char kDigits[] = "0123456789abcdef";
  std::random_device device;
  std::string s = ".tmp-";
  for (int i = 0; i < 12; ++i) s += kDigits[device() % 16];
  return s;
}

// Writes all of it and closes; false leaves the reason in errno, or 0 there.
bool write_all(const std::string& path, bool compress, const char* bytes, std::size_t n) {
  errno = 0;
  gzFile file = gzopen(path.c_str(), compress ? "wb6" : "wbT");
  if (!file) return false;
  bool good = true;
  while (good && n) {
    const auto part = static_cast<unsigned>(std::min(n, kMaxCall));
    good = gzwrite(file, bytes, part) == static_cast<int>(part);
    bytes += part;
    n -= part;
  }
  return (gzclose(file) == Z_OK) && good;
}

}  // namespace

Reader::Reader(const std::string& path) : path_(path), file_(nullptr, gzclose_r) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) throw DataError(path, "is a folder: name a file in it");
  errno = 0;
  file_.reset(gzopen(path.c_str(), "rb"));
  if (!file_) throw DataError(path, "cannot be opened: " + system_text(errno));
  gzbuffer(file_.get(), 1U << 17);
}

std::size_t Reader::read(void* out, std::size_t n) {
  std::size_t done = 0;
  while (done < n) {
    errno = 0;
    const auto part = static_cast<unsigned>(std::min(n - done, kMaxCall));
    const int got = gzread(file_.get(), static_cast<char*>(out) + done, part);
    int code = Z_OK;
    std::string text = gzerror(file_.get(), &code);
    if (code == Z_BUF_ERROR) throw DataError(path_, "is cut off inside its gzip stream");
    if (code == Z_ERRNO) throw DataError(path_, "cannot be read: " + system_text(errno));
    if (got < 0 || code != Z_OK) {
      if (text.starts_with(path_ + ": ")) text.erase(0, path_.size() + 2);
      throw DataError(path_, "is a corrupt gzip file: " + text);
    }
    done += static_cast<std::size_t>(got);
    if (static_cast<unsigned>(got) < part) break;
  }
  return done;
}

std::optional<std::uint64_t> Reader::plain_size() const {
  std::error_code error;
  if (!fs::is_regular_file(path_, error) || error || !gzdirect(file_.get())) return std::nullopt;
  const std::uintmax_t size = fs::file_size(path_, error);
  return error ? std::nullopt : std::optional<std::uint64_t>(size);
}

void write_file(const std::string& path, const void* bytes, std::size_t n) {
  // The random name keeps two writers of one path out of each other's way.
  const std::string temporary = path + random_suffix();
  std::error_code error, ignored;
  if (!write_all(temporary, path.ends_with(".gz"), static_cast<const char*>(bytes), n)) {
    const std::string why = system_text(errno);
    fs::remove(temporary, ignored);
    throw DataError(path, "cannot be written: " + why);
  }
  fs::rename(temporary, path, error);
  if (error) {
    fs::remove(temporary, ignored);
    throw DataError(path, "cannot be written: " + error.message());
  }
}

}  // namespace xtape::data::detail
