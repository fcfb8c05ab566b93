#include <algorithm>
#include <unordered_set>

#include <xtape/autodiff/program/graph.hpp>
#include <xtape/nn/module.hpp>

namespace xtape::nn {

/// How a parameter gets its value, shared by all who have the parameter.
struct Module::Recipe {
  static constexpr std::uint64_t kTouched = ~std::uint64_t{0};  // no default_version

  Initializer init;
  Fans fans;
  bool weight = true;                    // takes the initialiser of initialize(weights, …)
  std::optional<std::int64_t> zero_row;  // see ParameterTraits
  std::uint64_t default_version = 0;     // of the parameter while its value is the default one
  Rng stream;                            // of the last draw: that of a value to come
  DType drawn;                           // in which a value to come would have been drawn,
  DType dtype;                           // and to which converted since

  Tensor draw(const Shape& shape) {
    Rng rng = stream;
    Tensor value = init.draw(shape, fans, drawn, rng).to(dtype);
    if (zero_row) clear_row(value);
    return value;
  }
  void clear_row(Tensor& value) const {
    const std::int64_t each = value.size() / value.shape()[0];
    dispatch_floating(value.dtype(), [&](auto zero) {
      auto* const row = value.mutable_data<decltype(zero)>() + *zero_row * each;
      std::fill(row, row + each, zero);
    });
  }
};

Var Module::forward_all(std::span<const Var> xs) const {
  if (xs.size() != 1) {
    throw ValueError(describe(), std::to_string(xs.size()) + " inputs: it takes one");
  }
  return forward(xs[0]);
}

DType Module::input_dtype() const {
  if (!own_.empty()) return own_[0].has_value() ? own_[0].dtype() : recipes_[0]->dtype;
  for (const Child& c : children_) {
    if (!c.module->parameters().empty() || c.module->input_dtype() == i64) {
      return c.module->input_dtype();
    }
  }
  return f32;
}

Spec Module::output_spec(std::span<const Spec> in) const {
  program::Capture capture;  // nothing is computed, and what is assigned is forgotten
  std::vector<Var> xs;
  for (const Spec& s : in) xs.push_back(capture.input(s));
  return (*this)(std::span<const Var>(xs)).value().spec();
}

Shape Module::output_shape(const Shape& in) const {
  const Spec spec{in, input_dtype()};
  return output_spec({&spec, 1}).shape;
}

void Module::collect(Parameters& all, Parameters Module::*list) const {
  for (const Parameter& p : this->*list) {
    // A shared parameter counts once, where it first stands.
    if (std::find(all.begin(), all.end(), p) == all.end()) all.push_back(p);
  }
  for (const Child& c : children_) c.module->collect(all, list);
}

Parameters Module::parameters() const {
  Parameters all;
  collect(all, &Module::own_);
  return all;
}

Parameters Module::buffers() const {
  Parameters all;
  collect(all, &Module::buffers_);
  return all;
}

Parameters Module::state() const {
  Parameters all = parameters();
  collect(all, &Module::buffers_);
  return all;
}

Parameters Module::random_state() const {
  Parameters all;
  if (generator_) all = {generator_->key(), generator_->position()};
  for (const Child& c : children_) {
    for (const Parameter& p : c.module->random_state()) {
      if (std::find(all.begin(), all.end(), p) == all.end()) all.push_back(p);
    }
  }
  return all;
}

Parameters Module::parameters(const std::function<bool(const Parameter&)>& wanted) const {
  Parameters out;
  for (const Parameter& p : parameters()) {
    if (wanted(p)) out.push_back(p);
  }
  return out;
}

namespace {
bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    for (std::size_t skip = 0; skip <= text.size(); ++skip) {
      if (matches(pattern.substr(1), text.substr(skip))) return true;
    }
    return false;
  }
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
         matches(pattern.substr(1), text.substr(1));
}
}  // namespace

Parameters Module::parameters(const std::string& pattern) const {
  Parameters some = parameters([&](const Parameter& p) { return matches(pattern, p.name()); });
  if (!some.empty()) return some;
  std::string names;
  for (const Parameter& p : parameters()) names += (names.empty() ? "" : ", ") + p.name();
  throw ValueError("parameters", "'" + pattern + "' matches none of " +
                                     (names.empty() ? "them: there are no parameters" : names));
}

Parameter Module::parameter(const std::string& path) const {
  std::string names;
  for (const Parameter& p : parameters()) {
    if (p.name() == path) return p;
    names += (names.empty() ? "" : ", ") + p.name();
  }
  throw ValueError("parameter", "'" + path + "' is not one of " + names);
}

std::int64_t Module::parameter_count() const {
  std::int64_t n = 0;
  for (const Parameter& p : parameters()) n += p.size();
  return n;
}

