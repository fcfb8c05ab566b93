#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/autodiff/program/executable.hpp>

namespace xtape::program {
namespace {

struct GroupStep final : Step {
  using Step::Step;
  void run() override { group.run(); }
  void bound() override { group.prepare(); }
  std::byte** address(std::byte** where) override { return group.address(where); }
  Group group;
};

// An op's kernel, with what it needs at hand.
struct KernelStep final : Step {
  KernelStep(Id u, const Graph& g, Id i)
      : Step(u), node(g.nodes[i]), operands(node.in.size()), in(node.in.size()) {
    std::vector<const Spec*> specs;
    for (std::size_t k = 0; k < in.size(); ++k) {
      operands[k].spec = &g.nodes[node.in[k]].spec;
      specs.push_back(operands[k].spec);
    }
    if (node.op->prepare) {
      prepared.reset(node.op->prepare({*node.op, specs, node.attrs.get()}, node.spec));
    }
  }
  void run() override {
    if (prepared) return prepared->run(const_cast<const void**>(in.data()), out);
    for (std::size_t k = 0; k < in.size(); ++k) operands[k].data = in[k];
    node.op->kernel({*node.op, operands, out, node.spec, node.attrs.get()});
  }
  void open(const Graph& g, Id i, std::vector<Binding>& bindings) {
    for (std::size_t k = 0; k < in.size(); ++k) {
      bindings.push_back({reinterpret_cast<std::byte**>(&in[k]), g.root(node.in[k])});
    }
    if (!node.op->checks) bindings.push_back({&out, i});
  }

  const Node& node;
  std::unique_ptr<Prepared> prepared;
  std::vector<KernelArgs::Operand> operands;
  std::vector<void*> in;
  std::byte* out = nullptr;
};

// Slices that are copied as they lie.
struct PartsStep final : Step {
  using Step::Step;
  void run() override {
    for (const Part& p : parts) {
      if (p.bytes == 4) {
        std::memcpy(p.to, p.from + p.first, 4);
      } else {
        std::memcpy(p.to, p.from + p.first, p.bytes);
      }
    }
  }
  void open(const Graph& g, const std::vector<Id>& members, std::vector<Binding>& bindings) {
    parts.resize(members.size());
    for (std::size_t k = 0; k < members.size(); ++k) {
      const Node& n = g.nodes[members[k]];
      const auto first = static_cast<std::size_t>(*contiguous_part_of(n.attrs.get()));
      parts[k].first = first * size_of(n.spec.dtype);
      parts[k].bytes = n.spec.nbytes();
      bindings.push_back({&parts[k].from, g.root(n.in[0])});
      bindings.push_back({&parts[k].to, members[k]});
    }
  }

