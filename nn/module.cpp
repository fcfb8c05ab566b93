#include <algorithm>

#include <xtape/autodiff/error.hpp>
#include <xtape/nn/module.hpp>

namespace xtape::nn {

Parameters Module::parameters() const {
  Parameters all = own_;
  for (const Child& c : children_) {
    for (const Parameter& p : c.module->parameters()) {
      // A shared parameter counts once, where it first stands.
      if (std::find(all.begin(), all.end(), p) == all.end()) all.push_back(p);
    }
  }
  return all;
}

std::int64_t Module::parameter_count() const {
  std::int64_t n = 0;
  for (const Parameter& p : parameters()) n += p.size();
  return n;
}

void Module::draw(const Rng& rng, std::uint64_t& next, bool untouched_only) {
  for (std::size_t i = 0; i < own_.size(); ++i) {
    Parameter& p = own_[i];
    Recipe& r = recipes_[i];
    Rng stream = rng.split(next++);
    if (untouched_only && p.version() != r.default_version) continue;
    p.assign(r.init.draw(p.shape(), r.fans, p.dtype(), stream));
    if (untouched_only) r.default_version = p.version();
  }
  for (const Child& c : children_) c.module->draw(rng, next, untouched_only);
}

void Module::initialize(const Rng& rng) {
  std::uint64_t next = 0;
  draw(rng, next, false);
}

void Module::draw_untouched(std::uint64_t position) { draw(Rng(0), position, true); }

void Module::override_weights(const Initializer& init) {
  for (std::size_t i = 0; i < own_.size(); ++i) {
    if (own_[i].shape().rank() >= 2) recipes_[i].init = init;
  }
  for (const Child& c : children_) c.module->override_weights(init);
}

void Module::initialize(const Initializer& weights, const Rng& rng) {
  override_weights(weights);
  initialize(rng);
}

void Module::to(DType dtype) {
  if (!is_floating(dtype)) {
    throw DTypeError("to", std::string("parameters cannot be ") + name(dtype) + ": f32 or f64");
  }
  for (Parameter& p : parameters()) p.to(dtype);
}

void Module::freeze(bool frozen) {
  for (Parameter& p : parameters()) p.freeze(frozen);
}

std::shared_ptr<Module> Module::clone() const {
  Copies copies;
  return clone_with(copies);
}

void Module::detach(Copies& copies) {
  for (std::size_t i = 0; i < own_.size(); ++i) {
    Parameter& p = own_[i];
    Parameter& copy = copies[p.id()];
    if (!copy.defined()) {
      copy = Parameter(p.value().clone(), p.name());
      copy.freeze(p.frozen());
    }
    // A copy counts its versions from 0: whether the value is still the default one must not be
    // lost.
    const bool untouched = p.version() == recipes_[i].default_version;
    recipes_[i].default_version = untouched ? copy.version() : kTouched;
    p = copy;
  }
  for (Child& c : children_) c.module = c.module->clone_with(copies);
}

Parameter Module::add_parameter(std::string name, const Shape& shape, Initializer init, Fans fans,
                                DType dtype) {
  Rng rng = Rng(0).split(own_.size());
  own_.emplace_back(init.draw(shape, fans, dtype, rng), std::move(name));
  recipes_.push_back({std::move(init), fans, 0});
  return own_.back();
}

bool Module::contains(const Module* m) const {
  return this == m || std::any_of(children_.begin(), children_.end(),
                                  [m](const Child& c) { return c.module->contains(m); });
}

void Module::prefix(const std::string& path) {
  for (Parameter& p : own_) p.rename(path + "." + p.name());
  for (const Child& c : children_) c.module->prefix(path);
}

void Module::add_child(std::string name, std::shared_ptr<Module> module) {
  if (!module) throw ValueError("Module", "child '" + name + "' is null");
  if (module->contains(this)) {
    throw ValueError("Module", "child '" + name + "' would contain itself");
  }
  module->prefix(name);
  children_.push_back({std::move(name), std::move(module)});
}

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

std::string Sequential::describe() const {
  std::string s = "Sequential(";
  for (const Child& c : children()) s += (c.name == "0" ? "" : ", ") + c.module->describe();
  return s + ")";
}

Shape Sequential::output_shape(const Shape& in) const {
  Shape s = in;
  for (const Child& c : children()) s = c.module->output_shape(s);
  return s;
}

}  // namespace xtape::nn
