#include <cstring>

#include <xtape/autodiff/checkpoint.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

// What it takes to compute the function again, and the gradients of the last time.
struct Segment : detail::Counted {
  CheckpointFunction f;
  std::size_t inputs = 0;
  Parameters parameters;
  std::vector<std::uint64_t> versions;
  std::vector<Generator> generators;
  struct Place {
    std::uint64_t seed, stream;
    std::int64_t position;
  };
  std::vector<Place> places;  // of the generators
  Tensor value;               // until the node has it
  Tensor cotangent;
  Tensors gradients;

  // f, with generators where they were when the node was made.
  Var evaluate(std::span<const Var> xs) {
    std::vector<Place> now;
    for (std::size_t i = 0; i < generators.size(); ++i) {
      now.push_back(place_of(generators[i]));
      go(generators[i], places[i]);
    }
    Var y = f(xs);
    for (std::size_t i = 0; i < generators.size(); ++i) go(generators[i], now[i]);
    return y;
  }
  static Place place_of(const Generator& g) {
    return {g.seed(), g.stream(), static_cast<std::int64_t>(g.position().value().item())};
  }
  static void go(Generator& g, const Place& to) {
    if (g.seed() != to.seed || g.stream() != to.stream) g.reseed(to.seed, to.stream);
    g.seek(to.position);
  }
  void check_versions() const {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (parameters[i].version() == versions[i]) continue;
      throw TapeError("checkpoint", "parameter '" + parameters[i].name() +
                                        "' was modified after this tape read it: take the "
                                        "gradient first, then update");
    }
  }
};
void destroy(const Segment* s) noexcept { delete s; }

struct CheckpointAttrs {
  detail::Ref<Segment> segment;
  std::string str() const { return std::to_string(segment->parameters.size()) + " parameters"; }
  bool operator==(const CheckpointAttrs&) const = default;
};

Segment& segment_of(const Attrs* a) { return *get_attrs<CheckpointAttrs>(a).segment; }

std::vector<Var> inputs_of(const Vjp& v, const Segment& s) {
  std::vector<Var> xs;
  for (std::size_t i = 0; i < s.inputs; ++i) xs.push_back(v.in(static_cast<int>(i)));
  return xs;
}

// All gradients come from one evaluation; the engine asks for them one after the other.
Var checkpoint_vjp(const Vjp& v) {
  Segment& s = *v.attrs<CheckpointAttrs>().segment;
  s.check_versions();
  const auto arg = static_cast<std::size_t>(v.arg);
  std::vector<Var> xs = inputs_of(v, s);
  Tape* wanted = v.ct.tape();  // where a derivative of this rule is wanted
  if (wanted && !v.recording()) {
    for (Var& x : xs) {
      x = is_floating(x.dtype()) ? wanted->variable(x.value()) : wanted->input(x.value());
    }
  }
  if (wanted || v.recording()) {
    const Var y = s.evaluate(xs);
    const Var target = arg < s.inputs ? xs[arg] : Var(s.parameters[arg - s.inputs]);
    return gradient(y, target, {.cotangent = v.ct, .unconnected = Unconnected::zero});
  }
  const Tensor& ct = v.ct.value();
  const bool there = s.cotangent.shares_memory_with(ct) && s.gradients[arg].defined();
  if (!there) {
    Tape tape;
    std::vector<Var> targets;
    for (const Var& x : xs) {
      targets.push_back(is_floating(x.dtype()) ? tape.variable(x.value()) : tape.input(x.value()));
    }
    const Var y = s.evaluate(targets);
    targets.insert(targets.end(), s.parameters.begin(), s.parameters.end());
    s.gradients = tape.gradient(y, std::span<const Var>(targets),
                                {.cotangent = ct, .unconnected = Unconnected::zero});
    s.cotangent = ct;
  }
  Tensor g = std::move(s.gradients[arg]);
  s.gradients[arg] = Tensor();
  const bool last = std::none_of(s.gradients.begin(), s.gradients.end(),
                                 [](const Tensor& t) { return t.defined(); });
  if (last) s.cotangent = Tensor();
  return g;
}

std::vector<Sample> checkpoint_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{2, 1, 2, 2}}) {
    out.push_back({shape.str(), {s.draw(shape), s.draw(shape)}, [](std::span<const Var> in) {
                     return checkpoint(
                         [](std::span<const Var> x) { return sin(x[0]) * tanh(x[1]) + x[0]; },
                         {in[0], in[1]});
                   }});
  }
  return out;
}

constexpr Op kCheckpoint{
    .name = "checkpoint",
    .math = "y = f(x), forgotten in between",
    .gradient = "that of f, computed again",
    .arity = -1,
    .infer = [](const InferArgs& a) { return segment_of(a.attrs).value.spec(); },
    .kernel =
        [](const KernelArgs& a) {
          std::memcpy(a.out, segment_of(a.attrs).value.raw(), a.spec.nbytes());
        },
    .vjp = {{checkpoint_vjp, ~kReadsOut}},
    .samples = checkpoint_samples};

Tape* tape_of(const std::vector<Var>& xs) {
  for (const Var& x : xs) {
    if (Tape* t = x.tape()) return t;
  }
  return nullptr;
}

}  // namespace

Var checkpoint(CheckpointFunction f, std::vector<Var> xs, std::vector<Generator> generators) {
  Tape* tape = tape_of(xs);
  if (!tape || tape->recording()) return f(xs);
  detail::Ref<Segment> segment(new Segment);
  Segment& s = *segment;
  s.f = std::move(f);
  s.inputs = xs.size();
  s.generators = std::move(generators);
  for (const Generator& g : s.generators) {
    s.places.push_back(Segment::place_of(g));
  }
  {
    Tape once;  // shows which parameters f uses
    std::vector<Var> inside;
    for (const Var& x : xs) inside.push_back(once.input(x.value()));
    s.value = s.f(inside).value();
    s.parameters = once.used_parameters();
  }
  for (const Parameter& p : s.parameters) {
    s.versions.push_back(p.version());
    xs.emplace_back(p);
  }
  std::vector<const Var*> in;
  for (const Var& x : xs) in.push_back(&x);
  Var y = apply(kCheckpoint, in, make_attrs(CheckpointAttrs{segment}));
  s.value = Tensor();
  return y;
}

namespace families {
Family checkpointing() { return {&kCheckpoint}; }
}  // namespace families

}  // namespace xtape
