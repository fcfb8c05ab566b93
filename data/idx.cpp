#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include <xtape/autodiff/error.hpp>
#include <xtape/data/idx.hpp>
#include <xtape/data/reader.hpp>

namespace xtape::data {
namespace {

using Bytes = std::vector<unsigned char>;

// A multiple of every element size, so that no element lies across two chunks.
constexpr std::size_t kChunk = std::size_t{1} << 20;

struct IdxType {
  unsigned char code;
  const char* name;
  std::size_t bytes;
  DType dtype;
};
constexpr std::array<IdxType, 6> kTypes{{{0x08, "u8", 1, i64},
                                         {0x09, "i8", 1, i64},
                                         {0x0B, "i16", 2, i64},
                                         {0x0C, "i32", 4, i64},
                                         {0x0D, "f32", 4, f32},
                                         {0x0E, "f64", 8, f64}}};

struct Header {
  const IdxType* type = nullptr;
  Shape shape;
  std::uint64_t header_bytes = 0, body_bytes = 0;
};

std::string hex(unsigned v) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return {kDigits[v / 16 % 16], kDigits[v % 16]};
}

// The unsigned number in `n` bytes, most significant first.
std::uint64_t big_endian(const unsigned char* p, std::size_t n) {
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < n; ++i) v = v << 8 | p[i];
  return v;
}

const IdxType& find_type(const std::string& path, unsigned char code) {
  for (const IdxType& t : kTypes) {
    if (t.code == code) return t;
  }
  std::string known;
  for (const IdxType& t : kTypes) {
    known += (known.empty() ? "0x" : ", 0x") + hex(t.code) + " (" + t.name + ")";
  }
  throw DataError(path, "IDX type 0x" + hex(code) + " is unknown: must be one of " + known);
}

// Bytes that `shape` needs. Axes of extent 0 count as 1, which keeps the product of any of the
// extents in range, not only that of all.
std::uint64_t body_bytes(const std::string& path, const Shape& shape, std::size_t element) {
  constexpr auto kLimit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / 8;
  std::uint64_t n = 1;
  for (const std::int64_t d : shape) {
    const auto extent = static_cast<std::uint64_t>(std::max<std::int64_t>(d, 1));
    if (extent > kLimit / n) {
      throw DataError(path,
                      "the extents " + shape.str() + " multiply to more than memory can hold");
    }
    n *= extent;
  }
  return static_cast<std::uint64_t>(shape.size()) * element;
}

Header read_header(detail::Reader& file) {
  std::array<unsigned char, 4> magic{};
  const std::size_t got = file.read(magic.data(), magic.size());
  if (got == 0) throw DataError(file.path(), "is empty: an IDX file starts with a 4-byte magic");
  if (magic[0] || (got > 1 && magic[1])) {
    throw DataError(file.path(), "starts with bytes " + hex(magic[0]) + " " + hex(magic[1]) +
                                     ": an IDX file starts with 00 00");
  }
  if (got < magic.size()) {
    throw DataError(file.path(), "ends inside the 4-byte magic of IDX");
  }
  Header h;
  h.type = &find_type(file.path(), magic[2]);
  const std::size_t rank = magic[3];
  if (rank == 0 || rank > kMaxRank) {
    throw DataError(file.path(), "has " + std::to_string(rank) + " axes: must have 1 to " +
                                     std::to_string(kMaxRank));
  }
  std::array<unsigned char, 4 * kMaxRank> extents{};
  if (file.read(extents.data(), 4 * rank) < 4 * rank) {
    throw DataError(file.path(), "ends inside the " + std::to_string(rank) + " extents of IDX");
  }
  for (std::size_t i = 0; i < rank; ++i) {
    h.shape.push_back(static_cast<std::int64_t>(big_endian(extents.data() + 4 * i, 4)));
  }
  h.header_bytes = 4 + 4 * rank;
  h.body_bytes = body_bytes(file.path(), h.shape, h.type->bytes);
  return h;
}

[[noreturn]] void throw_length(const std::string& path, const Header& h, const std::string& has) {
  throw DataError(path, "extents " + h.shape.str() + " of " + h.type->name + " need " +
                            std::to_string(h.body_bytes) + " bytes of data, the file has " + has);
}

// The body, in chunks taken one by one as the data arrives: a header that lies about a gzip file
// costs one chunk, not what it claims.
std::vector<Bytes> read_body(detail::Reader& file, const Header& h) {
  if (const auto size = file.plain_size(); size && *size != h.header_bytes + h.body_bytes) {
    throw_length(file.path(), h, std::to_string(*size - std::min(*size, h.header_bytes)));
  }
  std::vector<Bytes> chunks;
  for (std::uint64_t done = 0; done < h.body_bytes;) {
    Bytes chunk(static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, h.body_bytes - done)));
    const std::size_t got = file.read(chunk.data(), chunk.size());
    done += got;
    if (got < chunk.size()) throw_length(file.path(), h, std::to_string(done));
    chunks.push_back(std::move(chunk));
  }
  // This read also makes zlib compare the checksum at the end of a gzip stream.
  if (char extra = 0; file.read(&extra, 1)) throw_length(file.path(), h, "more: trailing bytes");
  return chunks;
}

