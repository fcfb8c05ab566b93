#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/shown.hpp>
#include <xtape/io/extents.hpp>
#include <xtape/io/safetensors_header.hpp>

namespace xtape::io::detail {
namespace {

using nlohmann::json;
using xtape::detail::shown;

constexpr std::size_t kNameShown = 80;
constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::array<FileType, 15> kTypes{{{"BOOL", 1, boolean},
                                           {"U8", 1, {}},
                                           {"I8", 1, {}},
                                           {"F8_E5M2", 1, {}},
                                           {"F8_E4M3", 1, {}},
                                           {"I16", 2, {}},
                                           {"U16", 2, {}},
                                           {"F16", 2, f32},
                                           {"BF16", 2, f32},
                                           {"I32", 4, {}},
                                           {"U32", 4, {}},
                                           {"F32", 4, f32},
                                           {"F64", 8, f64},
                                           {"I64", 8, i64},
                                           {"U64", 8, {}}}};

// What the parser tells of a header, followed as it comes: the format has three levels and knows
// every field, so nothing else is ever built.
class HeaderHandler : public nlohmann::json_sax<json> {
 public:
  explicit HeaderHandler(Header& header) : header_(header) {}
  const std::string& error() const { return error_; }

  bool key(string_t& text) override {
    switch (state_) {
      case State::top:
        return top_key(text);
      case State::info:
        return field(text);
      default:  // metadata
        metadata_key_ = text;
        state_ = State::metadata_value;
        return true;
    }
  }
  bool start_object(std::size_t) override {
    switch (state_) {
      case State::begin:
        state_ = State::top;
        return true;
      case State::metadata_begin:
        state_ = State::metadata;
        return true;
      case State::info_begin:
        state_ = State::info;
        return true;
      default:
        return unexpected("an object");
    }
  }
  bool end_object() override {
    if (state_ == State::info && fields_ != kAllFields) {
      return fail(entry(), "lacks a field: must have dtype, shape and data_offsets");
    }
    state_ = state_ == State::top ? State::end : State::top;
    return true;
  }
  bool start_array(std::size_t) override {
    if (state_ == State::shape_begin) {
      state_ = State::shape;
      return true;
    }
    if (state_ != State::offsets_begin) return unexpected("an array");
    state_ = State::offsets;
    offset_count_ = 0;
    return true;
  }
  bool end_array() override {
    if (state_ == State::offsets && offset_count_ != 2) {
      return fail(entry(), "data_offsets must be two numbers");
    }
    state_ = State::info;
    return true;
  }
  bool string(string_t& text) override {
    if (state_ == State::metadata_value) {
      state_ = State::metadata;
      if (header_.metadata.emplace(metadata_key_, text).second) return true;
      return fail("metadata " + shown(metadata_key_, kNameShown), "stands twice");
    }
    if (state_ != State::dtype) return unexpected("a string");
    header_.entries.back().type = find_type(text);
    if (!header_.entries.back().type) {
      return fail(entry(), "has dtype " + shown(text) + ", which the format does not know");
    }
    state_ = State::info;
    return true;
  }
  bool number_unsigned(number_unsigned_t v) override {
    Entry* const e = header_.entries.empty() ? nullptr : &header_.entries.back();
    if (state_ == State::shape) {
      if (e->shape.rank() == kMaxRank) {
        return fail(entry(), "has more than " + std::to_string(kMaxRank) + " axes");
      }
      if (v > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return fail(entry(), "has extent " + std::to_string(v) + ": more than memory can hold");
      }
      e->shape.push_back(static_cast<std::int64_t>(v));
      return true;
    }
    if (state_ != State::offsets) return unexpected("a number");
    if (offset_count_ == 2) return fail(entry(), "data_offsets must be two numbers");
    (offset_count_++ == 0 ? e->begin : e->end) = v;
    return true;
  }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return unexpected("a number that is no integer of 64 bits");
  }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a truth value"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    error_ = "the header is no JSON in UTF-8 at its byte " + std::to_string(position);
    return false;
  }

 private:
  enum class State {
    begin,
    top,
    metadata_begin,
    metadata,
    metadata_value,
    info_begin,
    info,
    dtype,
    shape_begin,
    shape,
    offsets_begin,
    offsets,
    end
  };
  static constexpr unsigned kAllFields = 7;

  bool top_key(const string_t& text) {
    if (text == kMetadataKey) {
      if (has_metadata_) return fail(shown(kMetadataKey), "stands twice");
      has_metadata_ = true;
      state_ = State::metadata_begin;
      return true;
    }
    header_.entries.emplace_back().name = text;
    fields_ = 0;
    state_ = State::info_begin;
    return true;
  }
  bool field(const string_t& text) {
    const unsigned bit = text == "dtype" ? 1 : text == "shape" ? 2 : text == "data_offsets" ? 4 : 0;
    if (!bit) return fail(entry(), "has a field " + shown(text) + ", which the format lacks");
    if (fields_ & bit) return fail(entry(), "has its " + text + " twice");
    fields_ |= bit;
    state_ = bit == 1 ? State::dtype : bit == 2 ? State::shape_begin : State::offsets_begin;
    return true;
  }
  std::string entry() const { return shown(header_.entries.back().name, kNameShown); }
  bool fail(const std::string& what, const std::string& rule) {
    error_ = what + " " + rule;
    return false;
  }
  bool unexpected(const char* what) {
    const bool inside = state_ >= State::info_begin && state_ < State::end;
    const std::string where = inside ? entry() : "the header";
    switch (state_) {
      case State::metadata_begin:
      case State::metadata_value:
        return fail("the metadata", std::string("holds ") + what + ": must be texts by name");
      case State::shape:
      case State::offsets:
        return fail(where, std::string("holds ") + what + " where integers from 0 must be");
      default:
        return fail(where, std::string("holds ") + what + " where the format has none");
    }
  }