  struct Part {
    std::byte *from = nullptr, *to = nullptr;
    std::size_t first = 0, bytes = 0;
  };
  std::vector<Part> parts;
};

// The checks that can be made at the same time.
struct CheckStep final : Step {
  using Step::Step;
  void run() override {
    for (KernelStep& s : checks) s.run();
  }
  std::vector<KernelStep> checks;
};

}  // namespace

Executable::Executable(Graph g, const Passes& passes)
    : g_(std::move(g)),
      units_(make_units(g_, passes.fuse)),
      layout_(make_layout(g_, units_, passes.in_place)) {
  inputs_.resize(g_.inputs.size());
  numbers_.resize(g_.inputs.size());
  parameters_.resize(layout_.parameters.size());
  outputs_.resize(g_.outputs.size());
  std::vector<std::vector<Binding>> bindings(units_.units.size());
  std::vector<GroupStep*> groups;
  for (Id u = 0; u < units_.units.size(); ++u) {
    const Unit& unit = units_.units[u];
    if (unit.kind == Unit::Kind::group) {
      auto step = std::make_unique<GroupStep>(u);
      build_group(g_, units_, u, layout_.external, step->group, bindings[u]);
      groups.push_back(step.get());
      const std::size_t bytes = step->group.memory_bytes();
      if (bytes) layout_.blocks.push_back({bytes, u, u});
      steps_.push_back(std::move(step));
      continue;
    }
    if (unit.kind == Unit::Kind::check) {
      auto step = std::make_unique<CheckStep>(u);
      for (const Id m : unit.members) step->checks.emplace_back(u, g_, m);
      for (std::size_t k = 0; k < unit.members.size(); ++k) {
        step->checks[k].open(g_, unit.members[k], bindings[u]);
      }
      steps_.push_back(std::move(step));
      continue;
    }
    if (unit.kind == Unit::Kind::parts) {
      auto step = std::make_unique<PartsStep>(u);
      step->open(g_, unit.members, bindings[u]);
      steps_.push_back(std::move(step));
      continue;
    }
    auto step = std::make_unique<KernelStep>(u, g_, unit.members[0]);
    step->open(g_, unit.members[0], bindings[u]);
    steps_.push_back(std::move(step));
  }
  least_bytes_ = live_bytes(layout_.blocks);
  if (passes.plan_memory) {
    arena_bytes_ = plan_memory(layout_.blocks);
  } else {
    for (Block& b : layout_.blocks) {
      b.offset = arena_bytes_;
      arena_bytes_ += (b.bytes + kAlignment - 1) / kAlignment * kAlignment;
    }
  }
  arena_ = Tensor::empty({static_cast<std::int64_t>(arena_bytes_ + kAlignment)}, boolean);
  auto* arena = static_cast<std::byte*>(arena_.raw());
  arena += (kAlignment - reinterpret_cast<std::uintptr_t>(arena) % kAlignment) % kAlignment;
  base_ = arena;
  std::size_t block = layout_.blocks.size();
  for (const GroupStep* s : groups) block -= s->group.memory_bytes() != 0;
  for (GroupStep* s : groups) {
    if (s->group.memory_bytes()) s->group.use_memory(base_ + layout_.blocks[block++].offset);
  }
  for (Id u = 0; u < steps_.size(); ++u) {
    const auto changes = [&](const Binding& b) {
      const Location::Kind kind = layout_.location[b.value].kind;
      return kind != Location::Kind::arena && kind != Location::Kind::constant;
    };
    for (const bool changing : {false, true}) {
      for (const Binding& b : bindings[u]) {
        if (changes(b) == changing) bind(b.where, layout_.location[b.value], steps_[u].get());
      }
      if (!changing) steps_[u]->bound();
    }
  }
  bind_copies(layout_.early, early_);
  bind_copies(layout_.late, late_);
}

void Executable::bind(std::byte** where, const Location& l, Step* owner) {
  switch (l.kind) {
    case Location::Kind::arena:
      *where = base_ + layout_.blocks[l.index].offset;
      return;
    case Location::Kind::constant:
      *where = const_cast<std::byte*>(
          static_cast<const std::byte*>(std::as_const(g_.nodes[l.index].constant).raw()));
      return;
    case Location::Kind::none:
      throw Error("compile", "internal: a value has no place");
    default:
      break;
  }
  Slot& slot = l.kind == Location::Kind::input       ? inputs_[l.index]
               : l.kind == Location::Kind::parameter ? parameters_[l.index]
                                                     : outputs_[l.index];
  slot.where.push_back(owner ? owner->address(where) : where);
}

void Executable::bind_copies(const std::vector<Layout::Copy>& plan, std::vector<Copy>& out) {
  out.resize(plan.size());
  for (std::size_t k = 0; k < plan.size(); ++k) {
    out[k].bytes = plan[k].bytes;
    bind(&out[k].from, plan[k].from, nullptr);
    bind(&out[k].to, plan[k].to, nullptr);
  }
}

void Executable::move(Slot& slot, void* to) {
  if (slot.now == to) return;
  slot.now = to;
  for (std::byte** p : slot.where) *p = static_cast<std::byte*>(to);
}

void Executable::find_arguments(std::span<const Argument> arguments) {
  for (std::size_t k = 0; k < inputs_.size(); ++k) {
    const Argument& a = arguments[k];
    if (a.tensor) {
      move(inputs_[k], const_cast<void*>(a.tensor->raw()));
      continue;
    }
    if (!is_floating(g_.inputs[k].dtype) &&
        (a.number != std::trunc(a.number) || std::abs(a.number) > 0x1p53)) {
      throw DTypeError("Program", "argument " + std::to_string(k) + " is the number " +
                                      detail::text(a.number) + ", recorded for " +
                                      name(g_.inputs[k].dtype) +
                                      ", which does not hold it: give a tensor");
    }
    dispatch(g_.inputs[k].dtype, [&](auto zero) {
      const auto value = static_cast<decltype(zero)>(a.number);
      std::memcpy(&numbers_[k], &value, sizeof value);
    });
    move(inputs_[k], &numbers_[k]);
  }
  arguments_.assign(inputs_.size(), [&](std::size_t k) { return inputs_[k].now; });
}

bool Executable::parameters_fit() const {
  for (std::size_t k = 0; k < layout_.parameters.size(); ++k) {
    const Parameter& p = layout_.parameters[k];
    if (p.value().spec() != layout_.recorded[k] || p.frozen() != layout_.frozen[k]) return false;
  }
  return true;
}

void Executable::check_parameters(const std::string& program) const {
  for (std::size_t k = 0; k < layout_.parameters.size(); ++k) {
    const Parameter& p = layout_.parameters[k];
    const Spec &have = p.value().spec(), &want = layout_.recorded[k];
    if (have == want) {
      if (p.frozen() == layout_.frozen[k]) continue;
      throw ValueError(program, "parameter '" + p.name() +
                                    "' was frozen or unfrozen after the recording: compile again, "
                                    "or with {.recompile = true}");
    }
    const std::string text = "parameter '" + p.name() + "' is " + name(have.dtype) +
                             have.shape.str() + ", recorded as " + name(want.dtype) +
                             want.shape.str() + ": compile again, or with {.recompile = true}";
    if (have.shape != want.shape) throw ShapeError(program, text);
    throw DTypeError(program, text);
  }
}

void Executable::find_parameters() {
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    Parameter& p = layout_.parameters[k];
    // What a run changes must not be shared, nor be an argument: a value once seen stays.
    if (layout_.stored[k] && arguments_.contains(p.value().raw())) retired_.push_back(p.value());
    move(parameters_[k],
         layout_.stored[k] ? detail::unshared(p) : const_cast<void*>(p.value().raw()));
  }
}

