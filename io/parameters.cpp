#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/shown.hpp>
#include <xtape/io/atomic_file.hpp>
#include <xtape/io/binding.hpp>

namespace xtape::io {
namespace detail {
namespace {

using xtape::detail::shown;

std::vector<Binding> by_name(const Parameters& parameters) {
  std::vector<Binding> bindings;
  bindings.reserve(parameters.size());
  for (const Parameter& p : parameters) bindings.push_back({p.name(), p});
  return bindings;
}

void check_finite(const std::string& where, const Binding& b) {
  const Tensor& value = b.parameter.value();
  if (all_finite(value)) return;
  std::int64_t i = 0;
  while (std::isfinite(value.flat(i))) ++i;
  throw ValueError(where, b.key + " is " + xtape::detail::text(value.flat(i)) + " at element " +
                              std::to_string(i) +
                              ": must be finite; .allow_nonfinite writes it all the same");
}

// Numbers that are too large for the dtype of the parameter.
void check_range(const std::string& where, const Binding& b, const Tensor& read,
                 const Tensor& value) {
  if (read.dtype() == value.dtype() || all_finite(value)) return;
  for (std::int64_t i = 0; i < read.size(); ++i) {
    if (!std::isfinite(read.flat(i)) || std::isfinite(value.flat(i))) continue;
    throw DataError(where, b.key + " is " + xtape::detail::text(read.flat(i)) + " at element " +
                               std::to_string(i) + ": too large for " + name(value.dtype()));
  }
}

// The parameter's name for each entry, empty for those to skip.
std::vector<std::string> renamed(const std::string& where, const Header& header,
                                 const LoadOptions& options) {
  std::vector<std::string> names;
  std::unordered_map<std::string, std::string> seen;
  for (const Entry& e : header.entries) {
    names.push_back(options.rename ? options.rename(e.name) : e.name);
    if (names.back().empty()) continue;
    const auto [at, fresh] = seen.emplace(names.back(), e.name);
    if (!fresh) {
      throw ValueError(where, "rename gives " + shown(names.back(), 80) + " to both " +
                                  shown(at->second, 80) + " and " + shown(e.name, 80));
    }
  }
  return names;
}

// Empty when the entry can be assigned to the parameter.
std::string mismatch(const Binding& b, const Entry& e, bool convert) {
  const Parameter& p = b.parameter;
  const bool floats = e.type->dtype && is_floating(*e.type->dtype) && is_floating(p.dtype());
  const bool same = e.type->dtype == p.dtype() && !e.type->half();
  if (p.shape() == e.shape && (same || (convert && floats))) return {};
  std::string text = b.key + ": " + e.type->name + " " + e.shape.str() + " in the file, " +
                     name(p.dtype()) + " " + p.shape().str() + " expected";
  if (p.shape() == e.shape && floats) text += " (.convert converts)";
  return text;
}

void list(std::string& text, const char* what, const std::vector<std::string>& names) {
  if (names.empty()) return;
  text += (text.empty() ? "" : "; ") + std::string(what);
  for (std::size_t i = 0; i < names.size(); ++i) text += (i ? ", " : " ") + names[i];
}

// Keys come from the file, which may hold anything.
std::vector<std::string> printable(std::vector<std::string> keys) {
  for (std::string& key : keys) key = shown(key, 80);
  return keys;
}

}  // namespace

std::vector<Binding> unique(const std::string& where, std::vector<Binding> bindings) {
  std::unordered_map<std::string, const void*> keys;
  std::unordered_set<const void*> seen;
  std::vector<Binding> out;
  for (Binding& b : bindings) {
    const void* const id = b.parameter.id();
    b.parameter.value();  // throws for an empty handle
    const auto [at, fresh] = keys.emplace(b.key, id);
    if (!fresh && at->second != id) {
      throw ValueError(where,
                       "two parameters are named " + shown(b.key, 80) + ": names must differ");
    }
    if (seen.insert(id).second) out.push_back(std::move(b));
  }
  return out;
}

std::vector<NamedTensor> values(const std::string& where, const std::vector<Binding>& bindings,
                                bool allow_nonfinite) {
  std::vector<NamedTensor> tensors;
  tensors.reserve(bindings.size());
  for (const Binding& b : bindings) {
    if (!allow_nonfinite) check_finite(where, b);
    tensors.push_back({b.key, b.parameter.value()});
  }
  return tensors;
}

Loading prepare(const Source& source, const Header& header, const std::vector<Binding>& bindings,
                const LoadOptions& options) {
  const std::vector<std::string> names = renamed(source.name(), header, options);
  std::unordered_map<std::string, const Entry*> by_key;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!names[i].empty()) by_key.emplace(names[i], &header.entries[i]);
  }
  Loading loading;
  loading.report.metadata = header.metadata;
  std::vector<std::pair<const Binding*, const Entry*>> pairs;
  std::unordered_set<const Entry*> used;
  for (const Binding& b : bindings) {
    const auto at = by_key.find(b.key);
    if (at == by_key.end()) {
      loading.report.missing.push_back(b.key);
      continue;
    }
    used.insert(at->second);
    const std::string text = mismatch(b, *at->second, options.convert);
    if (text.empty()) {
      pairs.emplace_back(&b, at->second);
    } else {
      loading.report.mismatched.push_back(text);
    }
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Entry& e = header.entries[i];
    if (!names[i].empty() && !used.contains(&e)) loading.report.unexpected.push_back(e.name);
  }
  if (options.strict && !loading.report.complete()) {
    std::string text;
    list(text, "missing:", loading.report.missing);
    list(text, "unexpected:", printable(loading.report.unexpected));
    list(text, "mismatched:", loading.report.mismatched);
    throw DataError(source.name(), "does not fit the parameters; " + text);
  }
  for (const auto& [b, e] : pairs) {
    const Tensor read = read_tensor(source, header, *e);
    Tensor value = read.to(b->parameter.dtype());
    check_range(source.name(), *b, read, value);
    loading.assignments.emplace_back(b->parameter, std::move(value));
  }
  return loading;
}

void Loading::commit() {
  for (auto& [parameter, value] : assignments) parameter.assign(std::move(value));
}

}  // namespace detail

void save(const std::string& path, const Parameters& parameters, const SaveOptions& options) {
  const auto bindings = detail::unique(path, detail::by_name(parameters));
  save_safetensors(path, detail::values(path, bindings, options.allow_nonfinite), options.metadata);
}

LoadReport load(const std::string& path, const Parameters& parameters, const LoadOptions& options) {
  const auto bindings = detail::unique(path, detail::by_name(parameters));
  const detail::Source source(path);
  detail::Loading loading = detail::prepare(source, detail::read_header(source), bindings, options);
  loading.commit();
  return std::move(loading.report);
}

}  // namespace xtape::io
