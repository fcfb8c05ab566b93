#pragma once

#include <concepts>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include <xtape/autodiff/dtype.hpp>
#include <xtape/autodiff/memory.hpp>
#include <xtape/autodiff/shape.hpp>

namespace xtape {

/// What a tensor is before it has values: its extents and its element type.
struct Spec {
  /// Extents.
  Shape shape;
  /// Element type.
  DType dtype = f32;
  /// Bytes of all elements.
  std::size_t nbytes() const { return static_cast<std::size_t>(shape.size()) * size_of(dtype); }
  /// Same extents and element type.
  friend bool operator==(const Spec&, const Spec&) = default;
};

/// Any xtensor container, view or lazy expression, or what looks like one.
template <class X>
concept ArrayExpression = requires(const X& x) {
  typename X::value_type;
  { *x.begin() } -> std::convertible_to<typename X::value_type>;
  x.shape().begin();
  x.dimension();
}
&&std::is_arithmetic_v<typename X::value_type>;

/// An xtensor container that can be made from a shape: xt::xarray, xt::xtensor.
template <class X>
concept ArrayContainer = ArrayExpression<X> && requires(typename X::shape_type s) {
  X::from_shape(s);
};

namespace detail {
/// Where elements live: a block of their own directly behind this header, or that of `owner`.
struct TensorData : Counted {
  Spec spec;
  std::int64_t size = 1;
  void* data = nullptr;
  std::size_t block_bytes = 0;
  Ref<TensorData> owner;
};
void destroy(TensorData* t) noexcept;
/// An element of a braced list; a class, so that {{1}, {2}} is a matrix and not a vector.
struct Number {
  template <class T>
  requires std::is_arithmetic_v<T> Number(T x) : value(static_cast<double>(x)) {}
  double value;
};
[[noreturn]] void throw_dtype(const char* where, DType have, DType want);
[[noreturn]] void throw_size(const char* where, std::int64_t have, const Shape& want);
[[noreturn]] void throw_symbolic();
}  // namespace detail

/// A handle to an immutable, contiguous, row-major, reference-counted array.
///
/// Copying a Tensor shares its elements; nothing in the library writes to shared elements, so a
/// value once seen stays. Elements are written through mutable_data(), which first makes them
/// unshared. Empty handles (`Tensor{}`) hold nothing: every access throws ValueError.
class Tensor {
 public:
  Tensor() noexcept = default;
  /// Copies an xtensor container, view or lazy expression (evaluated here, once).
  template <ArrayExpression X>
  Tensor(const X& x);
  /// A vector, f64 unless told otherwise.
  Tensor(std::initializer_list<detail::Number> values, DType dtype = f64);
  /// A matrix, f64 unless told otherwise. @throws ShapeError when rows differ in length.
  Tensor(std::initializer_list<std::initializer_list<double>> rows, DType dtype = f64);

  /// Uninitialised elements.
  static Tensor empty(const Shape& shape, DType dtype = f32);
  /// Every element `value`.
  static Tensor full(const Shape& shape, double value, DType dtype = f32);
  /// Every element 0.
  static Tensor zeros(const Shape& shape, DType dtype = f32) { return full(shape, 0, dtype); }
  /// Every element 1.
  static Tensor ones(const Shape& shape, DType dtype = f32) { return full(shape, 1, dtype); }
  /// A single number, rank 0.
  static Tensor scalar(double value, DType dtype = f64) { return full({}, value, dtype); }
  /// A shape and dtype without elements: what operations give while compile() records them. Reading
  /// an element throws TapeError.
  static Tensor symbolic(const Spec& spec);
  /// 0, 1, …, n−1. @throws ValueError when n is negative.
  static Tensor arange(std::int64_t n, DType dtype = i64);
  /// Copies `values` in row-major order. @throws ShapeError when their number is not shape.size().
  template <class T>
  static Tensor from(std::span<const T> values, const Shape& shape);
  /// The same for a container such as std::vector.
  template <class C>
  static Tensor from(const C& values, const Shape& shape) {
    return from(std::span<const typename C::value_type>(values), shape);
  }
  /// Copies `values` into a vector.
  template <class C>
  static Tensor from(const C& values) {
    return from(values, {static_cast<std::int64_t>(values.size())});
  }

  /// False for an empty handle.
  bool defined() const noexcept { return static_cast<bool>(data_); }
  /// True for a tensor without elements, see symbolic().
  bool is_symbolic() const { return (spec(), data_->data == nullptr); }
  /// Shape and dtype together. @throws ValueError for an empty handle.
  const Spec& spec() const&;
  /// The same by value: a temporary would take it with it.
  Spec spec() && { return static_cast<const Tensor&>(*this).spec(); }
  /// Extents.
  const Shape& shape() const& { return spec().shape; }
  /// The same by value.
  Shape shape() && { return spec().shape; }
  /// Number of axes.
  int rank() const { return shape().rank(); }
  /// Number of elements.
  std::int64_t size() const { return (spec(), data_->size); }
  /// Element type.
  DType dtype() const { return spec().dtype; }
  /// Bytes of all elements.
  std::size_t nbytes() const { return spec().nbytes(); }

