#include <algorithm>
#include <atomic>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/ops/pointwise.hpp>
#include <xtape/autodiff/passes/passes.hpp>
#include <xtape/autodiff/program/executable.hpp>

namespace xtape {

using program::Executable;

namespace program {
std::string listing(const Executable& e, const std::string& name);
std::string listing_json(const Executable& e, const std::string& name);
StepProfile describe_step(const Executable& e, Id u);
}  // namespace program

namespace detail {

void check_arity(int takes, std::size_t given) {
  if (static_cast<std::size_t>(takes) == given) return;
  throw ValueError("compile", "the function takes " + std::to_string(takes) +
                                  " arguments, but signatures are given for " +
                                  std::to_string(given));
}

struct ProgramData {
  struct Entry {
    std::vector<Spec> specs;
    std::unique_ptr<Executable> code;
    std::vector<Tensor> outputs;
    std::uint64_t used = 0;
  };
  RecordedFunction f;
  CompileOptions options;
  std::vector<Entry> entries;
  std::size_t current = 0;
  std::uint64_t clock = 0;
  std::size_t recordings = 0;
  std::atomic_flag busy = ATOMIC_FLAG_INIT;

  Entry record(const std::vector<Spec>& specs);
  Entry& entry_for(std::span<const program::Argument> arguments);
  void refuse(std::span<const program::Argument> arguments) const;
};

namespace {

program::Graph optimize(program::Graph g, const Passes& p) {
  const auto clean = [&] {
    if (p.simplify) g = passes::simplify(g);
    if (p.fold_constants) g = passes::fold_constants(g);
    if (p.common_subexpressions) g = passes::common_subexpressions(g);
  };
  g = passes::dead_code(g);
  clean();
  clean();  // what folding made of constants is simplified, too
  if (p.gemm_forms) g = passes::gemm_forms(g);
  if (p.expand && p.fuse) {
    g = passes::expand(g);
    clean();
  }
  return passes::dead_code(g);
}

bool matches(const program::Argument& a, const Spec& s) {
  return a.tensor ? a.tensor->spec() == s : s.shape.size() == 1;
}

}  // namespace

ProgramData::Entry ProgramData::record(const std::vector<Spec>& specs) {
  program::Capture capture;
  std::vector<Var> in;
  for (const Spec& s : specs) in.push_back(capture.input(s));
  std::vector<Var> out = f(in);
  // A parameter itself, or a constant (the gradient of a sum, say), is an output, too; by an
  // operation, which refuses what would be frozen.
  const Var always = capture.tape().input(Tensor::scalar(1, boolean));
  for (Var& v : out) {
    if (v.defined() && !v.tape()) v = where(always, v, v);
  }
  Entry e;
  e.specs = specs;
  e.code =
      std::make_unique<Executable>(optimize(capture.finish(out), options.passes), options.passes);
  ++recordings;
  return e;
}

void ProgramData::refuse(std::span<const program::Argument> arguments) const {
  const std::vector<Spec>& want = entries[current].specs;
  for (std::size_t k = 0; k < want.size(); ++k) {
    if (matches(arguments[k], want[k])) continue;
    const Spec have = arguments[k].tensor ? arguments[k].tensor->spec() : Spec{{}, want[k].dtype};
    const std::string text = "argument " + std::to_string(k) + " is " + xtape::name(have.dtype) +
                             have.shape.str() + ", recorded for " + xtape::name(want[k].dtype) +
                             want[k].shape.str() + ": compile for it, or with {.recompile = true}";
    if (have.shape != want[k].shape) throw ShapeError(options.name, text);
    throw DTypeError(options.name, text);
  }
}

ProgramData::Entry& ProgramData::entry_for(std::span<const program::Argument> arguments) {
  const auto fits = [&](const Entry& e) {
    for (std::size_t k = 0; k < arguments.size(); ++k) {
      if (!matches(arguments[k], e.specs[k])) return false;
    }
    return e.code->parameters_fit();
  };
  if (arguments.size() != entries[current].specs.size()) {
    throw ValueError(options.name, std::to_string(arguments.size()) + " arguments, recorded for " +
                                       std::to_string(entries[current].specs.size()));
  }
  if (fits(entries[current])) return entries[current];
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (fits(entries[i])) return entries[current = i];
  }
  if (!options.recompile) {
    refuse(arguments);
    entries[current].code->check_parameters(options.name);
    throw ValueError(options.name, "internal: fits no recording");
  }
  std::vector<Spec> specs = entries[current].specs;
  for (std::size_t k = 0; k < specs.size(); ++k) {
    if (arguments[k].tensor) {
      specs[k] = arguments[k].tensor->spec();
    } else if (specs[k].shape.size() != 1) {
      specs[k].shape = {};  // a plain number
    }
  }
  Entry fresh = record(specs);
  if (entries.size() >= std::max<std::size_t>(options.max_signatures, 1)) {
    entries.erase(std::min_element(entries.begin(), entries.end(),
                                   [](auto& a, auto& b) { return a.used < b.used; }));
  }
  entries.push_back(std::move(fresh));
  current = entries.size() - 1;
  return entries[current];
}

}  // namespace detail

