#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/parameter.hpp>

namespace xtape {

void detail::throw_empty_parameter() {
  throw ValueError("Parameter",
                   "an empty handle was used: assign a parameter to it first (a layer "
                   "without bias has an empty one)");
}

void detail::throw_without_value(const std::string& name) {
  throw ValueError(name,
                   "the parameter has no value yet, as its shape follows from the first input: "
                   "call net.build(shape of an input), or run the network once, before this");
}

void* detail::unshared(Parameter& p) {
  Tensor& value = p.data().value;
  if (!value.unique()) value = value.clone();
  return value.raw();
}

void detail::touch(Parameter& p) { ++p.data().version; }

namespace {
void check_floating(const std::string& name, const Tensor& value) {
  if (is_floating(value.dtype())) return;
  throw DTypeError(name, std::string("a parameter of dtype ") + xtape::name(value.dtype()) +
                             ": only f32 and f64 have gradients");
}
}  // namespace

Parameter::Parameter(Tensor value, std::string name) {
  check_floating(name, value);
  data_ = detail::Ref(new detail::ParameterData);
  data_->name = std::move(name);
  data_->value = std::move(value);
}

Parameter Parameter::buffer(Tensor value, std::string name) {
  value.raw();  // throws for an empty one and for one without elements
  Parameter p;
  p.data_ = detail::Ref(new detail::ParameterData);
  p.data_->name = std::move(name);
  p.data_->value = std::move(value);
  p.data_->frozen = p.data_->buffer = true;
  return p;
}

Parameter Parameter::later(std::string name, bool buffer) {
  Parameter p;
  p.data_ = detail::Ref(new detail::ParameterData);
  p.data_->name = std::move(name);
  p.data_->frozen = p.data_->buffer = buffer;
  return p;
}

void Parameter::materialize(Tensor value) {
  if (has_value()) throw ValueError(name(), "has a value already: use assign");
  if (!is_buffer()) check_floating(name(), value);
  value.raw();  // throws for one without elements
  data_->value = std::move(value);
}

void Parameter::assign(Tensor value) {
  if (value.shape() != shape()) {
    throw ShapeError(name(), "assigning shape " + value.shape().str() +
                                 " to a parameter of shape " + shape().str() +
                                 ": they must be equal");
  }
  if (value.dtype() != dtype()) {
    throw DTypeError(name(), std::string("assigning ") + xtape::name(value.dtype()) +
                                 " to a parameter of " + xtape::name(dtype()) + ": write .to(" +
                                 xtape::name(dtype()) + ")");
  }
  value.raw();  // throws for one without elements
  data_->value = std::move(value);
  ++data_->version;
}

void Parameter::to(DType want) {
  if (!is_floating(want)) {
    throw DTypeError(name(), std::string("parameters cannot be ") + xtape::name(want));
  }
  if (want == dtype()) return;
  data_->value = data_->value.to(want);
  ++data_->version;
}

}  // namespace xtape
