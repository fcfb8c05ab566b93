#include <cmath>
#include <map>
#include <mutex>
#include <sstream>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/mutant.hpp>
#include <xtape/autodiff/ops/shaping.hpp>
#include <xtape/autodiff/tape_extras.hpp>

namespace xtape {

using detail::kConstant, detail::kInput, detail::kParameter, detail::kVariable;

namespace {

struct ParameterUse {
  Parameter parameter;
  std::uint64_t version;
  std::string str() const { return parameter.name(); }
  bool operator==(const ParameterUse&) const = default;
};

// Slots outlive every tape and every handle, so that a handle can always ask whether its tape is
// still there. They are recycled, never freed.
struct Slots {
  std::mutex mutex;
  std::vector<detail::TapeSlot*> free;
};

// An address that tells threads apart.
const void* this_thread() {
  static thread_local const char here = 0;
  return &here;
}

Slots& slots() {
  static Slots* const s = new Slots;
  return *s;
}

detail::TapeSlot* acquire_slot(Tape* tape) {
  Slots& s = slots();
  const std::lock_guard lock(s.mutex);
  detail::TapeSlot* slot;
  if (s.free.empty()) {
    s.free.reserve(s.free.capacity() + 1);  // so that giving the slot back cannot throw
    slot = new detail::TapeSlot;
  } else {
    slot = s.free.back();
    s.free.pop_back();
  }
  slot->tape = tape;
  return slot;
}

}  // namespace

// The one place where operations meet tapes.
struct Recorder {
  static constexpr std::size_t kInline = 4;
  static constexpr double kExactIntegers = 9007199254740992.0;  // 2^53

  // A short array on the stack; ops with many inputs (concat) get one on the heap.
  template <class T>
  struct Small {
    explicit Small(std::size_t n)
        : heap(n > kInline ? n : 0), p(n > kInline ? heap.data() : fixed) {}
    T& operator[](std::size_t i) { return p[i]; }
    T fixed[kInline]{};
    std::vector<T, memory::Recycler<T>> heap;
    T* p;
  };

  const Op& op;
  std::span<const Var* const> in;
  Tape* tape = nullptr;
  bool untaped = false;  // some input came from no_grad, or is a buffer
  const Parameter* parameter = nullptr;

  // Finds the tape of the operation and refuses what would lose a gradient.
  void find_tape() {
    for (const Var* v : in) {
      if (!v->defined())
        throw ValueError(op.name, "an operand is empty: assign a value to it first");
      const bool held = v->kind_ == Var::Kind::parameter;
      untaped |= v->kind_ == Var::Kind::no_grad || (held && v->parameter_.is_buffer());
      if (held && !parameter && !v->parameter_.is_buffer()) parameter = &v->parameter_;
      if (Tape* t = v->tape(); t && t != tape) {
        if (tape) {
          throw TapeError(op.name,
                          "operands are on two tapes: put both on one, or write no_grad(x) to use "
                          "the value of one without its history");
        }
        tape = t;
      }
    }
    if (parameter && !tape && !untaped) {
      throw TapeError(op.name, "parameter '" + parameter->name() +
                                   "' meets no tape, so its gradient would be lost: write "
                                   "tape.input(x) for the data (tape.parameter(w) where there is "
                                   "none, beside(w, x) where x may be on a tape or not), or "
                                   "no_grad(x) to compute without gradients");
    }
    if (tape && tape->recording()) check_recordable();
  }

  // What a program could not see change is refused: it would stay as it is now, in silence.
  void check_recordable() const {
    tape->check_thread();
    for (const Var* v : in) {
      if (v->kind_ == Var::Kind::no_grad && !v->parameter_.defined()) {
        throw TapeError(op.name,
                        "a value computed outside the recording (by no_grad or from a buffer) "
                        "would be frozen at what it is now: compute it from recorded values, "
                        "stop_gradient(x) cuts a gradient there; or write .value() for a constant");
      }
      if (v->kind_ == Var::Kind::constant && v->value_.is_symbolic()) {
        throw TapeError(op.name,
                        "the value() of a recorded operation is used as a constant: use the Var");
      }
    }
  }

  // The dtype that plain numbers adopt.
  DType number_dtype() const {
    DType found = f64;
    for (const Var* v : in) {
      if (v->kind_ == Var::Kind::number) continue;
      found = v->dtype();
      if (found != boolean) return found;
    }
    return found == boolean ? f64 : found;
  }