Program::Program(detail::RecordedFunction f, std::vector<Spec> inputs, CompileOptions options)
    : data_(std::make_shared<detail::ProgramData>()) {
  data_->f = std::move(f);
  data_->options = std::move(options);
  data_->entries.push_back(data_->record(inputs));
  // A program that is never recorded again need not keep what the function captured.
  if (!data_->options.recompile) data_->f = nullptr;
}

detail::ProgramData& Program::data() const {
  if (!data_)
    throw ValueError("Program", "an empty handle was used: assign compile(…) to it first");
  return *data_;
}

namespace {

// A program has one arena: one run at a time.
class Turn {
 public:
  explicit Turn(detail::ProgramData& d) : d_(d) {
    if (d.busy.test_and_set(std::memory_order_acquire)) {
      throw ValueError(d.options.name,
                       "runs in another thread already: compile one for each thread");
    }
  }
  ~Turn() { d_.busy.clear(std::memory_order_release); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  detail::ProgramData& d_;
};

}  // namespace

const std::vector<Tensor>& Program::run_arguments(std::span<const program::Argument> arguments) {
  detail::ProgramData& d = data();
  const Turn turn(d);
  detail::ProgramData::Entry& e = d.entry_for(arguments);
  e.used = ++d.clock;
  e.code->run(arguments, e.outputs);
  return e.outputs;
}

const std::vector<Tensor>& Program::run(std::span<const Tensor> arguments) {
  constexpr std::size_t kInline = 16;
  program::Argument few[kInline];
  std::vector<program::Argument> many(arguments.size() > kInline ? arguments.size() : 0);
  program::Argument* p = many.empty() ? few : many.data();
  for (std::size_t k = 0; k < arguments.size(); ++k) p[k] = {&arguments[k], 0};
  return run_arguments({p, arguments.size()});
}

void Program::check_single() const {
  const detail::ProgramData& d = data();
  const std::size_t outputs = d.entries[d.current].code->graph().outputs.size();
  if (outputs <= 1) return;
  throw ValueError(d.options.name,
                   "has " + std::to_string(outputs) + " outputs: call run({…}) to get them all");
}

std::vector<StepProfile> Program::profile(std::span<const Tensor> arguments, int rounds) {
  if (rounds < 1)
    throw ValueError("profile", "rounds " + std::to_string(rounds) + ": must be 1 or more");
  run(arguments);
  detail::ProgramData& d = data();
  const Turn turn(d);
  detail::ProgramData::Entry& e = d.entries[d.current];
  std::vector<program::Argument> list;
  for (const Tensor& t : arguments) list.push_back({&t, 0});
  std::vector<std::vector<double>> times(e.code->units().units.size());
  std::vector<double> seconds;
  for (int r = 0; r < rounds; ++r) {
    e.code->run(list, e.outputs, &seconds);
    for (std::size_t k = 0; k < seconds.size(); ++k) times[k].push_back(1e6 * seconds[k]);
  }
  std::vector<StepProfile> out;
  double total = 0;
  for (program::Id u = 0; u < times.size(); ++u) {
    auto middle = times[u].begin() + static_cast<std::ptrdiff_t>(times[u].size() / 2);
    std::nth_element(times[u].begin(), middle, times[u].end());
    out.push_back(program::describe_step(*e.code, u));
    out.back().microseconds = *middle;
    total += *middle;
  }
  for (StepProfile& s : out) s.share = total > 0 ? s.microseconds / total : 0;
  return out;
}

std::string Program::str() const {
  const auto& d = data();
  return program::listing(*d.entries[d.current].code, d.options.name);
}
std::string Program::json() const {
  const auto& d = data();
  return program::listing_json(*d.entries[d.current].code, d.options.name);
}
std::size_t Program::arena_bytes() const {
  return data().entries[data().current].code->arena_bytes();
}
std::size_t Program::least_bytes() const {
  return data().entries[data().current].code->least_bytes();
}
std::size_t Program::steps() const {
  return data().entries[data().current].code->units().units.size();
}
std::size_t Program::recordings() const { return data().recordings; }

}  // namespace xtape
