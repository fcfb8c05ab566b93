#include <algorithm>
#include <optional>

#include <xtape/autodiff/calculus.hpp>
#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/program.hpp>

namespace xtape {
namespace {

// Where a function is recorded: on the tape of its arguments, so that derivatives are recorded
// there, too, or on one of its own, from which only values leave.
class Place {
 public:
  explicit Place(std::span<const Var> xs) {
    for (const Var& x : xs) {
      if (Tape* t = x.tape()) tape_ = t;
    }
    recorded_ = tape_ != nullptr;
    if (!recorded_) tape_ = &own_.emplace();
    for (const Var& x : xs) {
      targets.push_back(recorded_ ? detail::fresh(joined(x)) : tape_->variable(x.value()));
    }
  }

  std::vector<Var> gradient(const Var& y, std::span<const Var> xs, GradientOptions options) {
    if (recorded_) return xtape::gradient(y, xs, options);
    options.keep_tape = true;
    const Tensors g = tape_->gradient(y, xs, options);
    return {g.begin(), g.end()};
  }
  Var jvp(const Var& y, std::span<const Var> vs, Unconnected unconnected) {
    if (recorded_) return xtape::jvp(y, targets, vs, unconnected);
    return tape_->jvp(y, targets, vs, unconnected);
  }
  // A result as the caller gets it.
  Var leave(const Var& y) const { return recorded_ || !y.defined() ? y : Var(y.value()); }

  std::vector<Var> targets;

 private:
  // A constant among recorded arguments.
  Var joined(const Var& x) const { return x.tape() ? x : tape_->variable(x.value()); }

  std::optional<Tape> own_;
  Tape* tape_ = nullptr;
  bool recorded_ = false;
};

Shape joined_shape(const Shape& a, const Shape& b) {
  Shape s = a;
  for (const std::int64_t n : b) s.push_back(n);
  return s;
}

// 1 at position i, 0 elsewhere.
Tensor basis(const Shape& shape, DType dtype, std::int64_t i) {
  Tensor e = Tensor::zeros(shape, dtype);
  dispatch_floating(dtype, [&](auto t) { static_cast<decltype(t)*>(e.raw())[i] = 1; });
  return e;
}

Var empty_jacobian(const Shape& shape, DType dtype) { return Tensor::zeros(shape, dtype); }

Var rows(Place& place, const Var& y, const Shape& shape) {
  std::vector<Var> parts;
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const Tensor ct = basis(y.shape(), y.dtype(), i);
    parts.push_back(
        place.gradient(y, place.targets, {.cotangent = ct, .unconnected = Unconnected::zero})[0]);
  }
  return reshape(stack(parts), shape);
}

Var columns(Place& place, const Var& y, const Shape& shape) {
  const Var& x = place.targets[0];
  std::vector<Var> parts;
  for (std::int64_t j = 0; j < x.size(); ++j) {
    const Var v = basis(x.shape(), x.dtype(), j);
    parts.push_back(place.jvp(y, std::span(&v, 1), Unconnected::zero));
  }
  return reshape(stack(parts, -1), shape);
}

void require_scalar(const char* where, const Var& y) {
  if (y.size() == 1) return;
  throw GradientError(where, "the function returns shape " + y.shape().str() +
                                 ": it must return a single number, write sum(y)");
}

std::int64_t common_extent(const char* where, std::span<const Shape> shapes, std::int64_t axis) {
  std::int64_t n = -1;
  for (const Shape& s : shapes) {
    const std::int64_t extent = s[normalize_axis(where, axis, s)];
    if (n < 0) n = extent;
    if (extent == n) continue;
    throw ShapeError(where, "extents " + std::to_string(n) + " and " + std::to_string(extent) +
                                " along axis " + std::to_string(axis) + ": all must be equal");
  }
  if (n < 1) throw ShapeError(where, "there is nothing to go through along that axis");
  return n;
}

Shape without(const Shape& s, int axis) {
  Shape out;
  for (int i = 0; i < s.rank(); ++i) {
    if (i != axis) out.push_back(s[i]);
  }
  return out;
}

// x[…, i, …] on that axis, which is dropped.
Var element(const Var& x, std::int64_t axis, std::int64_t i) {
  const int a = normalize_axis("vmap", axis, x.shape());
  return reshape(slice(x, a, {i, i + 1}), without(x.shape(), a));
}

}  // namespace

std::pair<Var, std::vector<Var>> vjp(const Function& f, std::span<const Var> xs, const Var& ct) {
  Place place(xs);
  const Var y = f(place.targets);
  auto gradients = place.gradient(y, place.targets, {.cotangent = ct});
  return {place.leave(y), std::move(gradients)};
}

std::pair<Var, Var> jvp(const Function& f, std::span<const Var> xs, std::span<const Var> vs) {
  Place place(xs);
  const Var y = f(place.targets);
  if (!y.tape()) {
    throw GradientError("jvp",
                        "the function returns a constant: it depends on none of its "
                        "arguments");
  }
  return {place.leave(y), place.jvp(y, vs, Unconnected::error)};
}

