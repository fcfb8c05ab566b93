#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <zlib.h>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/shown.hpp>
#include <xtape/io/atomic_file.hpp>
#include <xtape/io/binding.hpp>
#include <xtape/io/checkpoint.hpp>

namespace xtape::io {
namespace {

namespace fs = std::filesystem;
using detail::Binding;

constexpr std::string_view kReserved = "xtape.", kStem = "checkpoint-", kEnding = ".safetensors";
constexpr const char* kFormat = "xtape.checkpoint";
constexpr const char* kStep = "xtape.step";
constexpr const char* kEpoch = "xtape.epoch";
constexpr const char* kChecksum = "xtape.crc32";
constexpr int kDigits = 12;

std::uint32_t crc32_of(std::uint32_t crc, const void* bytes, std::size_t n) {
  return static_cast<std::uint32_t>(::crc32_z(crc, static_cast<const Bytef*>(bytes), n));
}

std::string hex(std::uint32_t v) {
  std::array<char, 9> text{};
  std::snprintf(text.data(), text.size(), "%08x", v);
  return text.data();
}

// That of the header without the checksum itself, then the data.
std::string checksum(const std::vector<NamedTensor>& given, const Metadata& metadata) {
  std::vector<NamedTensor> tensors = given;
  const std::string head = detail::header_text(detail::plan("Checkpoint", tensors), metadata);
  std::uint32_t crc = crc32_of(0, head.data(), head.size());
  for (const NamedTensor& t : tensors) crc = crc32_of(crc, t.value.raw(), t.value.nbytes());
  return hex(crc);
}

std::string checksum(const detail::Source& source, const detail::Header& header) {
  Metadata metadata = header.metadata;
  metadata.erase(kChecksum);
  const std::string head = detail::header_text(header.entries, metadata);
  std::uint32_t crc = crc32_of(0, head.data(), head.size());
  detail::for_each_chunk(
      source, header.data_begin, source.size() - header.data_begin,
      [&](std::span<const std::byte> chunk) { crc = crc32_of(crc, chunk.data(), chunk.size()); });
  return hex(crc);
}

const std::string& required(const std::string& path, const Metadata& metadata, const char* key) {
  const auto at = metadata.find(key);
  if (at != metadata.end()) return at->second;
  throw DataError(path, std::string("is no checkpoint: its metadata has no ") + key);
}

std::int64_t count(const std::string& path, const Metadata& metadata, const char* key) {
  const std::string& text = required(path, metadata, key);
  std::int64_t v = -1;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (code == std::errc() && end == text.data() + text.size() && v >= 0) return v;
  throw DataError(path, std::string(key) + " is " + xtape::detail::shown(text) +
                            ": must be an integer, 0 or more");
}

detail::Header read_whole(const detail::Source& source) {
  detail::Header header = detail::read_header(source);
  const std::string& format = required(source.name(), header.metadata, kFormat);
  if (format != "1") {
    throw DataError(source.name(), "is a checkpoint of version " + xtape::detail::shown(format) +
                                       ": this library reads version 1");
  }
  if (required(source.name(), header.metadata, kChecksum) != checksum(source, header)) {
    throw DataError(source.name(), "is damaged: its CRC-32 is not that of its content");
  }
  return header;
}

Parameter buffer_of(std::initializer_list<std::uint64_t> numbers) {
  std::vector<std::int64_t> v;
  for (const std::uint64_t n : numbers) v.push_back(std::bit_cast<std::int64_t>(n));
  return Parameter::buffer(Tensor::from(v));
}

std::uint64_t number(const Tensor& t, std::size_t i) {
  return std::bit_cast<std::uint64_t>(t.span<std::int64_t>()[i]);
}

// The step in the name of a file of save_in().
std::optional<std::int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kStem) || !name.ends_with(kEnding)) return std::nullopt;
  if (name.size() < kStem.size() + kDigits + kEnding.size()) return std::nullopt;
  const char* const first = name.data() + kStem.size();
  const char* const last = name.data() + name.size() - kEnding.size();
  std::int64_t v = -1;
  const auto [end, code] = std::from_chars(first, last, v);
  if (code != std::errc() || end != last || v < 0) return std::nullopt;
  return v;
}

// Steps and paths in `folder`, the newest first.
std::vector<std::pair<std::int64_t, std::string>> checkpoints(const std::string& folder) {
  std::vector<std::pair<std::int64_t, std::string>> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (const auto step = step_of(it->path().filename().string())) {
      found.emplace_back(*step, it->path().string());
    }
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

}  // namespace

// Everything and its key; generators as buffers of numbers, in the order they were added.
struct Checkpoint::Bound {
  std::vector<Binding> all;
  std::vector<Parameter> rngs;            // seed, stream, position
  std::vector<Parameter> generator_keys;  // seed, stream
};