  Header& header_;
  State state_ = State::begin;
  std::string error_, metadata_key_;
  bool has_metadata_ = false;
  unsigned fields_ = 0;
  int offset_count_ = 0;
};

std::string quoted(const std::string& s) {
  try {
    return json(s).dump(-1, ' ', false, json::error_handler_t::strict);
  } catch (const json::exception&) {
    throw ValueError("safetensors",
                     shown(s, kNameShown) + " is no UTF-8: names and metadata must be");
  }
}

void check_unique(const std::string& path, const std::vector<Entry>& entries) {
  std::vector<const std::string*> names;
  names.reserve(entries.size());
  for (const Entry& e : entries) names.push_back(&e.name);
  const auto less = [](const std::string* a, const std::string* b) { return *a < *b; };
  const auto equal = [](const std::string* a, const std::string* b) { return *a == *b; };
  std::sort(names.begin(), names.end(), less);
  const auto twice = std::adjacent_find(names.begin(), names.end(), equal);
  if (twice != names.end()) throw DataError(path, shown(**twice, kNameShown) + " stands twice");
}

// Offsets fit shapes and follow one another from 0 to `size`.
void check_offsets(const std::string& path, std::vector<Entry>& entries, std::uint64_t size) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::uint64_t next = 0;
  for (const Entry& e : entries) {
    const auto fail = [&](const std::string& rule) {
      throw DataError(path, shown(e.name, kNameShown) + " has data_offsets [" +
                                std::to_string(e.begin) + ", " + std::to_string(e.end) +
                                "]: " + rule);
    };
    const auto bytes = checked_bytes(e.shape, e.type->bytes);
    if (!bytes) {
      throw DataError(path, shown(e.name, kNameShown) + " has shape " + e.shape.str() +
                                ": the extents multiply to more than memory can hold");
    }
    if (e.end < e.begin) fail("they must ascend");
    if (e.end - e.begin != *bytes) {
      fail("shape " + e.shape.str() + " of " + e.type->name + " needs " + std::to_string(*bytes) +
           " bytes");
    }
    if (e.begin < next)
      fail("they overlap the tensor before, which ends at " + std::to_string(next));
    if (e.begin > next) fail("there is a gap behind " + std::to_string(next));
    if (e.end > size) fail("the file has " + std::to_string(size) + " bytes of data");
    next = e.end;
  }
  if (next != size) {
    throw DataError(path, "has " + std::to_string(size) + " bytes of data, its tensors have " +
                              std::to_string(next));
  }
}

}  // namespace

const FileType* find_type(std::string_view name) {
  for (const FileType& t : kTypes) {
    if (t.name == name) return &t;
  }
  return nullptr;
}

const FileType& type_of(DType dtype) {
  return *find_type(dtype == f32 ? "F32" : dtype == f64 ? "F64" : dtype == i64 ? "I64" : "BOOL");
}

std::string header_text(const std::vector<Entry>& entries, const Metadata& metadata) {
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      text += (text.back() == '{' ? "" : ",") + quoted(key) + ":" + quoted(value);
    }
    text += "}";
  }
  for (const Entry& e : entries) {
    std::string extents;
    for (const std::int64_t d : e.shape) {
      extents += (extents.empty() ? "" : ",") + std::to_string(d);
    }
    text += (text.size() == 1 ? "" : ",") + quoted(e.name) + ":{\"dtype\":\"" + e.type->name +
            "\",\"shape\":[" + extents + "],\"data_offsets\":[" + std::to_string(e.begin) + "," +
            std::to_string(e.end) + "]}";
  }
  return text + "}";
}

Header parse_header(const std::string& path, std::string_view text) {
  // The parser would skip a byte-order mark and take a zero byte for the end.
  if (!text.starts_with('{')) throw DataError(path, "the header must begin with '{'");
  if (text.find('\0') != std::string_view::npos)
    throw DataError(path, "the header has a zero byte");
  Header header;
  HeaderHandler handler(header);
  if (!json::sax_parse(text.begin(), text.end(), &handler)) throw DataError(path, handler.error());
  check_unique(path, header.entries);
  return header;
}

Header read_header(const Source& source) {
  std::uint64_t length = 0;
  if (source.size() < sizeof(length)) {
    throw DataError(source.name(), "has " + std::to_string(source.size()) +
                                       " bytes: a safetensors file begins with an 8-byte length");
  }
  source.read(0, &length, sizeof(length));
  const std::uint64_t rest = source.size() - sizeof(length);
  if (length > kMaxHeader) {
    throw DataError(source.name(), "says its header has " + std::to_string(length) +
                                       " bytes: must be at most " + std::to_string(kMaxHeader));
  }
  if (length > rest) {
    throw DataError(source.name(), "says its header has " + std::to_string(length) +
                                       " bytes, of which there are " + std::to_string(rest));
  }
  std::string text(static_cast<std::size_t>(length), '\0');
  source.read(sizeof(length), text.data(), text.size());
  Header header = parse_header(source.name(), text);
  header.data_begin = sizeof(length) + length;
  check_offsets(source.name(), header.entries, rest - length);
  return header;
}

}  // namespace xtape::io::detail
