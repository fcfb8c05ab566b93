#include "report.hpp"

#include <cmath>
#include <iomanip>
#include <ostream>

namespace xtape::conformance {
namespace {

using nlohmann::json;

constexpr std::size_t kShown = 20;  // failed samples, unless all are wanted
constexpr int kNameWidth = 42, kCountWidth = 8, kErrorWidth = 10;

void print_header(std::ostream& os, const std::string& section) {
  os << std::left << std::setw(kNameWidth) << section << std::right;
  for (const char* column : {"samples", "passed", "failed", "missing"}) {
    os << std::setw(kCountWidth) << column;
  }
  for (const char* column : {"value", "vjp", "second", "f32"}) {
    os << std::setw(kErrorWidth) << column;
  }
  os << '\n';
}

void print_row(std::ostream& os, const Row& r) {
  os << std::left << std::setw(kNameWidth) << r.name << std::right;
  for (const std::size_t n : {r.samples, r.passed, r.failed, r.missing}) {
    os << std::setw(kCountWidth) << n;
  }
  for (const double e : {r.worst.value, r.worst.gradient, r.worst.second, r.worst.single}) {
    os << std::setw(kErrorWidth) << std::setprecision(2) << e;
  }
  os << '\n';
}

void print_failures(std::ostream& os, const Report& report, bool all) {
  std::size_t shown = 0;
  for (const Row& r : report.rows) {
    for (const FailedSample& f : r.failures) {
      if (!all && shown == kShown) {
        os << "… (all with -v)\n";
        return;
      }
      if (shown++ == 0) os << "\nFailed:\n";
      os << r.name << ' ' << f.id << "  " << f.params.dump() << '\n';
      for (const Failure& x : f.failures) {
        os << "    " << x.where << ": " << x.what;
        if (x.error != 0) os << ", relative error " << std::setprecision(3) << x.error;
        os << '\n';
      }
    }
  }
}

void print_exceptions(std::ostream& os, const ExceptionTable& table) {
  bool any = false;
  for (std::size_t i = 0; i < table.all().size(); ++i) {
    const Exception& e = table.all()[i];
    const std::size_t n = table.users(i).size();
    if (n == 0 && !table.stale(i)) continue;
    if (!any) os << "\nExceptions:\n";
    any = true;
    os << "  " << e.op;
    if (!e.sample.empty()) os << ' ' << e.sample;
    os << " (" << name(e.excuse);
    if (!e.kind.empty()) os << ' ' << e.kind;
    if (e.bar != 0) os << ' ' << e.bar;
    os << "): " << e.reason << (n == 0 ? " — STALE: no sample needs it" : "");
    if (n != 0) os << " — " << n << (n == 1 ? " sample" : " samples");
    os << '\n';
  }
}

// JSON has no infinity.
json number(double x) { return std::isfinite(x) ? json(x) : json("inf"); }

json row_json(const Row& r) {
  json failures = json::array();
  for (const FailedSample& f : r.failures) {
    json list = json::array();
    for (const Failure& x : f.failures) {
      list.push_back({{"where", x.where}, {"what", x.what}, {"error", number(x.error)}});
    }
    failures.push_back({{"id", f.id}, {"params", f.params}, {"failures", list}});
  }
  return {{"section", r.section},
          {"name", r.name},
          {"family", r.family},
          {"samples", r.samples},
          {"passed", r.passed},
          {"failed", r.failed},
          {"missing", r.missing},
          {"failures", failures},
          {"worst",
           {{"value", number(r.worst.value)},
            {"vjp", number(r.worst.gradient)},
            {"second", number(r.worst.second)},
            {"f32", number(r.worst.single)}}}};
}

std::size_t total(const std::vector<Row>& rows, std::size_t Row::*count) {
  std::size_t n = 0;
  for (const Row& r : rows) n += r.*count;
  return n;
}

}  // namespace

std::size_t Report::passed() const { return total(rows, &Row::passed); }
std::size_t Report::failed() const { return total(rows, &Row::failed); }
std::size_t Report::missing() const { return total(rows, &Row::missing); }

void print(std::ostream& os, const Report& report, const ExceptionTable& table, bool all) {
  std::string section;
  for (const Row& r : report.rows) {
    if (r.section != section) print_header(os, section = r.section);
    print_row(os, r);
  }
  print_failures(os, report, all);
  print_exceptions(os, table);
  os << '\n'
     << report.passed() << " passed, " << report.failed() << " failed, " << report.missing()
     << " missing\n";
}

json to_json(const Report& report, const ExceptionTable& table) {
  json rows = json::array(), list = json::array();
  for (const Row& r : report.rows) rows.push_back(row_json(r));
  for (std::size_t i = 0; i < table.all().size(); ++i) {
    const Exception& e = table.all()[i];
    list.push_back({{"op", e.op},
                    {"sample", e.sample},
                    {"excuse", name(e.excuse)},
                    {"kind", e.kind},
                    {"bar", e.bar},
                    {"reason", e.reason},
                    {"samples", table.users(i)},
                    {"stale", table.stale(i)}});
  }
  return {{"rows", rows},
          {"exceptions", list},
          {"passed", report.passed()},
          {"failed", report.failed()},
          {"missing", report.missing()}};
}

}  // namespace xtape::conformance
