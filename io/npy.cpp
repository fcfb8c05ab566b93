#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/shown.hpp>
#include <xtape/io/atomic_file.hpp>
#include <xtape/io/extents.hpp>
#include <xtape/io/half.hpp>
#include <xtape/io/npy.hpp>
#include <xtape/io/source.hpp>

namespace xtape::io {
namespace {

using detail::Source;
using xtape::detail::shown;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = 10'000;  // numpy.lib.format's max_header_size
constexpr std::size_t kAlign = 64;          // of the elements in the file

struct NpyType {
  std::string_view descr;
  std::uint64_t bytes;
  DType dtype;
};
constexpr std::array<NpyType, 12> kTypes{{{"<f4", 4, f32},
                                          {"<f8", 8, f64},
                                          {"<i8", 8, i64},
                                          {"|b1", 1, boolean},
                                          {"<f2", 2, f32},
                                          {"|i1", 1, i64},
                                          {"|u1", 1, i64},
                                          {"<i2", 2, i64},
                                          {"<u2", 2, i64},
                                          {"<i4", 4, i64},
                                          {"<u4", 4, i64},
                                          {"<u8", 8, i64}}};

std::string_view descr_of(DType t) {
  return t == f32 ? "<f4" : t == f64 ? "<f8" : t == i64 ? "<i8" : "|b1";
}

struct NpyHeader {
  const NpyType* type = nullptr;
  bool fortran_order = false;
  Shape shape;
  std::uint64_t data_begin = 0;
};

// The dictionary of a header, a Python literal of three known keys.
class HeaderParser {
 public:
  HeaderParser(const std::string& path, std::string_view text) : path_(path), text_(text) {}

  NpyHeader parse() {
    expect('{');
    unsigned seen = 0;
    while (!accept('}')) {
      const std::string_view key = quoted();
      const unsigned bit = key == "descr" ? 1 : key == "fortran_order" ? 2 : key == "shape" ? 4 : 0;
      if (!bit) fail("has a key " + shown(key) + ": must be descr, fortran_order and shape");
      if (seen & bit) fail("has the key " + shown(key) + " twice");
      seen |= bit;
      expect(':');
      if (bit == 1) descr();
      if (bit == 2) fortran_order();
      if (bit == 4) shape();
      if (accept(',')) continue;
      expect('}');
      break;
    }
    if (seen != 7) fail("lacks a key: must have descr, fortran_order and shape");
    skip_blanks();
    if (text_.substr(at_) != "\n") fail("must end in '}', spaces and a line feed");
    return header_;
  }

 private:
  [[noreturn]] void fail(const std::string& rule) const {
    throw DataError(path_, "the header " + rule + " (at its byte " + std::to_string(at_) + ")");
  }
  void skip_blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool accept(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(std::string("has no '") + c + "' where one must be");
  }
  std::string_view quoted() {
    skip_blanks();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') fail("has no text in quotes where one must be");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("has a text without its closing quote");
    const std::string_view s = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return s;
  }
  void descr() {
    skip_blanks();
    if (at_ < text_.size() && text_[at_] == '[') {
      fail("says that elements are structures: must be numbers");
    }
    const std::string_view descr = quoted();
    for (const NpyType& t : kTypes) {
      if (t.descr == descr) header_.type = &t;
    }
    if (header_.type) return;
    std::string known;
    for (const NpyType& t : kTypes) known += (known.empty() ? "" : ", ") + std::string(t.descr);
    fail("says that elements are " + shown(descr) + ": must be one of " + known);
  }
  void fortran_order() {
    skip_blanks();
    const std::string_view rest = text_.substr(at_);
    header_.fortran_order = rest.starts_with("True");
    if (!header_.fortran_order && !rest.starts_with("False")) {
      fail("has a fortran_order that is neither True nor False");
    }
    at_ += header_.fortran_order ? 4 : 5;
  }
  // (), (3,), (3, 4) and (3, 4,), but not (3), which is a number.
  void shape() {
    expect('(');
    bool comma = true;
    while (!accept(')')) {
      if (!comma) fail("has a shape without ',' between its extents");
      if (header_.shape.rank() == kMaxRank) {
        fail("has a shape of more than " + std::to_string(kMaxRank) + " axes");
      }
      header_.shape.push_back(extent());
      comma = accept(',');
    }
    if (header_.shape.rank() == 1 && !comma) fail("has a shape that is a number, not a tuple");
  }
  std::int64_t extent() {
    skip_blanks();
    std::int64_t v = -1;
    const char* const first = text_.data() + at_;
    const auto [end, code] = std::from_chars(first, text_.data() + text_.size(), v);
    if (code != std::errc() || v < 0) fail("has an extent that is no integer from 0 to 2^63 - 1");
    at_ += static_cast<std::size_t>(end - first);
    return v;
  }