// One element as the number it is; N: the type of the file.
template <class N>
N decode(const unsigned char* p) {
  const std::uint64_t v = big_endian(p, sizeof(N));
  if constexpr (std::is_same_v<N, float>)
    return std::bit_cast<float>(static_cast<std::uint32_t>(v));
  if constexpr (std::is_same_v<N, double>) return std::bit_cast<double>(v);
  return static_cast<N>(v);
}

template <class N, class T>
T* convert(const Bytes& chunk, double scale, T* out) {
  for (std::size_t i = 0; i < chunk.size(); i += sizeof(N)) {
    const N v = decode<N>(chunk.data() + i);
    if constexpr (std::is_same_v<T, bool>) {
      *out++ = v != N{0};
    } else if constexpr (std::is_floating_point_v<T>) {
      *out++ = static_cast<T>(static_cast<double>(v) * scale);
    } else {
      *out++ = static_cast<T>(v);
    }
  }
  return out;
}

template <class T>
T* convert(unsigned char code, const Bytes& chunk, double scale, T* out) {
  switch (code) {
    case 0x08:
      return convert<std::uint8_t>(chunk, scale, out);
    case 0x09:
      return convert<std::int8_t>(chunk, scale, out);
    case 0x0B:
      return convert<std::int16_t>(chunk, scale, out);
    case 0x0C:
      return convert<std::int32_t>(chunk, scale, out);
    default:
      break;
  }
  if constexpr (!std::is_same_v<T, std::int64_t>) {
    return code == 0x0D ? convert<float>(chunk, scale, out) : convert<double>(chunk, scale, out);
  }
  return out;
}

void put_u32(Bytes& out, std::uint64_t v) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<unsigned char>(v >> shift));
}

Tensor read(detail::Reader& file, const IdxOptions& options) {
  if (options.scale != 1 && options.dtype && !is_floating(*options.dtype)) {
    throw DTypeError("read_idx", std::string("a scale and dtype ") + name(*options.dtype) +
                                     ": scaled numbers need f32 or f64");
  }
  const Header h = read_header(file);
  const DType dtype = options.dtype.value_or(h.type->dtype);
  if (options.scale != 1 && !is_floating(dtype)) {
    throw DTypeError("read_idx", std::string("a scale, and a file of ") + h.type->name +
                                     ": ask for dtype f32 or f64");
  }
  if (dtype == i64 && is_floating(h.type->dtype)) {
    throw DTypeError("read_idx", std::string("a file of ") + h.type->name +
                                     " read as i64 would lose fractions: ask for f32 or f64");
  }
  std::vector<Bytes> chunks = read_body(file, h);
  Tensor t = Tensor::empty(h.shape, dtype);
  dispatch(dtype, [&](auto zero) {
    auto* out = static_cast<decltype(zero)*>(t.raw());
    for (Bytes& chunk : chunks) {
      out = convert(h.type->code, chunk, options.scale, out);
      Bytes().swap(chunk);  // its memory is not needed while the next pages of `t` are touched
    }
  });
  return t;
}

}  // namespace

Tensor read_idx(const std::string& path, const IdxOptions& options) {
  detail::Reader file(path);
  return read(file, options);
}

Tensor decode_idx(std::span<const std::byte> bytes, const std::string& name,
                  const IdxOptions& options) {
  detail::Reader file(bytes, name);
  return read(file, options);
}

void write_idx(const std::string& path, const Tensor& t) {
  if (t.dtype() != i64) {
    throw DTypeError("write_idx", std::string("a tensor of ") + name(t.dtype()) +
                                      ": IDX bytes are written from i64");
  }
  if (t.rank() == 0) throw ShapeError("write_idx", "rank 0: must have 1 to 8 axes");
  Bytes out{0, 0, 0x08, static_cast<unsigned char>(t.rank())};
  for (const std::int64_t d : t.shape()) {
    if (d > std::numeric_limits<std::uint32_t>::max()) {
      throw ShapeError("write_idx", "shape " + t.shape().str() + ": extents must be below 2^32");
    }
    put_u32(out, static_cast<std::uint64_t>(d));
  }
  out.reserve(out.size() + static_cast<std::size_t>(t.size()));
  for (const std::int64_t v : t.span<std::int64_t>()) {
    if (v < 0 || v > 255) {
      throw ValueError("write_idx", "value " + std::to_string(v) + ": must be in 0 to 255");
    }
    out.push_back(static_cast<unsigned char>(v));
  }
  detail::write_file(path, out.data(), out.size());
}

}  // namespace xtape::data
