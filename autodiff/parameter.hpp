#pragma once

#include <string>
#include <utility>
#include <vector>

#include <xtape/autodiff/tensor.hpp>

namespace xtape {

class Parameter;

namespace detail {
// For programs, which change parameters in place.
/// The elements for writing, copied first when anyone else shares them.
void* unshared(Parameter& p);
/// Notes that the value has changed.
void touch(Parameter& p);
struct TapeExtras;

/// What add_gradient_hook() keeps with a parameter; see tape_extras.hpp.
struct HookList : Counted {
  virtual ~HookList() = default;
};
inline void destroy(HookList* h) noexcept { delete h; }

struct ParameterData : Counted {
  std::string name;
  Tensor value;
  std::uint64_t version = 0;
  bool frozen = false;
  bool buffer = false;
  Ref<HookList> hooks;
};
inline void destroy(ParameterData* p) noexcept { delete p; }
[[noreturn]] void throw_empty_parameter();
[[noreturn]] void throw_without_value(const std::string& name);
}  // namespace detail

/// A value that training changes: a name and a floating Tensor, shared by every copy of the handle.
///
/// A Parameter joins the tape of whatever operation uses it, and gets a gradient there unless it is
/// frozen. Using one where no tape is in sight throws TapeError, because its gradient would be lost
/// in silence. An empty handle throws ValueError at every use.
class Parameter {
 public:
  Parameter() = default;
  /// @throws DTypeError unless `value` is f32 or f64.
  explicit Parameter(Tensor value, std::string name = "parameter");

  /// State without a gradient, of any dtype: velocities of an optimizer, a step count, running
  /// means. It is used like a parameter, is always frozen, and needs no tape.
  static Parameter buffer(Tensor value, std::string name = "buffer");

  /// A parameter (or buffer) whose shape is not known yet: until materialize(), whoever reads it
  /// gets a ValueError that names it. Layers of open sizes have such ones.
  static Parameter later(std::string name = "parameter", bool buffer = false);
  /// Gives one made by later() its value. @throws ValueError when it has one; DTypeError unless
  /// `value` is f32 or f64, or this is a buffer.
  void materialize(Tensor value);
  /// False before materialize().
  bool has_value() const { return data().value.defined(); }

  /// The path in its network, e.g. "0.weight".
  const std::string& name() const { return data().name; }
  /// Containers call it when they take a layer in.
  void rename(std::string name) { data().name = std::move(name); }
  /// The present value.
  const Tensor& value() const {
    if (!has_value()) detail::throw_without_value(name());
    return data_->value;
  }
  /// Of the value.
  const Shape& shape() const { return value().shape(); }
  /// Of the value: f32 or f64.
  DType dtype() const { return value().dtype(); }
  /// Number of elements.
  std::int64_t size() const { return value().size(); }

  /// Replaces the value. A tape refuses to compute a gradient that would need the old one.
  /// @throws ShapeError or DTypeError, naming the parameter, when they differ from the old ones.
  void assign(Tensor value);
  /// Converts the value to f32 or f64.
  void to(DType dtype);

  /// A frozen parameter joins tapes as a constant.
  void freeze(bool frozen = true) { data().frozen = frozen || data().buffer; }
  /// Whether freeze() was called.
  bool frozen() const { return data().frozen; }
  /// Whether buffer() made it.
  bool is_buffer() const { return data().buffer; }
  /// How often the value was replaced.
  std::uint64_t version() const { return data().version; }
  /// False for an empty handle.
  bool defined() const { return static_cast<bool>(data_); }

  /// True for handles of one parameter.
  friend bool operator==(const Parameter& a, const Parameter& b) { return a.data_ == b.data_; }
  /// Identifies the parameter, whatever handle is asked.
  const detail::ParameterData* id() const { return data_.get(); }

 private:
  friend void* detail::unshared(Parameter& p);
  friend void detail::touch(Parameter& p);
  friend struct detail::TapeExtras;
  detail::ParameterData& data() const {
    if (!data_) detail::throw_empty_parameter();
    return *data_;
  }

  detail::Ref<detail::ParameterData> data_;
};

/// Handles of several parameters.
using Parameters = std::vector<Parameter, memory::Recycler<Parameter>>;

}  // namespace xtape