  const std::string& path_;
  std::string_view text_;
  std::size_t at_ = 0;
  NpyHeader header_;
};

NpyHeader read_header(const Source& source) {
  std::array<char, 8> start{};
  if (source.size() < start.size()) {
    throw DataError(source.name(), "has " + std::to_string(source.size()) +
                                       " bytes: a .npy file begins with 8 of magic and version");
  }
  source.read(0, start.data(), start.size());
  if (std::string_view(start.data(), kMagic.size()) != kMagic) {
    throw DataError(source.name(), "begins with " + shown({start.data(), kMagic.size()}) +
                                       ": a .npy file begins with '\\x93NUMPY'");
  }
  const int major = static_cast<unsigned char>(start[6]);
  const int minor = static_cast<unsigned char>(start[7]);
  if (major < 1 || major > 3 || minor != 0) {
    throw DataError(source.name(), "is of version " + std::to_string(major) + "." +
                                       std::to_string(minor) + ": must be 1.0, 2.0 or 3.0");
  }
  std::uint32_t length = 0;
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  source.read(start.size(), &length, length_bytes);
  if (length > kMaxHeader) {
    throw DataError(source.name(), "says its header has " + std::to_string(length) +
                                       " bytes: must be at most " + std::to_string(kMaxHeader));
  }
  std::string text(length, '\0');
  source.read(start.size() + length_bytes, text.data(), text.size());
  NpyHeader header = HeaderParser(source.name(), text).parse();
  header.data_begin = start.size() + length_bytes + length;
  const std::uint64_t rest = source.size() - header.data_begin;
  const auto bytes = detail::checked_bytes(header.shape, header.type->bytes);
  if (!bytes || *bytes != rest) {
    throw DataError(source.name(), "shape " + header.shape.str() + " of " +
                                       std::string(header.type->descr) + " needs " +
                                       (bytes ? std::to_string(*bytes) : "more than 2^60") +
                                       " bytes of data, the file has " + std::to_string(rest));
  }
  return header;
}

// Where the k-th element of the file goes, k = 0, 1, …: to k, or, in Fortran order, where the first
// index runs fastest, by counting indices.
class Places {
 public:
  explicit Places(const NpyHeader& h) : shape_(h.shape), counts_(h.fortran_order) {
    std::int64_t step = 1;
    for (int i = 0; i < shape_.rank(); ++i) strides_.push_back(0), index_.push_back(0);
    for (int i = shape_.rank() - 1; i >= 0; --i) {
      strides_[i] = step;
      step *= shape_[i];
    }
  }
  std::int64_t next() {
    const std::int64_t here = place_;
    if (!counts_) return ++place_, here;
    for (int i = 0; i < shape_.rank(); ++i) {
      place_ += strides_[i];
      if (++index_[i] < shape_[i]) break;
      place_ -= strides_[i] * shape_[i];
      index_[i] = 0;
    }
    return here;
  }

