#pragma once

#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "adapters.hpp"
#include "compare.hpp"
#include "corpus.hpp"
#include "evaluate.hpp"
#include "exceptions.hpp"

namespace xtape::conformance {

/// How samples are run.
struct Modes {
  bool eager = true, program = true;
};

/// Something that is not as in the reference data.
struct Failure {
  std::string where;  ///< "eager f64: gradient of input 0".
  std::string what;
  double error = 0;  ///< Relative, 0 where there is none.
};

/// The largest relative errors, of what was compared.
struct Worst {
  double value = 0, gradient = 0, second = 0, single = 0;
};

/// A sample with failures.
struct FailedSample {
  std::string id;
  nlohmann::json params;
  std::vector<Failure> failures;
};

/// What came of the samples of one op, or of one network or optimizer.
struct Row {
  std::string section, name, family;
  std::size_t samples = 0, passed = 0, failed = 0, missing = 0;
  Worst worst;
  std::vector<FailedSample> failures;
};

/// Exceptions and the samples that needed them. Those of ops that were run and that nobody needed
/// are stale.
class ExceptionTable {
 public:
  explicit ExceptionTable(std::span<const Exception> all) : all_(all), users_(all.size()) {}
  /// What is to be forgiven: where it happened.
  struct Case {
    std::string_view op;
    const Sample* sample = nullptr;
    bool program = false, single = false;
    enum class Part { call, value, gradient, dx, dct } part = Part::call;
    std::size_t place = 0;                   ///< Of the output or input.
    const Difference* difference = nullptr;  ///< Null for what threw.
  };
  /// Whether an exception covers it, which is then noted.
  bool forgives(const Case& c);
  /// Notes that all samples of this op were run in all modes.
  void was_run(std::string_view op) { run_.insert(std::string(op)); }

  std::span<const Exception> all() const { return all_; }
  const std::set<std::string>& users(std::size_t i) const { return users_[i]; }
  bool stale(std::size_t i) const {
    return users_[i].empty() && run_.count(std::string(all_[i].op)) != 0;
  }

 private:
  std::span<const Exception> all_;
  std::vector<std::set<std::string>> users_;
  std::set<std::string, std::less<>> run_;
};

/// What a sample comes to: in that dtype, on a tape or in a program, with second-order products.
using Evaluator = std::function<Computed(const Sample&, DType, bool program, bool second)>;

/// Runs all samples of an op; with no evaluator they are missing.
Row run_op(const OpSamples& op, const std::vector<Sample>& samples, const Evaluator& evaluator,
           const Modes& modes, ExceptionTable& table);
/// The same for an adapter, or none.
Row run_op(const OpSamples& op, const std::vector<Sample>& samples, const Adapter* adapter,
           const Modes& modes, ExceptionTable& table);

}  // namespace xtape::conformance
