#include "evaluate.hpp"

#include <stdexcept>

namespace xtape::conformance {
namespace {

Tensor as(const Tensor& t, DType dtype) { return is_floating(t.dtype()) ? t.to(dtype) : t; }

// The inputs, the cotangents, the weights of the second order: what a program takes.
std::vector<Tensor> arguments(const Sample& s, DType dtype, bool second) {
  std::vector<Tensor> out;
  for (const Tensor& t : s.inputs) out.push_back(as(t, dtype));
  for (const Slot& ct : s.cotangents) out.push_back(as(ct.value, dtype));
  if (!second) return out;
  for (const Slot& w : s.second.weights) out.push_back(as(w.value, dtype));
  return out;
}

// The derivative is that of A → f((A + Aᵀ)/2).
Var symmetrised(const Var& x) {
  if (x.rank() < 2) return x;
  Axes perm;
  for (int i = 0; i < x.rank(); ++i) perm.push_back(i);
  std::swap(perm[x.rank() - 1], perm[x.rank() - 2]);
  return (x + transpose(x, perm)) / 2;
}

void check_output(std::size_t i, const Var& y, const Tensor& reference, DType dtype) {
  const std::string which = "output " + std::to_string(i) + " has ";
  if (y.shape() != reference.shape()) {
    throw std::runtime_error(which + "shape " + y.shape().str() + ", expected " +
                             reference.shape().str());
  }
  if (y.dtype() != (is_floating(reference.dtype()) ? dtype : reference.dtype())) {
    throw std::runtime_error(which + "dtype " + name(y.dtype()));
  }
}

class Recording {
 public:
  Recording(const Sample& s, const Adapter& adapter, DType dtype, bool second)
      : s_(s), adapter_(adapter), dtype_(dtype), second_(second) {}

  // Outputs, gradients, dx, dct.
  std::vector<Var> operator()(std::span<const Var> in) const {
    const std::size_t n = s_.inputs.size(), m = s_.cotangents.size();
    const std::vector<Var> outputs = call(in.first(n));
    std::vector<Var> targets;
    for (const Slot& g : s_.gradients) targets.push_back(in[g.place]);
    std::vector<Var> all = outputs;
    if (targets.empty() || m == 0) return all;
    const auto cts = in.subspan(n, m);
    const std::vector<Var> first = gradients(weighted(outputs, s_.cotangents, cts), targets);
    all.insert(all.end(), first.begin(), first.end());
    if (!second_) return all;
    const Var total = weighted_gradients(first, in.subspan(n + m));
    targets.clear();
    for (const Slot& d : s_.second.dx) targets.push_back(in[d.place]);
    for (const Slot& d : s_.second.dct) targets.push_back(cts[cotangent_of(d.place)]);
    const std::vector<Var> last = gradients(total, targets);
    all.insert(all.end(), last.begin(), last.end());
    return all;
  }

 private:
  std::vector<Var> call(std::span<const Var> in) const {
    std::vector<Var> operands(in.begin(), in.end());
    if (s_.symmetric) {
      for (const std::size_t i : s_.differentiable) operands[i] = symmetrised(operands[i]);
    }
    std::vector<Var> out = adapter_(Call(s_.params, operands));
    if (out.size() != s_.outputs.size()) {
      throw std::runtime_error("the adapter gave " + std::to_string(out.size()) +
                               " outputs, expected " + std::to_string(s_.outputs.size()));
    }
    for (std::size_t i = 0; i < out.size(); ++i) check_output(i, out[i], s_.outputs[i], dtype_);
    return out;
  }

  static Var weighted(const std::vector<Var>& y, const std::vector<Slot>& slots,
                      std::span<const Var> weights) {
    Var total;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const Var term = sum(y[slots[i].place] * weights[i]);
      total = i == 0 ? term : total + term;
    }
    return total;
  }

  Var weighted_gradients(const std::vector<Var>& g, std::span<const Var> weights) const {
    Var total;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      std::size_t at = 0;
      while (s_.gradients.at(at).place != s_.second.weights[i].place) ++at;
      const Var term = sum(g[at] * weights[i]);
      total = i == 0 ? term : total + term;
    }
    return total;
  }

  std::size_t cotangent_of(std::size_t output) const {
    std::size_t at = 0;
    while (s_.cotangents.at(at).place != output) ++at;
    return at;
  }

  // Of what depends on nothing: zeros.
  static std::vector<Var> gradients(const Var& y, const std::vector<Var>& targets) {
    if (y.tape() != nullptr) return gradient(y, targets, {.unconnected = Unconnected::zero});
    std::vector<Var> zeros;
    for (const Var& t : targets) zeros.push_back(Tensor::zeros(t.shape(), t.dtype()));
    return zeros;
  }

  const Sample& s_;
  const Adapter& adapter_;
  DType dtype_;
  bool second_;
};

std::vector<Tensor> run_eager(const Recording& f, const Sample& s,
                              const std::vector<Tensor>& arguments) {
  Tape tape;
  std::vector<Var> in;
  std::vector<bool> plain(arguments.size(), false);
  for (std::size_t i = 0; i < s.inputs.size(); ++i) plain[i] = true;
  for (const std::size_t i : s.differentiable) plain[i] = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    in.push_back(plain[i] ? tape.input(arguments[i]) : tape.variable(arguments[i]));
  }
  std::vector<Tensor> out;
  for (const Var& v : f(in)) out.push_back(v.value());
  return out;
}

// The second run reads what the first one left in the memory of the program.
std::vector<Tensor> run_program(const Recording& f, const std::vector<Tensor>& arguments) {
  std::vector<Spec> specs;
  for (const Tensor& t : arguments) specs.push_back(t.spec());
  Program program = compile([&f](std::span<const Var> in) { return f(in); }, specs);
  program.run(arguments);
  return program.run(arguments);
}

}  // namespace

Computed evaluate(const Sample& s, const Adapter& adapter, DType dtype, bool program, bool second) {
  const Recording f(s, adapter, dtype, second);
  const std::vector<Tensor> in = arguments(s, dtype, second);
  const std::vector<Tensor> all = program ? run_program(f, in) : run_eager(f, s, in);
  Computed out;
  std::size_t at = 0;
  const auto take = [&](std::vector<Tensor>& to, std::size_t n) {
    for (; n > 0; --n) to.push_back(all.at(at++));
  };
  take(out.outputs, s.outputs.size());
  if (all.size() == at) return out;
  take(out.gradients, s.gradients.size());
  if (second) {
    take(out.dx, s.second.dx.size());
    take(out.dct, s.second.dct.size());
  }
  return out;
}

}  // namespace xtape::conformance