void Module::visit(const std::function<void(Module&)>& f) {
  f(*this);
  for (const Child& c : children_) c.module->visit(f);
}

void Module::draw(const Rng& rng, std::uint64_t next, bool untouched_only) {
  std::unordered_set<const detail::ParameterData*> seen;
  visit([&](Module& m) {
    for (std::size_t i = 0; i < m.own_.size(); ++i) {
      Parameter& p = m.own_[i];
      Recipe& r = *m.recipes_[i];
      if (!seen.insert(p.id()).second) continue;
      const Rng stream = rng.split(next++);
      const bool value = p.has_value();
      if (untouched_only && value && p.version() != r.default_version) continue;
      if (untouched_only && !value && r.default_version == Recipe::kTouched) continue;
      if (value && p.frozen()) continue;
      r.stream = stream;
      if (value) r.dtype = p.dtype();
      r.drawn = r.dtype;
      if (value) p.assign(r.draw(p.shape()));
      r.default_version = untouched_only ? p.version() : Recipe::kTouched;
    }
  });
}

void Module::initialize(const Rng& rng) {
  draw(rng, 0, false);
  seed(rng);
}

void Module::draw_untouched(std::uint64_t position) { draw(Rng(0), position, true); }

void Module::initialize(const Initializer& weights, const Rng& rng) {
  visit([&](Module& m) {
    for (const auto& recipe : m.recipes_) {
      if (recipe->weight) recipe->init = weights;
    }
  });
  initialize(rng);
}

namespace {
// FNV-1a.
std::uint64_t hash(const std::string& s) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : s) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return h;
}

Rng stream_at(const Rng& rng, const std::string& path) { return rng.split(hash(path)); }

// In place: programs read seed and stream at every run.
void reseed(Generator& g, const Rng& stream) { g.reseed(stream.seed(), stream.stream()); }
}  // namespace

void Module::add_generator() {
  const Rng stream = stream_at(Rng(0), path_);
  generator_ = std::make_shared<Generator>(stream.seed(), stream.stream());
}

void Module::seed(const Rng& rng) {
  visit([&](Module& m) {
    if (m.generator_) reseed(*m.generator_, stream_at(rng, m.path_));
  });
}

void Module::to(DType dtype) {
  if (!is_floating(dtype)) {
    throw DTypeError("to", std::string("parameters cannot be ") + name(dtype) + ": f32 or f64");
  }
  visit([&](Module& m) {
    for (std::size_t i = 0; i < m.own_.size(); ++i) {
      m.recipes_[i]->dtype = dtype;
      if (m.own_[i].has_value()) m.own_[i].to(dtype);
    }
    for (Parameter& b : m.buffers_) {
      if (b.has_value() && is_floating(b.dtype())) b.to(dtype);
    }
  });
}

void Module::freeze(bool frozen) {
  for (Parameter& p : parameters()) p.freeze(frozen);
}

void Module::train(bool on) {
  visit([&](Module& m) { m.training_ = on; });
}

std::shared_ptr<Module> Module::clone() const {
  Copies copies;
  const auto copy = clone_with(copies);
  copy->path_ = path_;
  return copy;
}

void Module::detach(Copies& copies) {
  for (std::size_t i = 0; i < own_.size(); ++i) {
    Parameter& p = own_[i];
    auto& [copy, recipe] = copies.parameters[p.id()];
    if (!copy.defined()) {
      recipe = std::make_shared<Recipe>(*recipes_[i]);
      copy = p.has_value() ? Parameter(p.value().clone(), p.name()) : Parameter::later(p.name());
      copy.freeze(p.frozen());
      // A copy counts its versions from 0: whether the value is still the default one must not be
      // lost.
      const bool untouched = p.version() == recipe->default_version;
      recipe->default_version = untouched ? copy.version() : Recipe::kTouched;
    }
    p = copy;
    recipes_[i] = recipe;
  }
  for (Parameter& b : buffers_) {
    Parameter& copy = copies.parameters[b.id()].first;
    if (!copy.defined()) {
      copy = b.has_value() ? Parameter::buffer(b.value().clone(), b.name())
                           : Parameter::later(b.name(), true);
    }
    b = copy;
  }
  if (generator_) {
    auto own = std::make_shared<Generator>(generator_->seed(), generator_->stream());
    own->seek(static_cast<std::int64_t>(generator_->position().value().item()));
    generator_ = std::move(own);
  }
  hooks_.clear();
  for (Child& c : children_) {
    std::shared_ptr<Module>& copy = copies.modules[c.module.get()];
    if (!copy) {
      const auto made = c.module->clone_with(copies);
      copies.modules[c.module.get()] = made;  // the reference above may be gone
      c.module = made;
    } else {
      c.module = copy;
    }
  }
}

