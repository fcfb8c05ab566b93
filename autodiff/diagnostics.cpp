#include <algorithm>
#include <cmath>
#include <limits>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/tape_extras.hpp>

namespace xtape {

namespace detail {

const Hooks* TapeExtras::find(const Parameter& p) {
  return static_cast<const Hooks*>(p.data().hooks.get());
}

void TapeExtras::add(const Var& x, const Ref<Hook>& hook) {
  if (x.kind_ == Var::Kind::parameter) {
    auto& hooks = x.parameter_.data().hooks;
    if (!hooks) hooks = Ref<HookList>(new Hooks);
    static_cast<Hooks*>(hooks.get())->list.push_back(hook);
  } else if (Tape* tape = x.tape()) {
    tape->extras().hooks[x.index()].list.push_back(hook);
  } else {
    throw TapeError("add_gradient_hook",
                    "x is neither recorded nor a Parameter, so it has no gradient: make it by "
                    "tape.variable(x)");
  }
}

void TapeExtras::forget_from(std::uint32_t mark) {
  // Closed regions behind the mark go; what is open stays open, beginning at the mark at most.
  std::erase_if(regions, [&](const Region& r) { return r.begin >= mark && r.end != Tape::kNone; });
  for (Region& r : regions) {
    r.begin = std::min(r.begin, mark);
    if (r.end != Tape::kNone) r.end = std::min(r.end, mark);
  }
  hooks.erase(hooks.lower_bound(mark), hooks.end());
  places.erase(places.lower_bound(mark), places.end());
}

bool TapeExtras::anomalous(const Tensor& t) const {
  if (!is_floating(t.dtype()) || t.is_symbolic() || all_finite(t)) return false;
  if (options.infinities) return true;
  for (std::int64_t i = 0; i < t.size(); ++i) {
    if (std::isnan(t.flat(i))) return true;
  }
  return false;
}

std::string range(const Tensor& t) {
  if (t.size() == 0 || t.is_symbolic()) return "";
  double low = std::numeric_limits<double>::infinity(), high = -low;
  std::int64_t nan = 0, infinite = 0;
  for (std::int64_t i = 0; i < t.size(); ++i) {
    const double x = t.flat(i);
    if (std::isnan(x)) {
      ++nan;
    } else if (std::isinf(x)) {
      ++infinite;
    } else {
      low = std::min(low, x);
      high = std::max(high, x);
    }
  }
  std::string s;
  if (low <= high) s = " in [" + text(low) + ", " + text(high) + "]";
  if (nan) s += ", " + std::to_string(nan) + " NaN";
  if (infinite) s += ", " + std::to_string(infinite) + " infinite";
  return s;
}

Var call_hooks(const Hooks& hooks, Var g) {
  for (std::size_t i = 0; i < hooks.list.size(); ++i) {
    const Ref<Hook> hook = hooks.list[i];  // it may remove itself
    if (!hook->active) continue;
    const Var other = hook->f(g);
    if (!other.defined()) continue;
    const Spec &have = other.value().spec(), &want = g.value().spec();
    if (have != want) {
      throw GradientError("gradient hook", std::string("a gradient ") + name(want.dtype) +
                                               want.shape.str() + " became " + name(have.dtype) +
                                               have.shape.str() + ": shape and dtype must stay");
    }
    g = other;
  }
  return g;
}

}  // namespace detail

namespace {

std::string place(const SourceLocation& where) {
  if (where.line == 0) return "";
  return std::string(where.file) + ":" + std::to_string(where.line) + " in " + where.function;
}

}  // namespace

Scope::Scope(Tape& tape, std::string label, SourceLocation where) : tape_(tape) {
  tape.extras().regions.push_back({std::move(label), where, tape.size(), Tape::kNone});
}

Scope::~Scope() {
  // Regions nest: the last open one is ours.
  auto& regions = tape_.extras().regions;
  const auto own = std::find_if(regions.rbegin(), regions.rend(),
                                [](const auto& r) { return r.end == Tape::kNone; });
  if (own != regions.rend()) own->end = tape_.size();
}

detail::TapeExtras& Tape::extras() {
  if (!extras_) extras_ = new detail::TapeExtras;
  return *extras_;
}

// The open regions around a node, outermost first, and the place of a leaf.
std::string Tape::region(std::uint32_t index) const {
  if (!extras_) return "";
  std::string s;
  for (const auto& r : extras_->regions) {
    if (index < r.begin || index >= r.end) continue;
    s += (s.empty() ? "in '" : " > '") + r.label + "' (" + place(r.where) + ")";
  }
  if (const auto it = extras_->places.find(index); it != extras_->places.end()) {
    s += (s.empty() ? "from " : ", from ") + place(it->second);
  }
  return s;
}

void Tape::detect_anomaly(const AnomalyOptions& options) {
  extras().watching = true;
  extras().options = options;
}

void HookHandle::remove() {
  if (hook_) hook_->active = false;
}

bool HookHandle::active() const { return hook_ && hook_->active; }

HookHandle add_gradient_hook(const Var& x, std::function<Var(const Var&)> hook) {
  HookHandle handle;
  handle.hook_ = detail::Ref<detail::Hook>(new detail::Hook);
  handle.hook_->f = std::move(hook);
  detail::TapeExtras::add(x, handle.hook_);
  return handle;
}

}  // namespace xtape
