#include <limits>
#include <stdexcept>

#include "adapters.hpp"

// The arguments of a sample, see FORMAT.md: "JSON argument codec".
namespace xtape::conformance {
namespace {

using nlohmann::json;

[[noreturn]] void bad(const std::string& name, const std::string& what) {
  throw std::invalid_argument("argument " + name + " " + what);
}

double as_number(const json& v, const std::string& name) {
  if (v.is_boolean()) return v.get<bool>() ? 1 : 0;
  if (v.is_number()) return v.get<double>();
  if (v.is_object() && v.contains("$f")) {
    const auto text = v["$f"].get<std::string>();
    if (text == "inf") return std::numeric_limits<double>::infinity();
    if (text == "-inf") return -std::numeric_limits<double>::infinity();
    if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  }
  bad(name, "is not a number: " + v.dump());
}

std::int64_t as_integer(const json& v, const std::string& name) {
  if (v.is_number_integer()) return v.get<std::int64_t>();
  const double x = as_number(v, name);
  const auto n = static_cast<std::int64_t>(x);
  if (static_cast<double>(n) != x) bad(name, "is not an integer: " + v.dump());
  return n;
}

const json& elements(const json& v) {
  return v.is_object() && v.contains("$tuple") ? v["$tuple"] : v;
}

}  // namespace

bool Call::has(const std::string& name) const {
  const auto it = params_.find(name);
  return it != params_.end() && !it->is_null();
}

const json& Call::raw(const std::string& name) const {
  const auto it = params_.find(name);
  if (it == params_.end()) bad(name, "is absent");
  return *it;
}

Var Call::value(const json& v) const {
  if (v.is_object() && v.contains("$t")) {
    const auto i = v["$t"].get<std::size_t>();
    if (i >= inputs_.size()) bad(v.dump(), "is out of range");
    return inputs_[i];
  }
  return as_number(v, "value");
}

Var Call::operand(const std::string& name) const { return value(raw(name)); }

Var Call::operand(const std::string& name, const Var& otherwise) const {
  return has(name) ? operand(name) : otherwise;
}

std::vector<Var> Call::operands(const std::string& name) const {
  const json& list = elements(raw(name));
  if (!list.is_array()) return {value(list)};
  std::vector<Var> out;
  for (const json& v : list) out.push_back(value(v));
  return out;
}

double Call::number(const std::string& name, double otherwise) const {
  return has(name) ? as_number(raw(name), name) : otherwise;
}

std::int64_t Call::integer(const std::string& name, std::int64_t otherwise) const {
  return has(name) ? as_integer(raw(name), name) : otherwise;
}

bool Call::flag(const std::string& name, bool otherwise) const {
  return has(name) ? as_number(raw(name), name) != 0 : otherwise;
}

std::string Call::text(const std::string& name, const std::string& otherwise) const {
  if (!has(name)) return otherwise;
  if (!raw(name).is_string()) bad(name, "is not a text: " + raw(name).dump());
  return raw(name).get<std::string>();
}

std::vector<std::int64_t> Call::integers(const std::string& name) const {
  if (!has(name)) return {};
  const json& list = elements(raw(name));
  if (!list.is_array()) return {as_integer(list, name)};
  std::vector<std::int64_t> out;
  for (const json& v : list) out.push_back(as_integer(v, name));
  return out;
}

Axes Call::axes(const std::string& name) const {
  const auto list = integers(name);
  return Axes(list.begin(), list.end());
}

Shape Call::shape(const std::string& name) const {
  const auto list = integers(name);
  return Shape(list.begin(), list.end());
}

}  // namespace xtape::conformance