  // A plain number as a tensor.
  Tensor materialize(const Var& v) const {
    const DType dtype = number_dtype();
    if (dtype == i64 && !(std::abs(v.number_) <= kExactIntegers)) {
      throw DTypeError(op.name,
                       "the number " + detail::text(v.number_) +
                           " meets an i64 tensor: beyond 2^53 plain numbers are not exact, "
                           "make a tensor of std::int64_t");
    }
    if (dtype == i64 && v.number_ != std::trunc(v.number_)) {
      throw DTypeError(op.name, "the number " + detail::text(v.number_) +
                                    " meets an i64 tensor, where it would lose its fraction: write "
                                    "cast(x, f32) or cast(x, f64)");
    }
    return Tensor::scalar(v.number_, dtype);
  }

  Var run(AttrsRef attrs) {
    find_tape();
    const std::size_t n = in.size();
    if (op.arity >= 0 && n != static_cast<std::size_t>(op.arity)) {
      throw ValueError(op.name,
                       "takes " + std::to_string(op.arity) + " operands, got " + std::to_string(n));
    }
    Small<Tensor> numbers(n);
    Small<const Tensor*> values(n);  // no copies: each would cost two atomic operations
    Small<const Spec*> specs(n);
    for (std::size_t i = 0; i < n; ++i) {
      const bool number = in[i]->kind_ == Var::Kind::number;
      if (number) numbers[i] = materialize(*in[i]);
      values[i] = number ? &numbers[i] : &in[i]->value();
      specs[i] = &values[i]->spec();
    }
    const Spec spec = op.infer({op, {specs.p, n}, attrs.get()});
    Tensor out;
    if (tape && tape->recording()) {
      out = Tensor::symbolic(spec);
    } else {
      out = op.aliases ? values[0]->reshape(spec.shape) : Tensor::empty(spec.shape, spec.dtype);
      if (!op.aliases || op.checks) {
        Small<KernelArgs::Operand> operands(n);
        for (std::size_t i = 0; i < n; ++i) operands[i] = {values[i]->raw(), specs[i]};
        op.kernel({op, {operands.p, n}, op.checks ? nullptr : out.raw(), spec, attrs.get()});
      }
    }
    if (tape && tape->extras_) check_anomaly(values.p, out, attrs.get());
    if (tape) return record(values.p, std::move(attrs), std::move(out));
    Var v(std::move(out));
    if (untaped) v.kind_ = Var::Kind::no_grad;
    return v;
  }

  // The first value that is not finite; not what gradient rules compute on the way, which chain()
  // may absorb.
  void check_anomaly(const Tensor* const* values, const Tensor& out, const Attrs* attrs) const {
    const detail::TapeExtras& extras = *tape->extras_;
    if (!extras.watching || extras.rules > 0 || !extras.anomalous(out)) return;
    std::string text = std::string("the value ") + name(out.dtype()) + out.shape().str() +
                       " is not finite" + detail::range(out);
    if (attrs) text += "; attributes {" + attrs->str() + "}";
    for (std::size_t i = 0; i < in.size(); ++i) {
      text += "; input " + std::to_string(i) + ": ";
      text += in[i]->kind_ == Var::Kind::taped ? tape->describe(in[i]->index_)
              : in[i]->kind_ == Var::Kind::parameter
                  ? "parameter '" + in[i]->parameter_.name() + "'"
                  : "constant " + values[i]->shape().str();
      text += detail::range(*values[i]);
    }
    const std::string where = tape->region(tape->size());
    throw AnomalyError(op.name, text + (where.empty() ? "" : "; " + where));
  }

  std::uint32_t place(const Var& v) const {
    if (v.kind_ == Var::Kind::taped) return v.index_;
    if (v.kind_ == Var::Kind::parameter) return tape->parameter(v.parameter_).index_;
    if (tape->recording() && v.kind_ == Var::Kind::no_grad) {
      return stop_gradient(tape->parameter(v.parameter_)).index_;
    }
    return Tape::kNone;
  }

