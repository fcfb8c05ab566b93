#include "safetensors.hpp"

#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include <xtape/autodiff/error.hpp>

namespace xtape::conformance {
namespace {

using nlohmann::json;

constexpr std::size_t kLength = 8;  // of the number that says how long the header is

struct Entry {
  std::size_t begin, end;
  std::string type;
  std::vector<std::int64_t> shape;
};

class Parser {
 public:
  Parser(const std::string& bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  std::map<std::string, Tensor> parse() {
    const json header = read_header();
    std::map<std::string, Tensor> out;
    std::map<std::pair<std::size_t, std::size_t>, std::size_t> ranges;
    for (const auto& [key, value] : header.items()) {
      if (key == "__metadata__") continue;
      const Entry e = entry(key, value);
      ++ranges[{e.begin, e.end}];
      const bool fits = e.shape.size() <= static_cast<std::size_t>(kMaxRank);
      out.emplace(key, fits ? tensor(key, e) : Tensor());
    }
    check_ranges(ranges);
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError("safetensors", name_ + ": " + what);
  }
  void require(bool good, const std::string& what) const {
    if (!good) fail(what);
  }

  json read_header() {
    require(bytes_.size() >= kLength, "shorter than its length field");
    std::uint64_t n = 0;
    for (std::size_t i = kLength; i-- > 0;) n = n << 8 | static_cast<unsigned char>(bytes_[i]);
    require(n <= bytes_.size() - kLength, "the header reaches beyond the end");
    require(n % 8 == 0, "the header is not padded to 8 bytes");
    data_ = kLength + static_cast<std::size_t>(n);
    const auto end = bytes_.begin() + static_cast<std::ptrdiff_t>(data_);
    json header = json::parse(bytes_.begin() + kLength, end, nullptr, false);
    require(header.is_object(), "the header is no JSON object");
    return header;
  }

  Entry entry(const std::string& key, const json& v) const {
    require(v.is_object() && v.size() == 3 && v.contains("dtype") && v.contains("shape") &&
                v.contains("data_offsets"),
            key + " is not described by dtype, shape and data_offsets");
    const json& offsets = v["data_offsets"];
    require(v["dtype"].is_string() && v["shape"].is_array() && offsets.is_array() &&
                offsets.size() == 2 && offsets[0].is_number_unsigned() &&
                offsets[1].is_number_unsigned(),
            key + " has a malformed description");
    Entry e{offsets[0], offsets[1], v["dtype"], {}};
    const std::size_t size = bytes_.size() - data_;
    require(e.begin <= e.end && e.end <= size, key + " reaches beyond the end");
    // Without elements, the other extents may be anything.
    bool none = false;
    for (const json& extent : v["shape"]) none = none || extent == 0;
    std::size_t elements = none ? 0 : 1;
    for (const json& extent : v["shape"]) {
      require(extent.is_number_unsigned(), key + " has a malformed shape");
      const auto n = extent.get<std::size_t>();
      require(none || elements <= size / n, key + " is larger than the file");
      elements *= n;
      e.shape.push_back(static_cast<std::int64_t>(n));
    }
    require(elements * item_size(key, e.type) == e.end - e.begin,
            key + " has another size than its shape");
    return e;
  }

  std::size_t item_size(const std::string& key, const std::string& type) const {
    if (type == "F64" || type == "I64") return 8;
    if (type == "I32") return 4;
    if (type == "U8" || type == "BOOL") return 1;
    fail(key + " has the type " + type + ", known are F64, I64, I32, U8, BOOL");
  }

  // In order of their beginning, each range begins where the one before ended.
  void check_ranges(
      const std::map<std::pair<std::size_t, std::size_t>, std::size_t>& ranges) const {
    std::size_t at = 0;
    for (const auto& [range, count] : ranges) {
      require(range.first == at && (count == 1 || range.second == at),
              "tensors overlap or leave gaps");
      at = range.second;
    }
    require(at == bytes_.size() - data_, "bytes that belong to no tensor");
  }

  template <class From, class To>
  Tensor convert(const Entry& e) const {
    Tensor t = Tensor::empty(Shape(e.shape.begin(), e.shape.end()), dtype_of<To>());
    To* out = t.mutable_data<To>();
    for (std::size_t at = e.begin; at < e.end; at += sizeof(From)) {
      From x;
      std::memcpy(&x, bytes_.data() + data_ + at, sizeof x);
      *out++ = static_cast<To>(x);
    }
    return t;
  }

  Tensor tensor(const std::string& key, const Entry& e) const {
    if (e.type == "F64") return convert<double, double>(e);
    if (e.type == "I64") return convert<std::int64_t, std::int64_t>(e);
    if (e.type == "I32") return convert<std::int32_t, std::int64_t>(e);
    if (e.type == "U8") return convert<std::uint8_t, std::int64_t>(e);
    for (std::size_t i = e.begin; i < e.end; ++i) {
      require(static_cast<unsigned char>(bytes_[data_ + i]) <= 1, key + " holds no booleans");
    }
    return convert<std::uint8_t, bool>(e);
  }

  const std::string& bytes_;
  const std::string& name_;
  std::size_t data_ = 0;
};

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw DataError("conformance", path + " cannot be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

std::map<std::string, Tensor> parse_safetensors(const std::string& bytes, const std::string& name) {
  return Parser(bytes, name).parse();
}

std::map<std::string, Tensor> read_safetensors(const std::string& path) {
  return parse_safetensors(read_file(path), path);
}

}  // namespace xtape::conformance