Checkpoint::Bound Checkpoint::bind() const {
  Bound bound;
  for (const auto& [key, parameter] : parts_) bound.all.push_back({key, parameter});
  for (const auto& [key, rng] : rngs_) {
    bound.rngs.push_back(buffer_of({rng->seed(), rng->stream(), rng->position()}));
    bound.all.push_back({key, bound.rngs.back()});
  }
  for (const auto& [key, generator] : generators_) {
    bound.generator_keys.push_back(buffer_of({generator.seed(), generator.stream()}));
    bound.all.push_back({key + ".key", bound.generator_keys.back()});
    bound.all.push_back({key + ".position", generator.position()});
  }
  return bound;
}

Checkpoint& Checkpoint::add(const std::string& prefix, const Parameters& parameters) {
  for (const Parameter& p : parameters) parts_.emplace_back(prefix + "." + p.name(), p);
  return *this;
}

Checkpoint& Checkpoint::add_list(const std::string& prefix, const Parameters& parameters) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    parts_.emplace_back(prefix + "." + std::to_string(i), parameters[i]);
  }
  return *this;
}

Checkpoint& Checkpoint::add(const std::string& name, Rng& rng) {
  rngs_.emplace_back(name, &rng);
  return *this;
}

Checkpoint& Checkpoint::add(const std::string& name, const Generator& generator) {
  generators_.emplace_back(name, generator);
  return *this;
}

void Checkpoint::save(const std::string& path, const SaveOptions& options) const {
  if (step < 0 || epoch < 0) {
    throw ValueError(path, "step " + std::to_string(step) + " and epoch " + std::to_string(epoch) +
                               ": must be 0 or more");
  }
  Metadata texts = options.metadata;
  texts.insert(metadata.begin(), metadata.end());
  for (const auto& [key, value] : texts) {
    if (key.starts_with(kReserved)) {
      throw ValueError(path, "metadata key " + key + ": those in xtape. are the library's");
    }
  }
  const std::vector<NamedTensor> tensors =
      detail::values(path, detail::unique(path, bind().all), options.allow_nonfinite);
  texts[kFormat] = "1";
  texts[kStep] = std::to_string(step);
  texts[kEpoch] = std::to_string(epoch);
  texts[kChecksum] = checksum(tensors, texts);
  const fs::path file(path);
  remove_leftovers(file.parent_path().string(), file.filename().string());
  save_safetensors(path, tensors, texts);
}

std::string Checkpoint::save_in(const std::string& folder, std::int64_t keep_last,
                                const SaveOptions& options) const {
  if (keep_last < 1) {
    throw ValueError(folder, "keep_last " + std::to_string(keep_last) + ": must be 1 or more");
  }
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw DataError(folder, "cannot be made: " + error.message());
  std::string digits = std::to_string(step);
  if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
  std::string path =
      (fs::path(folder) / (std::string(kStem) + digits + std::string(kEnding))).string();
  save(path, options);
  remove_leftovers(folder, kStem);
  std::int64_t kept = 0;
  for (const auto& [at, old] : checkpoints(folder)) {
    if (at <= step && ++kept > keep_last) fs::remove(old, error);  // a failure loses nothing
  }
  return path;
}

LoadReport Checkpoint::load(const std::string& path, const LoadOptions& options) {
  const detail::Source source(path);
  detail::Header header = read_whole(source);
  const std::int64_t new_step = count(path, header.metadata, kStep);
  const std::int64_t new_epoch = count(path, header.metadata, kEpoch);
  const Bound bound = bind();
  detail::Loading loading =
      detail::prepare(source, header, detail::unique(path, bound.all), options);
  for (const auto& [place, value] : loading.assignments) {
    const auto& keys = bound.generator_keys;
    if (std::find(keys.begin(), keys.end(), place) == keys.end()) continue;
    if (!identical(place.value(), value)) {
      throw DataError(path, "a Generator of seed and stream " + value.str() +
                                " was saved, the one here has " + place.value().str());
    }
  }
  loading.commit();  // from here on nothing throws
  for (std::size_t i = 0; i < rngs_.size(); ++i) {
    const Tensor& place = bound.rngs[i].value();  // as before where the file lacks it
    *rngs_[i].second = Rng(number(place, 0), number(place, 1));
    rngs_[i].second->seek(number(place, 2));
  }
  step = new_step;
  epoch = new_epoch;
  metadata = std::move(header.metadata);
  std::erase_if(metadata, [](const auto& m) { return m.first.starts_with(kReserved); });
  return std::move(loading.report);
}

LatestCheckpoint latest(const std::string& folder) {
  LatestCheckpoint found;
  for (const auto& [step, path] : checkpoints(folder)) {
    try {
      const detail::Source source(path);
      const detail::Header header = read_whole(source);
      count(path, header.metadata, kStep);
      count(path, header.metadata, kEpoch);
      found.path = path;
      break;
    } catch (const DataError& e) {
      found.damaged.push_back(e.what());
    }
  }
  return found;
}

}  // namespace xtape::io