  Var record(const Tensor* const* values, AttrsRef attrs, Tensor out) {
    const std::size_t n = in.size();
    Small<std::uint32_t> at(n);
    bool requires_grad = false;
    std::uint32_t reads = 0;
    for (std::size_t i = 0; i < n; ++i) {
      at[i] = place(*in[i]);
      if (at[i] == Tape::kNone || !tape->nodes_[at[i]].requires_grad) continue;
      const VjpRule& rule = op.rule(static_cast<int>(i));
      if (!rule.rule || !is_floating(out.dtype())) continue;
      requires_grad = true;
      reads |= rule.reads;
    }
    if (tape->recording()) reads = ~std::uint32_t{0};  // values without elements cost nothing
    for (std::size_t i = 0; i < n; ++i) {
      if (!(reads & reads_in(static_cast<int>(i))) && !tape->recording()) continue;
      if (at[i] == Tape::kNone) at[i] = tape->leaf(kConstant, *values[i], false).index_;
      Tensor& kept = tape->nodes_[at[i]].value;
      if (!kept.defined()) kept = *values[i];
    }
    const auto first = static_cast<std::uint32_t>(tape->edges_.size());
    for (std::size_t i = 0; i < n; ++i) tape->edges_.push_back(at[i]);
    tape->nodes_.push_back({&op, std::move(attrs), reads & kReadsOut ? out : Tensor(), out.spec(),
                            first, static_cast<std::uint32_t>(n), tape->epoch_, requires_grad,
                            false});
    return tape->handle(tape->size() - 1, std::move(out));
  }
};

#ifdef XTAPE_MUTATIONS
namespace {
// A sum with one term dropped, when it is the turn of this one.
Var dropped(const Op& op, std::span<const Var* const> inputs, AttrsRef attrs) {
  detail::Mutant& m = detail::mutant();
  const bool fused = op.name == "multiply_add" || op.name == "chain_add";
  if (!m.inside || (op.name != "add" && op.name != "subtract" && !fused)) return {};
  const int term = m.seen;
  m.seen += 2;
  if (m.kind != "term" || (m.term != term && m.term != term + 1)) return {};
  const std::size_t k = m.term == term ? 0 : inputs.size() - 1;
  Var zero = 0;
  m.inside = false;
  if (inputs[k]->size() > 1 || inputs[k]->rank() > 0) {
    zero = Tensor::zeros(inputs[k]->shape(), inputs[k]->dtype());
  }
  std::vector<const Var*> changed(inputs.begin(), inputs.end());
  changed[k] = &zero;
  const Var y = Recorder{op, changed}.run(std::move(attrs));
  m.inside = true;
  return y;
}
}  // namespace
#endif

Var apply(const Op& op, std::span<const Var* const> inputs, AttrsRef attrs) {
#ifdef XTAPE_MUTATIONS
  if (const Var y = dropped(op, inputs, attrs); y.defined()) return y;
#endif
  return Recorder{op, inputs}.run(std::move(attrs));
}

Tape::Tape() : slot_(acquire_slot(this)) {
  try {
    nodes_.reserve(slot_->nodes);
    edges_.reserve(slot_->edges);
  } catch (const std::exception&) {  // the last tape's size is a guess: this one may need less
  }
}

Tape::~Tape() {
  delete extras_;
  Slots& s = slots();
  const std::lock_guard lock(s.mutex);
  slot_->tape = nullptr;
  slot_->nodes = size();
  slot_->edges = static_cast<std::uint32_t>(edges_.size());
  ++slot_->generation;
  s.free.push_back(slot_);
}

Var Tape::handle(std::uint32_t index, Tensor value) const {
  Var v(std::move(value));
  v.kind_ = Var::Kind::taped;
  v.slot_ = slot_;
  v.generation_ = slot_->generation;
  v.index_ = index;
  v.epoch_ = nodes_[index].epoch;
  return v;
}

Var Tape::leaf(const Op& op, const Tensor& value, bool requires_grad, AttrsRef attrs) {
  if (extras_ && extras_->watching && extras_->rules == 0 && extras_->anomalous(value)) {
    throw AnomalyError(op.name, std::string("the value ") + name(value.dtype()) +
                                    value.shape().str() +
                                    (attrs ? " of '" + attrs->str() + "'" : "") + " is not finite" +
                                    detail::range(value));
  }
  nodes_.push_back({&op, std::move(attrs), recording() ? value : Tensor(), value.spec(),
                    static_cast<std::uint32_t>(edges_.size()), 0, epoch_, requires_grad, false});
  return handle(size() - 1, value);
}

Var Tape::variable(const Tensor& value, std::string label, SourceLocation where) {
  if (!is_floating(value.dtype())) {
    throw DTypeError("variable", std::string("dtype ") + name(value.dtype()) +
                                     " has no gradient: use tape.input(x), or x.to(f64)");
  }
  Var v = leaf(kVariable, value, true);
  if (!label.empty()) labels_[v.index_] = std::move(label);
  if (extras_ && extras_->watching) extras_->places[v.index_] = where;
  return v;
}

Var Tape::input(const Tensor& value, std::string label, SourceLocation where) {
  Var v = leaf(kInput, value, false);
  if (!label.empty()) labels_[v.index_] = std::move(label);
  if (extras_ && extras_->watching) extras_->places[v.index_] = where;
  return v;
}

Var Tape::parameter(const Parameter& p) {
  if (recording()) check_thread();
  if (const auto it = parameters_.find(p.id()); it != parameters_.end()) {
    const Node& n = nodes_[it->second.leaf];
    // A second node for the same parameter would get only a part of its gradient.
    if (get_attrs<ParameterUse>(n.attrs.get()).version != p.version() ||
        n.requires_grad == p.frozen()) {
      throw TapeError("parameter", "'" + p.name() +
                                       "' was modified (or frozen) after it joined this tape: take "
                                       "the gradient first, and use a new tape or tape.rewind()");
    }
    const std::uint32_t at = it->second.current;
    return handle(at, recording() ? nodes_[at].value : p.value());
  }
  const Tensor value = recording() ? Tensor::symbolic(p.value().spec()) : p.value();
  Var v = leaf(kParameter, value, !p.frozen(), make_attrs(ParameterUse{p, p.version()}));
  parameters_[p.id()] = {v.index_, v.index_};
  return v;
}

void Tape::begin_recording() { recorder_ = this_thread(); }

void Tape::check_thread() const {
  if (recorder_ == this_thread()) return;
  throw TapeError("compile", "an operation of another thread: a program is recorded by one thread");
}

void Tape::store(const Parameter& p, const Var& value) {
  const Spec &want = p.value().spec(), &have = value.value().spec();
  if (want != have) {
    const std::string met = std::string("assigning ") + name(have.dtype) + have.shape.str() +
                            " to " + name(want.dtype) + want.shape.str() + ": they must be equal";
    if (want.shape != have.shape) throw ShapeError(p.name(), met);
    throw DTypeError(p.name(), met);
  }
  parameter(p);
  // A node of its own: gradients by the parameter's new value end here.
  const Var cut = stop_gradient(value);
  nodes_[cut.index_].requires_grad = !p.frozen();
  auto& place = parameters_[p.id()];
  superseded_.emplace_back(p, place.current);
  const bool again = place.current != place.leaf;
  if (again) std::erase_if(stores_, [&](const Store& s) { return s.target == p; });
  place.current = cut.index_;
  stores_.push_back({p, cut.index_});
}

void assign(Parameter& p, const Var& value) {
  Tape* tape = value.tape();
  if (tape && tape->recording()) return tape->store(p, value);
  throw TapeError(p.name(),
                  "assign() of a value that compile() does not record would act once, not in every "
                  "run: compute it from recorded values (beside(q, x) puts a parameter q where x "
                  "is), or write p.assign(tensor) outside");
}

const Parameter* Tape::parameter_of(const Node& n) {
  return n.op == &kParameter ? &get_attrs<ParameterUse>(n.attrs.get()).parameter : nullptr;
}

bool Tape::owns(const Var& v) const { return v.tape() == this; }

void Tape::rewind(std::uint32_t mark) {
  if (mark > size()) {
    throw TapeError("rewind", "mark " + std::to_string(mark) + " is beyond the tape's size " +
                                  std::to_string(size()));
  }
  if (recording()) throw TapeError("rewind", "a recording cannot be rewound");
  if (mark == size()) return;
  edges_.resize(nodes_[mark].first_edge);
  nodes_.erase(nodes_.begin() + mark, nodes_.end());
  std::erase_if(parameters_, [&](const auto& p) { return p.second.leaf >= mark; });
  labels_.erase(labels_.lower_bound(mark), labels_.end());
  if (extras_) extras_->forget_from(mark);
  ++epoch_;
}

Parameters Tape::used_parameters() const {
  Parameters out;
  for (const Node& n : nodes_) {
    if (const Parameter* p = parameter_of(n)) out.push_back(*p);
  }
  return out;
}

const Tensor& Var::value() const& {
  if (kind_ == Kind::parameter) return parameter_.value();
  if (!value_.defined()) {
    const std::string number = detail::text(number_);
    throw ValueError("Var", kind_ == Kind::number
                                ? "the plain number " + number +
                                      " stands where a tensor is needed: write Tensor::scalar(" +
                                      number + ")"
                                : "an empty handle was used: assign a value to it first");
  }
  return value_;
}

Tape* Var::tape() const {
  if (kind_ != Kind::taped) return nullptr;
  if (slot_->generation != generation_) {
    throw TapeError("Var",
                    "this value outlived its tape: keep the Tape alive while you use it, or "
                    "write no_grad(x) while it lives");
  }
  Tape* t = slot_->tape;
  if (index_ >= t->size() || t->nodes_[index_].epoch != epoch_) {
    throw TapeError("Var", "the tape was rewound past this value: record it again");
  }
  return t;
}

Var beside(const Var& x, const Var& other) {
  if (x.kind_ != Var::Kind::parameter) return x;
  if (Tape* tape = other.tape()) return tape->parameter(x.parameter_);
  return other.kind_ == Var::Kind::no_grad ? no_grad(x) : x;
}

Var no_grad(const Var& x) {
  if (Tape* tape = x.tape(); tape && tape->recording()) return stop_gradient(x);
  Var v(x.value());
  if (x.kind_ == Var::Kind::parameter) v.parameter_ = x.parameter_;  // a recording reads it live
  v.kind_ = Var::Kind::no_grad;
  return v;
}

std::ostream& operator<<(std::ostream& os, const Var& v) {
  return v.kind_ == Var::Kind::number ? os << v.number_ : os << v.value();
}

}  // namespace xtape