 private:
  Shape shape_;
  Dims strides_, index_;
  bool counts_;
  std::int64_t place_ = 0;
};

// Elements of type N in the file, converted by f(N, k) for the k-th of the file.
template <class N, class T, class F>
void fill(const Source& source, const NpyHeader& h, T* out, F&& f) {
  Places places(h);
  std::int64_t k = 0;
  detail::for_each_element<N>(source, h.data_begin, static_cast<std::uint64_t>(h.shape.size()),
                              [&](N v) { out[places.next()] = f(v, k++); });
}

template <class N>
void fill_integers(const Source& source, const NpyHeader& h, std::int64_t* out) {
  fill<N>(source, h, out, [&](N v, std::int64_t k) {
    if (!std::in_range<std::int64_t>(v)) {
      throw DataError(source.name(), std::to_string(v) + " as element " + std::to_string(k) +
                                         ": must be at most 2^63 - 1");
    }
    return static_cast<std::int64_t>(v);
  });
}

bool truth(const Source& source, std::uint8_t v, std::int64_t k) {
  if (v <= 1) return v == 1;
  throw DataError(source.name(), std::to_string(v) + " as element " + std::to_string(k) +
                                     " of '|b1': must be 0 or 1");
}

void fill_any_integers(const Source& source, const NpyHeader& h, std::int64_t* out) {
  const std::string_view descr = h.type->descr;
  if (descr == "<i8") return fill_integers<std::int64_t>(source, h, out);
  if (descr == "|i1") return fill_integers<std::int8_t>(source, h, out);
  if (descr == "|u1") return fill_integers<std::uint8_t>(source, h, out);
  if (descr == "<i2") return fill_integers<std::int16_t>(source, h, out);
  if (descr == "<u2") return fill_integers<std::uint16_t>(source, h, out);
  if (descr == "<i4") return fill_integers<std::int32_t>(source, h, out);
  if (descr == "<u4") return fill_integers<std::uint32_t>(source, h, out);
  fill_integers<std::uint64_t>(source, h, out);
}

Tensor read(const Source& source) {
  const NpyHeader h = read_header(source);
  Tensor t = Tensor::empty(h.shape, h.type->dtype);
  const auto same = [](auto v, std::int64_t) { return v; };
  if (h.type->descr == "<f2") {
    fill<std::uint16_t>(source, h, static_cast<float*>(t.raw()),
                        [](std::uint16_t v, std::int64_t) { return detail::half_to_float(v); });
  } else if (t.dtype() == i64) {
    fill_any_integers(source, h, static_cast<std::int64_t*>(t.raw()));
  } else if (t.dtype() == boolean) {
    fill<std::uint8_t>(source, h, static_cast<bool*>(t.raw()),
                       [&](std::uint8_t v, std::int64_t k) { return truth(source, v, k); });
  } else if (!h.fortran_order) {
    source.read(h.data_begin, t.raw(), t.nbytes());
  } else if (t.dtype() == f32) {
    fill<float>(source, h, static_cast<float*>(t.raw()), same);
  } else {
    fill<double>(source, h, static_cast<double*>(t.raw()), same);
  }
  return t;
}

// Magic, version, length and dictionary, with spaces so that the elements are aligned.
std::string header(const Tensor& t) {
  t.raw();  // throws for an empty handle and for one without elements
  std::string extents;
  for (const std::int64_t d : t.shape()) {
    extents += (extents.empty() ? "" : " ") + std::to_string(d) + ",";
  }
  if (t.rank() > 1) extents.pop_back();
  std::string dictionary = "{'descr': '" + std::string(descr_of(t.dtype())) +
                           "', 'fortran_order': False, 'shape': (" + extents + "), }";
  const std::size_t before = kMagic.size() + 4;
  const std::size_t whole = (before + dictionary.size() + 1 + kAlign - 1) / kAlign * kAlign;
  dictionary.resize(whole - before - 1, ' ');
  dictionary += '\n';
  const auto length = static_cast<std::uint16_t>(dictionary.size());
  return std::string(kMagic) + '\x01' + '\0' +
         std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + dictionary;
}

}  // namespace

void save_npy(const std::string& path, const Tensor& tensor) {
  const std::string head = header(tensor);
  AtomicFile file(path);
  file.write(head);
  file.write(tensor.raw(), tensor.nbytes());
  file.commit();
}

std::string encode_npy(const Tensor& tensor) {
  std::string s = header(tensor);
  return s.append(static_cast<const char*>(tensor.raw()), tensor.nbytes());
}

Tensor load_npy(const std::string& path) { return read(Source(path)); }

Tensor decode_npy(std::span<const std::byte> bytes, const std::string& name) {
  return read(Source(bytes, name));
}

}  // namespace xtape::io
