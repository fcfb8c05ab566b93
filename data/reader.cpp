#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <new>
#include <random>
#include <system_error>
#define ZLIB_CONST  // next_in is const
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
  std::string s = ".part-";  // not that of io/, whose writers lock theirs and remove others'
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

void end_inflater(z_stream* stream) {
  inflateEnd(stream);
  delete stream;
}

}  // namespace

Reader::Reader(const std::string& path)
    : path_(path), file_(nullptr, gzclose_r), inflater_(nullptr, end_inflater) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) throw DataError(path, "is a folder: name a file in it");
  errno = 0;
  file_.reset(gzopen(path.c_str(), "rb"));
  if (!file_) throw DataError(path, "cannot be opened: " + system_text(errno));
  gzbuffer(file_.get(), 1U << 17);
}

Reader::Reader(std::span<const std::byte> bytes, std::string name)
    : path_(std::move(name)),
      file_(nullptr, gzclose_r),
      bytes_(bytes),
      size_(bytes.size()),
      inflater_(nullptr, end_inflater) {
  if (!at_gzip_member()) return;
  auto stream = std::make_unique<z_stream>();
  if (inflateInit2(stream.get(), 15 + 16) != Z_OK) throw std::bad_alloc();
  inflater_.reset(stream.release());
}

bool Reader::at_gzip_member() const {
  return bytes_.size() > 1 && bytes_[0] == std::byte{0x1f} && bytes_[1] == std::byte{0x8b};
}

std::size_t Reader::read(void* out, std::size_t n) {
  if (file_) return read_file(out, n);
  if (inflater_) return inflate_bytes(out, n);
  n = std::min(n, bytes_.size());
  if (n > 0) std::memcpy(out, bytes_.data(), n);
  bytes_ = bytes_.subspan(n);
  return n;
}

// As gzread: several members are one stream, and what follows them is not looked at.
std::size_t Reader::inflate_bytes(void* out, std::size_t n) {
  z_stream& z = *inflater_;
  std::size_t done = 0;
  while (done < n && !inflated_) {
    const auto given = static_cast<uInt>(std::min(bytes_.size(), kMaxCall));
    const auto room = static_cast<uInt>(std::min(n - done, kMaxCall));
    z.next_in = reinterpret_cast<const Bytef*>(bytes_.data());
    z.avail_in = given;
    z.next_out = static_cast<Bytef*>(out) + done;
    z.avail_out = room;
    const int code = inflate(&z, Z_NO_FLUSH);
    bytes_ = bytes_.subspan(given - z.avail_in);
    done += room - z.avail_out;
    if (code == Z_STREAM_END) {
      inflated_ = !at_gzip_member() || inflateReset(&z) != Z_OK;
    } else if (code == Z_BUF_ERROR || (code == Z_OK && z.avail_out > 0 && bytes_.empty())) {
      throw DataError(path_, "is cut off inside its gzip stream");
    } else if (code != Z_OK) {
      throw DataError(path_,
                      std::string("is a corrupt gzip file: ") + (z.msg ? z.msg : "unknown reason"));
    }
  }
  return done;
}

std::size_t Reader::read_file(void* out, std::size_t n) {
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
  if (!file_) return inflater_ ? std::nullopt : std::optional<std::uint64_t>(size_);
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