Parameter Module::add_parameter(std::string name, const Shape& shape, Initializer init, Fans fans,
                                DType dtype, const ParameterTraits& traits) {
  const Rng stream = Rng(0).split(own_.size());
  auto recipe = std::make_shared<Recipe>(Recipe{std::move(init), fans,
                                                traits.weight.value_or(shape.rank() >= 2),
                                                traits.zero_row, 0, stream, dtype, dtype});
  const bool open = fans.fan_in == infer || fans.fan_out == infer ||
                    std::find(shape.begin(), shape.end(), infer) != shape.end();
  own_.push_back(open ? Parameter::later(name) : Parameter(recipe->draw(shape), name));
  recipes_.push_back(std::move(recipe));
  names_.push_back(std::move(name));
  return own_.back();
}

void Module::materialize(std::size_t k, const Shape& shape, Fans fans) const {
  Parameter p = own_.at(k);
  if (p.has_value()) return;
  Recipe& r = *recipes_[k];
  r.fans = fans;
  p.materialize(r.draw(shape));
}

Parameter Module::add_buffer(std::string name, Tensor value) {
  buffers_.push_back(value.defined() ? Parameter::buffer(std::move(value), name)
                                     : Parameter::later(name, true));
  buffer_names_.push_back(std::move(name));
  return buffers_.back();
}

Var Module::read(const Parameter& buffer, const Var& x) {
  const Tape* tape = x.tape();
  return tape && tape->recording() ? beside(buffer, x) : Var(buffer.value());
}

void Module::write(Parameter buffer, const Var& value) {
  const Tape* tape = value.tape();
  if (tape && tape->recording()) {
    assign(buffer, value);
  } else {
    buffer.assign(value.value());
  }
}

Parameter Module::own(std::string_view name) const {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (names_[i] == name) return own_[i];
  }
  return {};
}

bool Module::contains(const Module* m) const {
  return this == m || std::any_of(children_.begin(), children_.end(),
                                  [m](const Child& c) { return c.module->contains(m); });
}

struct Module::Places {
  std::unordered_set<const Module*> modules;
  std::unordered_set<const detail::ParameterData*> parameters;
};

// What stands twice is named by its first place.
void Module::place(const std::string& path, Places& places) {
  if (!places.modules.insert(this).second) return;
  if (generator_ && path != path_) {
    reseed(*generator_, stream_at(Rng(generator_->seed()), path));
  }
  path_ = path;
  const std::string front = path.empty() ? "" : path + ".";
  const auto rename = [&](Parameters& list, const std::vector<std::string>& names) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (places.parameters.insert(list[i].id()).second) list[i].rename(front + names[i]);
    }
  };
  rename(own_, names_);
  rename(buffers_, buffer_names_);
  for (const Child& c : children_) c.module->place(front + c.name, places);
}

void Module::add_child(std::string name, std::shared_ptr<Module> module) {
  if (!module) throw ValueError("Module", "child '" + name + "' is null");
  if (module->contains(this)) {
    throw ValueError("Module", "child '" + name + "' would contain itself");
  }
  children_.push_back({std::move(name), std::move(module)});
  Places places;
  place(path_, places);
}

void Module::throw_no_such_child(std::size_t k) const {
  const std::string n = std::to_string(k);
  if (k >= children_.size()) {
    throw ValueError(describe(), "no child " + n + ": it has " + std::to_string(children_.size()));
  }
  throw ValueError(describe(), "child " + n + ", '" + children_[k].name + "', is a " +
                                   children_[k].module->describe() + ": of another class");
}

void Module::tie(const std::string& path, const Parameter& as) {
  const Parameter old = parameter(path);
  if (old.shape() != as.shape()) {
    throw ShapeError("tie", "'" + path + "' of shape " + old.shape().str() + " and '" + as.name() +
                                "' of shape " + as.shape().str() + ": they must be equal");
  }
  if (old.dtype() != as.dtype()) {
    throw DTypeError("tie", "'" + path + "' is " + name(old.dtype()) + ", '" + as.name() + "' " +
                                name(as.dtype()));
  }
  std::shared_ptr<Recipe> recipe;
  visit([&](Module& m) {
    for (std::size_t i = 0; i < m.own_.size(); ++i) {
      if (m.own_[i] == as) recipe = m.recipes_[i];
    }
  });
  visit([&](Module& m) {
    for (std::size_t i = 0; i < m.own_.size(); ++i) {
      if (m.own_[i] != old) continue;
      m.own_[i] = as;
      if (recipe) {
        if (m.recipes_[i]->zero_row) recipe->zero_row = m.recipes_[i]->zero_row;
        m.recipes_[i] = recipe;
      }
      m.rebind();
    }
  });
  Places places;
  place(path_, places);
}

}  // namespace xtape::nn
