#include <xtape/nn/module.hpp>

namespace xtape::nn {

Sequential& Sequential::add(std::shared_ptr<Module> layer) {
  const std::size_t index = children().size();
  add_child(std::to_string(index), std::move(layer));
  return *this;
}

Var Sequential::forward(const Var& x) const {
  Var y = x;
  for (const Child& c : children()) y = (*c.module)(y);
  return y;
}

Var Sequential::forward_all(std::span<const Var> xs) const {
  if (xs.size() == 1 || children().empty()) return Module::forward_all(xs);
  Var y = (*children()[0].module)(xs);
  for (std::size_t i = 1; i < children().size(); ++i) y = (*children()[i].module)(y);
  return y;
}

std::string Sequential::describe() const {
  std::string s = "Sequential(";
  for (const Child& c : children()) s += (c.name == "0" ? "" : ", ") + c.module->describe();
  return s + ")";
}

}  // namespace xtape::nn
