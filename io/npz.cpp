#include <algorithm>
#include <memory>
#ifdef XTAPE_ZIP
#include <zip.h>
#endif

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/shown.hpp>
#include <xtape/io/atomic_file.hpp>
#include <xtape/io/npy.hpp>
#include <xtape/io/npz.hpp>
#include <xtape/io/source.hpp>

namespace xtape::io {

#ifdef XTAPE_ZIP
namespace {

using xtape::detail::shown;

constexpr std::string_view kEnding = ".npy";
constexpr std::uint64_t kAlwaysAllowed = std::uint64_t{16} << 20;
constexpr std::uint64_t kMaxRatio = 100;
constexpr zip_uint16_t kFirstDosDate = 1 << 5 | 1;  // 1980-01-01

// libzip's error of an operation that has no archive yet.
class ZipError {
 public:
  ZipError() { zip_error_init(&error_); }
  ~ZipError() { zip_error_fini(&error_); }
  ZipError(const ZipError&) = delete;
  ZipError& operator=(const ZipError&) = delete;
  zip_error_t* get() { return &error_; }
  std::string text() { return zip_error_strerror(&error_); }

 private:
  zip_error_t error_;
};

using ZipSource = std::unique_ptr<zip_source_t, decltype(&zip_source_free)>;
using Zip = std::unique_ptr<zip_t, decltype(&zip_discard)>;
using ZipMember = std::unique_ptr<zip_file_t, decltype(&zip_fclose)>;

Zip open(const std::string& path, ZipSource source, ZipError& error) {
  Zip zip(source ? zip_open_from_source(source.get(), ZIP_RDONLY, error.get()) : nullptr,
          zip_discard);
  if (!zip) throw DataError(path, "is no zip archive that can be read: " + error.text());
  source.release();  // the archive's now
  return zip;
}

struct Member {
  std::string name;
  zip_uint64_t index = 0, bytes = 0;
};

// The members of an archive, all looked at before any is decompressed.
std::vector<Member> list(const std::string& path, zip_t* zip, std::uint64_t limit) {
  std::vector<Member> members;
  std::uint64_t total = 0;
  const zip_int64_t n = zip_get_num_entries(zip, 0);
  for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(n); ++i) {
    zip_stat_t stat;
    constexpr zip_uint64_t kWanted = ZIP_STAT_NAME | ZIP_STAT_SIZE;
    if (zip_stat_index(zip, i, ZIP_FL_ENC_GUESS, &stat) != 0 || (stat.valid & kWanted) != kWanted) {
      throw DataError(path,
                      "member " + std::to_string(i) + " cannot be read: " + zip_strerror(zip));
    }
    const std::string_view name = stat.name;
    if (!name.ends_with(kEnding) || name.size() == kEnding.size()) {
      throw DataError(path, "member " + shown(name, 80) + " is no array: must be named *.npy");
    }
    total = stat.size > limit - total ? limit + 1 : total + stat.size;
    if (total > limit) {
      throw DataError(path, "member " + shown(name, 80) + " brings the arrays to more than " +
                                std::to_string(limit) +
                                " bytes: .max_bytes allows more, if you trust the file");
    }
    members.push_back({std::string(name.substr(0, name.size() - kEnding.size())), i, stat.size});
  }
  std::vector<std::string_view> names;
  for (const Member& m : members) names.push_back(m.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) throw DataError(path, "array " + shown(*twice, 80) + " stands twice");
  return members;
}

// The bytes of a member, in memory that grows with what is really there.
std::vector<std::byte> decompress(const std::string& where, zip_t* zip, const Member& member) {
  constexpr std::size_t kChunk = std::size_t{1} << 16;
  const ZipMember file(zip_fopen_index(zip, member.index, 0), zip_fclose);
  if (!file) throw DataError(where, std::string("cannot be read: ") + zip_strerror(zip));
  std::vector<std::byte> bytes;
  while (true) {  // to the end, where libzip compares the checksum
    const std::size_t done = bytes.size();
    if (done > member.bytes) throw DataError(where, "is longer than the archive says");
    bytes.resize(done +
                 std::min<std::size_t>(kChunk, static_cast<std::size_t>(member.bytes) - done + 1));
    const zip_int64_t got = zip_fread(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0) {
      throw DataError(
          where, std::string("is damaged: ") + zip_error_strerror(zip_file_get_error(file.get())));
    }
    bytes.resize(done + static_cast<std::size_t>(got));
    if (got == 0) break;
  }
  if (bytes.size() != member.bytes) throw DataError(where, "is shorter than the archive says");
  return bytes;
}

std::vector<NamedTensor> read(const std::string& path, zip_t* zip, std::uint64_t size,
                              const NpzOptions& options) {
  if (size == 0) throw DataError(path, "is empty: no zip archive");  // libzip would take it for one
  // (A limit below 2^62 keeps the sums in list() in range.)
  const std::uint64_t most = std::uint64_t{1} << 62;
  const std::uint64_t allowed =
      options.max_bytes ? options.max_bytes : std::max(kAlwaysAllowed, kMaxRatio * size);
  std::vector<NamedTensor> tensors;
  for (Member& m : list(path, zip, std::min(allowed, most))) {
    const std::string where = path + ": member " + shown(m.name + std::string(kEnding), 80);
    Tensor t = decode_npy(decompress(where, zip, m), where);
    tensors.push_back({std::move(m.name), std::move(t)});
  }
  return tensors;
}

void add(zip_t* zip, const NamedTensor& t, const std::string& bytes, bool compress) {
  const std::string name = t.name + std::string(kEnding);
  ZipSource source(zip_source_buffer(zip, bytes.data(), bytes.size(), 0), zip_source_free);
  const zip_int64_t index =
      source ? zip_file_add(zip, name.c_str(), source.get(), ZIP_FL_ENC_UTF_8) : -1;
  if (index < 0) {
    throw ValueError("npz", "a tensor named " + shown(t.name, 80) + ": " + zip_strerror(zip));
  }
  source.release();
  const auto at = static_cast<zip_uint64_t>(index);
  zip_set_file_compression(zip, at, compress ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  zip_file_set_dostime(zip, at, 0, kFirstDosDate, 0);
}

std::string contents(zip_source_t* source) {
  if (zip_source_open(source) != 0 || zip_source_seek(source, 0, SEEK_END) != 0) {
    throw DataError("npz", zip_error_strerror(zip_source_error(source)));
  }
  std::string bytes(static_cast<std::size_t>(zip_source_tell(source)), '\0');
  zip_source_seek(source, 0, SEEK_SET);
  const zip_int64_t got = zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  if (got != static_cast<zip_int64_t>(bytes.size())) throw DataError("npz", "cannot be written");
  return bytes;
}

}  // namespace

std::string encode_npz(const std::vector<NamedTensor>& tensors, bool compress) {
  if (tensors.empty()) return std::string("PK\x05\x06") + std::string(18, '\0');  // as zipfile's
  std::vector<std::string> bytes;  // libzip reads them when it closes the archive
  for (const NamedTensor& t : tensors) {
    if (t.name.empty() || t.name.find('\0') != std::string::npos) {
      throw ValueError("npz", "a tensor named " + shown(t.name) +
                                  ": must not be empty or have "
                                  "zero bytes");
    }
    bytes.push_back(encode_npy(t.value));
  }
  ZipError error;
  ZipSource source(zip_source_buffer_create(nullptr, 0, 0, error.get()), zip_source_free);
  Zip zip(source ? zip_open_from_source(source.get(), ZIP_TRUNCATE, error.get()) : nullptr,
          zip_discard);
  if (!zip) throw DataError("npz", error.text());
  zip_source_keep(source.get());
  for (std::size_t i = 0; i < tensors.size(); ++i) add(zip.get(), tensors[i], bytes[i], compress);
  if (zip_close(zip.get()) != 0) throw DataError("npz", zip_strerror(zip.get()));
  zip.release();
  return contents(source.get());
}

std::vector<NamedTensor> load_npz(const std::string& path, const NpzOptions& options) {
  const std::uint64_t size = detail::Source(path).size();  // throws unless it is a regular file
  ZipError error;
  const Zip zip = open(
      path, {zip_source_file_create(path.c_str(), 0, -1, error.get()), zip_source_free}, error);
  return read(path, zip.get(), size, options);
}

std::vector<NamedTensor> decode_npz(std::span<const std::byte> bytes, const std::string& name,
                                    const NpzOptions& options) {
  ZipError error;
  const Zip zip = open(
      name, {zip_source_buffer_create(bytes.data(), bytes.size(), 0, error.get()), zip_source_free},
      error);
  return read(name, zip.get(), bytes.size(), options);
}

#else

namespace {
[[noreturn]] void throw_no_zip(const std::string& where) {
  throw DataError(where,
                  "xtape was built without libzip, which .npz needs: install it (Debian: "
                  "libzip-dev) and configure with XTAPE_WITH_ZIP=ON");
}
}  // namespace

std::string encode_npz(const std::vector<NamedTensor>&, bool) { throw_no_zip("npz"); }
std::vector<NamedTensor> load_npz(const std::string& path, const NpzOptions&) {
  throw_no_zip(path);
}
std::vector<NamedTensor> decode_npz(std::span<const std::byte>, const std::string& name,
                                    const NpzOptions&) {
  throw_no_zip(name);
}

#endif

void save_npz(const std::string& path, const std::vector<NamedTensor>& tensors, bool compress) {
  const std::string bytes = encode_npz(tensors, compress);
  write_atomically(path, std::as_bytes(std::span(bytes)));
}

}  // namespace xtape::io
