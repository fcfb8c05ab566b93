#include "runner.hpp"

#include <algorithm>
#include <cmath>
#include <exception>

namespace xtape::conformance {
namespace {

using Case = ExceptionTable::Case;

// Bars, see tests/data/conformance/README.md.
constexpr Bar kDouble{1e-10, 1e-12}, kSecond{1e-8, 1e-12}, kSingle{1e-5, 1e-7};
constexpr double kPeerErrors = 20;  // times its own error in f32

std::size_t distinct(const Sample& s, bool rounded) {
  std::set<double> values;
  for (const Tensor& t : s.inputs) {
    if (!is_floating(t.dtype())) continue;
    for (std::int64_t i = 0; i < t.size(); ++i) {
      const double x = t.flat(i);
      if (!std::isnan(x)) values.insert(rounded ? static_cast<float>(x) : x);
    }
  }
  return values.size();
}

// One sample in one mode.
class Judge {
 public:
  Judge(std::string_view op, const Sample& s, ExceptionTable& table, Worst& worst,
        std::vector<Failure>& failures)
      : op_(op), s_(s), table_(table), worst_(worst), failures_(failures) {}

  void run(const Evaluator& evaluator, DType dtype, bool program) {
    single_ = dtype == f32;
    program_ = program;
    if (!s_.unreadable.empty()) return report({}, "call", s_.unreadable, 0);
    try {
      judge(evaluator(s_, dtype, program, !single_ && s_.has_second));
    } catch (const std::exception& e) {
      report({}, "call", e.what(), 0);
    }
  }

 private:
  void judge(const Computed& c) {
    ties_ = single_ && distinct(s_, true) != distinct(s_, false);
    if (!s_.values_informative) {
      for (std::size_t i = 0; i < s_.outputs.size(); ++i) value(c.outputs[i], i);
    }
    if (s_.tagged("nonfinite-")) return;  // gradients are for information
    for (std::size_t i = 0; i < c.gradients.size(); ++i) {
      check(c.gradients[i], s_.gradients[i], Case::Part::gradient, kDouble, s_.f32_gradients[i],
            worst_.gradient);
    }
    for (std::size_t i = 0; i < c.dx.size(); ++i) {
      check(c.dx[i], s_.second.dx[i], Case::Part::dx, kSecond, 0, worst_.second);
    }
    for (std::size_t i = 0; i < c.dct.size(); ++i) {
      check(c.dct[i], s_.second.dct[i], Case::Part::dct, kSecond, 0, worst_.second);
    }
  }

  void value(const Tensor& got, std::size_t i) {
    const bool floating = is_floating(s_.outputs[i].dtype());
    if (!floating && ties_) return;  // an index may be another one
    check(got, {i, s_.outputs[i]}, Case::Part::value, kDouble, floating ? s_.f32_values[i] : 0,
          worst_.value);
  }

  void check(const Tensor& got, const Slot& reference, Case::Part part, Bar bar, double peer,
             double& worst) {
    Case c{op_, &s_, program_, single_, part, reference.place, nullptr};
    if (single_ && peer < 0) return;  // not comparable
    if (single_) bar = {kSingle.relative, kSingle.absolute + kPeerErrors * peer};
    Difference d = compare(got, reference.value, bar, single_);
    if (part == Case::Part::dx || part == Case::Part::dct) drop_nan(d, reference.value);
    c.difference = &d;
    const bool excused = !d.ok() && table_.forgives(c);
    if (excused) return;
    double& of_kind = single_ ? worst_.single : worst;
    of_kind = std::max(of_kind, d.error);
    if (d.ok()) return;
    const std::string text = !d.broken.empty()
                                 ? d.broken
                                 : d.first + " (" + std::to_string(d.wrong.size()) + " of " +
                                       std::to_string(got.size()) + " wrong)";
    add(part_name(part) + " " + std::to_string(reference.place), text, d.error);
  }

  // The reference has no second-order value there.
  static void drop_nan(Difference& d, const Tensor& reference) {
    const auto at = std::remove_if(d.wrong.begin(), d.wrong.end(),
                                   [&](std::int64_t i) { return std::isnan(reference.flat(i)); });
    d.wrong.erase(at, d.wrong.end());
    if (d.wrong.empty() && std::isinf(d.error)) d.error = 0;
  }

  static std::string part_name(Case::Part part) {
    switch (part) {
      case Case::Part::value:
        return "output";
      case Case::Part::gradient:
        return "gradient of input";
      case Case::Part::dx:
        return "second order dx of input";
      case Case::Part::dct:
        return "second order dct of output";
      case Case::Part::call:
        break;
    }
    return "call";
  }

  void report(Case c, const std::string& where, const std::string& what, double error) {
    c.op = op_;
    c.sample = &s_;
    c.program = program_;
    c.single = single_;
    if (!table_.forgives(c)) add(where, what, error);
  }

  void add(const std::string& where, const std::string& what, double error) {
    const std::string mode = program_ ? "program" : "eager";
    failures_.push_back({mode + (single_ ? " f32: " : " f64: ") + where, what, error});
  }

  std::string_view op_;
  const Sample& s_;
  ExceptionTable& table_;
  Worst& worst_;
  std::vector<Failure>& failures_;
  bool single_ = false, program_ = false, ties_ = false;
};

}  // namespace

Row run_op(const OpSamples& op, const std::vector<Sample>& samples, const Evaluator& evaluator,
           const Modes& modes, ExceptionTable& table) {
  Row row{"ops", op.name, op.family, samples.size(), 0, 0, 0, {}, {}};
  if (!evaluator) {
    row.missing = samples.size();
    return row;
  }
  for (const Sample& s : samples) {
    std::vector<Failure> failures;
    Judge judge(op.name, s, table, row.worst, failures);
    for (const DType dtype : {f64, f32}) {
      if (modes.eager) judge.run(evaluator, dtype, false);
      if (modes.program) judge.run(evaluator, dtype, true);
    }
    ++(failures.empty() ? row.passed : row.failed);
    if (!failures.empty()) row.failures.push_back({s.id, s.params, failures});
  }
  if (modes.eager && modes.program) table.was_run(op.name);
  return row;
}

Row run_op(const OpSamples& op, const std::vector<Sample>& samples, const Adapter* adapter,
           const Modes& modes, ExceptionTable& table) {
  if (adapter == nullptr) return run_op(op, samples, Evaluator(), modes, table);
  const Evaluator evaluator = [adapter](const Sample& s, DType dtype, bool program, bool second) {
    return evaluate(s, *adapter, dtype, program, second);
  };
  return run_op(op, samples, evaluator, modes, table);
}

}  // namespace xtape::conformance