void Executable::find_outputs(std::vector<Tensor>& outputs) {
  for (std::size_t k = 0; k < outputs_.size(); ++k) {
    const Spec& spec = g_.nodes[g_.outputs[k]].spec;
    Tensor& t = outputs[k];
    if (t.defined() && arguments_.contains(t.raw())) retired_.push_back(t);
    if (!t.defined() || !t.unique()) t = Tensor::empty(spec.shape, spec.dtype);
    move(outputs_[k], t.raw());
  }
}

void Executable::run(std::span<const Argument> arguments, std::vector<Tensor>& outputs,
                     std::vector<double>* seconds) {
  find_arguments(arguments);
  find_parameters();
  outputs.resize(outputs_.size());
  find_outputs(outputs);
  struct Release {  // what an argument shared is the caller's alone again
    std::vector<Tensor>& retired;
    ~Release() { retired.clear(); }
  } const release{retired_};
  const auto copy = [](const Copy& c) { std::memcpy(c.to, c.from, c.bytes); };
  for (const Copy& c : early_) copy(c);
  if (!seconds) {
    for (const auto& s : steps_) s->run();
  } else {
    using Clock = std::chrono::steady_clock;
    seconds->resize(steps_.size());
    auto before = Clock::now();
    for (std::size_t k = 0; k < steps_.size(); ++k) {
      steps_[k]->run();
      const auto now = Clock::now();
      (*seconds)[k] = std::chrono::duration<double>(now - before).count();
      before = now;
    }
  }
  for (const Copy& c : late_) copy(c);
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    if (layout_.stored[k]) detail::touch(layout_.parameters[k]);
  }
}

}  // namespace xtape::program
