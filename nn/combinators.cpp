#include <xtape/nn/combinators.hpp>

namespace xtape::nn {
namespace {

std::string str(std::int64_t n) { return std::to_string(n); }

template <class F>
auto folded(const char* what, F f) {
  return [what, f](std::span<const Var> xs) {
    if (xs.empty()) throw ValueError(what, "no inputs: it takes one or more");
    Var y = xs[0];
    for (const Var& x : xs.subspan(1)) y = f(beside(y, x), x);
    return y;
  };
}

}  // namespace

Flatten::Flatten(std::int64_t first, std::int64_t last)
    : Lambda(
          first == 1 && last == -1 ? "Flatten()" : "Flatten(" + str(first) + ", " + str(last) + ")",
          [=](const Var& x) { return flatten(x, first, last); }) {}

Unflatten::Unflatten(std::int64_t axis, const Shape& extents)
    : Lambda("Unflatten(" + str(axis) + ", " + extents.str() + ")",
             [=](const Var& x) { return unflatten(x, axis, extents); }) {}

Select::Select(std::int64_t axis, std::int64_t position)
    : Lambda("Select(" + str(axis) + ", " + str(position) + ")",
             [=](const Var& x) { return select(x, axis, position); }) {}

Mean::Mean(const Axes& axes)
    : Lambda("Mean" + axes.str(), [=](const Var& x) { return mean(x, axes); }) {}

Add::Add() : Lambda("Add()", folded("Add", [](const Var& a, const Var& b) { return a + b; })) {}

Multiply::Multiply()
    : Lambda("Multiply()", folded("Multiply", [](const Var& a, const Var& b) { return a * b; })) {}

Concat::Concat(std::int64_t axis)
    : Lambda("Concat(" + str(axis) + ")", [=](std::span<const Var> xs) {
        return concat(std::vector<Var>(xs.begin(), xs.end()), axis);
      }) {}

Residual::Residual(std::shared_ptr<Module> body, std::shared_ptr<Module> shortcut) {
  add_child("body", std::move(body));
  if (shortcut) add_child("shortcut", std::move(shortcut));
  draw_untouched(0);
}

Var Residual::forward(const Var& x) const {
  const auto& c = children();
  return (*c[0].module)(x) + (c.size() > 1 ? (*c[1].module)(x) : x);
}

std::string Residual::describe() const {
  std::string s = "Residual(" + children()[0].module->describe();
  if (children().size() > 1) s += ", " + children()[1].module->describe();
  return s + ")";
}

Parallel::Parallel(const std::vector<std::shared_ptr<Module>>& branches,
                   std::shared_ptr<Module> join) {
  if (branches.empty()) throw ValueError("Parallel", "no branches");
  for (std::size_t i = 0; i < branches.size(); ++i) add_child(std::to_string(i), branches[i]);
  add_child("join", std::move(join));
  draw_untouched(0);
}

Var Parallel::forward_all(std::span<const Var> xs) const {
  const std::size_t n = children().size() - 1;
  if (xs.size() != 1 && xs.size() != n) {
    throw ValueError("Parallel", str(static_cast<std::int64_t>(xs.size())) +
                                     " inputs: one for all branches, or " +
                                     str(static_cast<std::int64_t>(n)));
  }
  std::vector<Var> parts;
  for (std::size_t i = 0; i < n; ++i) {
    parts.push_back((*children()[i].module)(xs[xs.size() == 1 ? 0 : i]));
  }
  return (*children()[n].module)(std::span<const Var>(parts));
}

std::string Parallel::describe() const {
  std::string s = "Parallel(";
  for (const Child& c : children()) s += (c.name == "0" ? "" : ", ") + c.module->describe();
  return s + ")";
}

}  // namespace xtape::nn
