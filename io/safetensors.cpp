#include <algorithm>
#include <nlohmann/json.hpp>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/shown.hpp>
#include <xtape/io/atomic_file.hpp>
#include <xtape/io/half.hpp>
#include <xtape/io/safetensors_header.hpp>

namespace xtape::io {
namespace detail {
namespace {

using xtape::detail::shown;

// The order of dtypes in the reference: its sizes, then I64 before F64.
int place(DType t) { return t == i64 ? 0 : t == f64 ? 1 : t == f32 ? 2 : 3; }

}  // namespace

std::vector<Entry> plan(const std::string& path, std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& t : tensors) {
    if (t.name == "__metadata__") throw ValueError(path, "a tensor must not be named __metadata__");
    if (!t.value.defined()) throw ValueError(path, shown(t.name, 80) + " is an empty tensor");
    t.value.raw();  // throws for one without elements
  }
  std::sort(tensors.begin(), tensors.end(), [](const NamedTensor& a, const NamedTensor& b) {
    const int pa = place(a.value.dtype()), pb = place(b.value.dtype());
    return pa != pb ? pa < pb : a.name < b.name;
  });
  std::vector<Entry> entries;
  std::vector<std::string_view> names;
  std::uint64_t offset = 0;
  for (const NamedTensor& t : tensors) {
    const std::uint64_t end = offset + t.value.nbytes();
    entries.push_back({t.name, &type_of(t.value.dtype()), t.value.shape(), offset, end});
    names.push_back(t.name);
    offset = end;
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) {
    throw ValueError(path, "two tensors are named " + shown(*twice, 80) + ": names must differ");
  }
  return entries;
}

std::string framed(const std::string& path, std::string header) {
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = header.size();
  if (length > kMaxHeader) {
    throw ValueError(path, "names, shapes and metadata need " + std::to_string(length) +
                               " bytes: must be at most " + std::to_string(kMaxHeader));
  }
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + header;
}

void check_stored(const std::string& path, const Entry& entry, bool half) {
  if (entry.type->dtype && (half || !entry.type->half())) return;
  const std::string rule = entry.type->half() ? "ask for .half_to_f32 to read it as f32"
                                              : "must be F32, F64, I64 or BOOL (F16 or BF16)";
  throw DataError(path, shown(entry.name, 80) + " has dtype " + entry.type->name + ": " + rule);
}

Tensor read_tensor(const Source& source, const Header& header, const Entry& entry) {
  Tensor t = Tensor::empty(entry.shape, *entry.type->dtype);
  const std::uint64_t offset = header.data_begin + entry.begin;
  if (entry.type->half()) {
    const auto convert = entry.type->name[0] == 'B' ? bfloat_to_float : half_to_float;
    auto* out = static_cast<float*>(t.raw());
    for_each_element<std::uint16_t>(source, offset, static_cast<std::uint64_t>(t.size()),
                                    [&](std::uint16_t h) { *out++ = convert(h); });
    return t;
  }
  source.read(offset, t.raw(), t.nbytes());
  if (t.dtype() == boolean) {
    const auto* bytes = static_cast<const unsigned char*>(t.raw());
    const auto* end = bytes + t.size();
    const auto* bad = std::find_if(bytes, end, [](unsigned char b) { return b > 1; });
    if (bad != end) {
      throw DataError(source.name(), shown(entry.name, 80) + " has " + std::to_string(*bad) +
                                         " as element " + std::to_string(bad - bytes) +
                                         ": BOOL must be 0 or 1");
    }
  }
  return t;
}

namespace {

Safetensors read_all(const Source& source, const SafetensorsOptions& options) {
  Header header = read_header(source);
  for (const Entry& e : header.entries) check_stored(source.name(), e, options.half_to_f32);
  Safetensors s;
  s.tensors.reserve(header.entries.size());
  for (Entry& e : header.entries) {
    Tensor t = read_tensor(source, header, e);
    s.tensors.push_back({std::move(e.name), std::move(t)});
  }
  s.metadata = std::move(header.metadata);
  return s;
}

}  // namespace
}  // namespace detail

const Tensor& Safetensors::at(const std::string& name) const {
  for (const NamedTensor& t : tensors) {
    if (t.name == name) return t.value;
  }
  throw ValueError("Safetensors", "no tensor is named " + detail::shown(name, 80));
}

void save_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                      const Metadata& metadata) {
  std::optional<AtomicFile> file;
  detail::write_parts(path, tensors, metadata, [&](const void* bytes, std::size_t n) {
    if (!file) file.emplace(path);  // only now: the tensors have been checked
    file->write(bytes, n);
  });
  file->commit();
}

std::string encode_safetensors(const std::vector<NamedTensor>& tensors, const Metadata& metadata) {
  std::string s;
  detail::write_parts(
      "encode_safetensors", tensors, metadata,
      [&](const void* bytes, std::size_t n) { s.append(static_cast<const char*>(bytes), n); });
  return s;
}

Safetensors load_safetensors(const std::string& path, const SafetensorsOptions& options) {
  return detail::read_all(detail::Source(path), options);
}

Safetensors decode_safetensors(std::span<const std::byte> bytes, const std::string& name,
                               const SafetensorsOptions& options) {
  return detail::read_all(detail::Source(bytes, name), options);
}

}  // namespace xtape::io