Var jacobian(const Function& f, const Var& x, JacobianMode mode) {
  Place place(std::span(&x, 1));
  const Var y = f(place.targets);
  const Shape shape = joined_shape(y.shape(), x.shape());
  if (!y.tape() || shape.size() == 0) return empty_jacobian(shape, x.dtype());
  const bool by_rows =
      mode == JacobianMode::automatic ? y.size() <= x.size() : mode == JacobianMode::rows;
  return by_rows ? rows(place, y, shape) : columns(place, y, shape);
}

Var hessian(const Function& f, const Var& x) {
  Place place(std::span(&x, 1));
  const Var y = f(place.targets);
  require_scalar("hessian", y);
  const Shape shape = joined_shape(x.shape(), x.shape());
  const Var g = y.tape() ? gradient(y, place.targets[0], {.unconnected = Unconnected::zero}) : y;
  if (!g.tape() || shape.size() == 0) return empty_jacobian(shape, x.dtype());
  return rows(place, g, shape);
}

namespace {

// Σ ⟨gᵢ, vᵢ⟩, and that each direction fits.
template <class V>
Var slope_along(const std::vector<Var>& g, std::span<const V> vs) {
  Var slope = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    const Var v = vs[i];
    if (v.shape() != g[i].shape() || v.dtype() != g[i].dtype()) {
      throw ShapeError("hvp", std::string("direction ") + name(v.dtype()) + v.shape().str() +
                                  " for a target " + name(g[i].dtype()) + g[i].shape().str() +
                                  ": they must be equal");
    }
    slope = slope + sum(g[i] * v);
  }
  return slope;
}

}  // namespace

std::vector<Var> hvp(const Function& f, std::span<const Var> xs, std::span<const Var> vs) {
  Place place(xs);
  const Var y = f(place.targets);
  require_scalar("hvp", y);
  const std::vector<Var> g = gradient(y, place.targets);
  if (xs.size() != vs.size()) {
    throw ValueError("hvp", std::to_string(xs.size()) + " points and " + std::to_string(vs.size()) +
                                " directions: give one for each");
  }
  const Var slope = slope_along(g, vs);
  return place.gradient(slope, place.targets, {.unconnected = Unconnected::zero});
}

Var vmap(const Function& f, std::span<const Var> xs, std::int64_t axis) {
  std::vector<Shape> shapes;
  for (const Var& x : xs) shapes.push_back(x.shape());
  const std::int64_t n = common_extent("vmap", shapes, axis);
  std::vector<Var> results;
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<Var> slices;
    for (const Var& x : xs) slices.push_back(element(x, axis, i));
    results.push_back(f(slices));
  }
  return stack(results);
}

Tensors jacobian(const ParameterFunction& f, const Parameters& parameters) {
  Tape tape;
  const Var y = f(tape);
  std::vector<std::vector<Var>> parts(parameters.size());
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const Tensors g = tape.gradient(
        y, parameters, {.cotangent = basis(y.shape(), y.dtype(), i), .keep_tape = true});
    for (std::size_t k = 0; k < g.size(); ++k) parts[k].emplace_back(g[k]);
  }
  Tensors out;
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    const Shape shape = joined_shape(y.shape(), parameters[k].shape());
    out.push_back(parts[k].empty() ? Tensor::zeros(shape, y.dtype())
                                   : reshape(stack(parts[k]), shape).value());
  }
  return out;
}

Tensors hvp(const ParameterFunction& f, const Parameters& parameters, std::span<const Tensor> vs) {
  if (parameters.size() != vs.size()) {
    throw ValueError("hvp", std::to_string(parameters.size()) + " parameters and " +
                                std::to_string(vs.size()) + " directions: give one for each");
  }
  Tape tape;
  const Var y = f(tape);
  require_scalar("hvp", y);
  const std::vector<Var> g = gradient(y, parameters);
  const Var slope = slope_along(g, vs);
  return tape.gradient(slope, parameters, {.unconnected = Unconnected::zero});
}

Tensors per_sample_gradients(const Function& f, const Parameters& parameters,
                             std::span<const Tensor> batch) {
  std::vector<Shape> shapes;
  for (const Tensor& t : batch) shapes.push_back(t.shape());
  const std::int64_t n = common_extent("per_sample_gradients", shapes, 0);
  std::vector<Spec> specs;
  for (const Tensor& t : batch) specs.push_back({without(t.shape(), 0), t.dtype()});
  Program one = compile(
      [&](std::span<const Var> sample) {
        const Var y = f(sample);
        require_scalar("per_sample_gradients", y);
        return gradient(y, parameters);
      },
      specs, {.name = "gradients of one sample"});
  std::vector<std::vector<Var>> parts(parameters.size());
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<Tensor> sample;
    for (const Tensor& t : batch) sample.push_back(element(t, 0, i).value());
    const std::vector<Tensor>& g = one.run(sample);
    for (std::size_t k = 0; k < g.size(); ++k) parts[k].emplace_back(g[k]);
  }
  Tensors out;
  for (const auto& p : parts) out.push_back(stack(p).value());
  return out;
}

}  // namespace xtape