  /// The elements in row-major order. @throws DTypeError when T does not store dtype().
  template <class T>
  const T* data() const& {
    check<T>("data");
    return static_cast<const T*>(raw());
  }
  /// The same with its length.
  template <class T>
  std::span<const T> span() const& {
    return {data<T>(), static_cast<std::size_t>(size())};
  }
  /// A temporary would take its elements with it: give it a name first.
  template <class T>
  const T* data() && = delete;
  /// As data().
  template <class T>
  std::span<const T> span() && = delete;
  /// The elements for writing; copies them first when anyone else shares them.
  template <class T>
  T* mutable_data() {
    check<T>("mutable_data");
    unshare();
    return static_cast<T*>(raw());
  }
  /// The first element, of whatever type.
  const void* raw() const { return elements(); }
  /// The same for the writer of a tensor that nobody shares yet: does not copy.
  void* raw() { return elements(); }

  /// The only element, as double. @throws ShapeError when size() is not 1.
  double item() const;
  /// The element at row-major position `i`, as double. @throws ValueError when out of range.
  double flat(std::int64_t i) const;
  /// The element at `index`. @throws ShapeError when its length is not rank() or out of range.
  double at(const Dims& index) const;

  /// The same elements under another shape; one extent may be −1. Shares memory.
  Tensor reshape(const Shape& shape) const;
  /// Converted elements (the same handle when the dtype is already `dtype`). f64 → f32 rounds to
  /// nearest, floating → integer truncates, anything → boolean tests for ≠ 0.
  Tensor to(DType dtype) const;
  /// The same elements in memory of their own.
  Tensor clone() const;
  /// True when both begin at the same element in memory.
  bool shares_memory_with(const Tensor& o) const {
    return defined() && o.defined() && data_->data && data_->data == o.data_->data;
  }
  /// True when no other handle keeps these elements alive.
  bool unique() const { return data_ && data_->unique() && !data_->owner; }

  /// Copies into a new xtensor container, whose value type must store dtype().
  template <ArrayContainer X>
  operator X() const;

  /// Nested brackets, long axes abbreviated: `[[1, 2], [3, 4]]`.
  std::string str(int precision = 6) const;

 private:
  template <class T>
  void check(const char* where) const {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> ||
                      std::is_same_v<T, std::int64_t> || std::is_same_v<T, bool>,
                  "elements are float, double, std::int64_t or bool");
    if (dtype() != dtype_of<T>()) detail::throw_dtype(where, dtype(), dtype_of<T>());
  }
  void unshare();
  void* elements() const {
    if (is_symbolic()) detail::throw_symbolic();
    return data_->data;
  }

  detail::Ref<detail::TensorData> data_;
};

/// Several tensors, such as gradients. Its memory is recycled; converts to std::vector.
class Tensors : public std::vector<Tensor, memory::Recycler<Tensor>> {
 public:
  using std::vector<Tensor, memory::Recycler<Tensor>>::vector;
  /// Which parameters (Parameter::id) these are the gradients of, each of its own; empty for
  /// others. Optimizers go by it: the gradients may come in any order.
  std::vector<const void*, memory::Recycler<const void*>> of = {};
  /// The same handles in a vector of its own.
  operator std::vector<Tensor>() const { return {begin(), end()}; }
};

std::ostream& operator<<(std::ostream& os, const Tensor& t);
/// True when no element is NaN or infinite.
bool all_finite(const Tensor& t);
/// Same shape, dtype and bits (NaN equals NaN of the same bits).
bool identical(const Tensor& a, const Tensor& b);

template <ArrayExpression X>
Tensor::Tensor(const X& x) {
  using T = std::remove_cv_t<typename X::value_type>;
  Shape shape(x.shape().begin(), x.shape().end());
  *this = empty(shape, dtype_of<T>());
  auto copy = [&](auto* out) {
    auto it = x.begin();
    for (std::int64_t i = 0, n = shape.size(); i < n; ++i, ++it) {
      out[i] = static_cast<std::remove_pointer_t<decltype(out)>>(*it);
    }
  };
  dispatch(dtype_of<T>(), [&](auto zero) { copy(static_cast<decltype(zero)*>(raw())); });
}

template <class T>
Tensor Tensor::from(std::span<const T> values, const Shape& shape) {
  const auto n = static_cast<std::int64_t>(values.size());
  if (n != shape.size()) detail::throw_size("from", n, shape);
  Tensor t = empty(shape, dtype_of<T>());
  constexpr bool kStored =
      std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, bool>;
  auto* out = static_cast<std::conditional_t<kStored, T, std::int64_t>*>(t.raw());
  for (const T v : values) *out++ = v;
  return t;
}

template <ArrayContainer X>
Tensor::operator X() const {
  using T = typename X::value_type;
  if (dtype() != dtype_of<T>()) detail::throw_dtype("to xtensor", dtype(), dtype_of<T>());
  typename X::shape_type shape{};
  if constexpr (requires { shape.resize(std::size_t{}); }) {
    shape.resize(static_cast<std::size_t>(rank()));
  } else if (shape.size() != static_cast<std::size_t>(rank())) {
    detail::throw_size("to xtensor: fixed rank", static_cast<std::int64_t>(shape.size()),
                       this->shape());
  }
  for (int i = 0; i < rank(); ++i) {
    using Extent = typename X::shape_type::value_type;
    shape[static_cast<std::size_t>(i)] = static_cast<Extent>(this->shape()[i]);
  }
  X x = X::from_shape(shape);
  dispatch(dtype(), [&](auto zero) {
    const auto* in = static_cast<const decltype(zero)*>(raw());
    auto out = x.begin();
    for (std::int64_t i = 0; i < size(); ++i, ++out) *out = static_cast<T>(in[i]);
  });
  return x;
}

}  // namespace xtape
