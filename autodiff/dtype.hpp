#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace xtape {

/// Element type of a Tensor, known at run time.
///
/// Gradients flow through the floating types only; `i64` holds indices and labels, `boolean`
/// (one byte, 0 or 1) the result of a comparison. Dtypes never mix silently: see DTypeError.
enum class DType : std::uint8_t { f32, f64, i64, boolean };

inline constexpr DType f32 = DType::f32;          ///< 32-bit IEEE 754 floating point.
inline constexpr DType f64 = DType::f64;          ///< 64-bit IEEE 754 floating point.
inline constexpr DType i64 = DType::i64;          ///< 64-bit signed integer.
inline constexpr DType boolean = DType::boolean;  ///< One byte, 0 or 1.

/// Bytes of one element.
constexpr std::size_t size_of(DType t) {
  return t == f32 ? sizeof(float) : t == boolean ? sizeof(bool) : sizeof(double);
}

/// "f32", "f64", "i64" or "boolean".
constexpr const char* name(DType t) {
  return t == f32 ? "f32" : t == f64 ? "f64" : t == i64 ? "i64" : "boolean";
}

/// True for f32 and f64, the dtypes that have gradients.
constexpr bool is_floating(DType t) { return t == f32 || t == f64; }

/// The dtype that stores a C++ element type: float → f32, double → f64, bool → boolean, any
/// other integer → i64.
template <class T>
constexpr DType dtype_of() {
  using U = std::remove_cv_t<T>;
  static_assert(std::is_same_v<U, float> || std::is_same_v<U, double> || std::is_integral_v<U>,
                "xtape stores float, double, bool and integers");
  if constexpr (std::is_same_v<U, float>) return f32;
  if constexpr (std::is_same_v<U, double>) return f64;
  if constexpr (std::is_same_v<U, bool>) return boolean;
  return i64;
}

/// Calls `f` with a value of the C++ type that stores `t`: float, double, std::int64_t or bool.
template <class F>
decltype(auto) dispatch(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::i64:
      return f(std::int64_t{});
    case DType::boolean:
      break;
  }
  return f(bool{});
}

/// As dispatch(), for a dtype known to be floating: instantiates float and double only.
template <class F>
decltype(auto) dispatch_floating(DType t, F&& f) {
  return t == DType::f32 ? f(float{}) : f(double{});
}

}  // namespace xtape
