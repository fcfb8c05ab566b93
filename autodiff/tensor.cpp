#include <algorithm>
#include <cstring>
#include <new>
#include <ostream>
#include <sstream>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/kernels/finite.hpp>
#include <xtape/autodiff/tensor.hpp>

namespace xtape {
namespace {

// Elements follow the header at the next multiple of a cache line.
constexpr std::size_t kHeader = (sizeof(detail::TensorData) + 63) / 64 * 64;

constexpr std::int64_t kMaxElements = std::int64_t{1} << 48;

detail::Ref<detail::TensorData> make(const Spec& spec, std::size_t block_bytes) {
  void* block = memory::allocate(block_bytes);
  auto* t = new (block) detail::TensorData;
  t->spec = spec;
  t->size = spec.shape.size();
  t->data = static_cast<char*>(block) + kHeader;
  t->block_bytes = block_bytes;
  return detail::Ref(t);
}

// Refuses what no memory holds, before products of extents overflow.
void check_size(const char* where, const Shape& shape) {
  std::int64_t elements = 1;
  for (const std::int64_t d : shape) {
    if (d < 0) throw ShapeError(where, "shape " + shape.str() + ": extents are 0 or more");
    if (d > 0 && (d > kMaxElements || elements > kMaxElements / d)) {
      throw ShapeError(where, "shape " + shape.str() + ": more than 2^48 elements");
    }
    elements *= d > 0 ? d : 1;
  }
}

template <class T>
void print(std::ostream& os, const T* p, const Shape& shape, int axis, std::int64_t stride) {
  if (axis == shape.rank()) {
    os << +*p;
    return;
  }
  constexpr std::int64_t kEdge = 3;
  const std::int64_t n = shape[axis];
  const std::int64_t step = n ? stride / n : 0;
  os << '[';
  for (std::int64_t i = 0; i < n; ++i) {
    if (n > 2 * kEdge + 2 && i == kEdge) {
      os << ", …";
      i = n - kEdge;
    }
    if (i) os << ", ";
    print(os, p + i * step, shape, axis + 1, step);
  }
  os << ']';
}

}  // namespace

namespace detail {

void destroy(TensorData* t) noexcept {
  const std::size_t bytes = t->block_bytes;
  t->~TensorData();
  memory::release(t, bytes);
}

void throw_dtype(const char* where, DType have, DType want) {
  throw DTypeError(where, std::string("the tensor holds ") + name(have) + ", not " + name(want) +
                              ": write x.to(" + name(want) + ")");
}

void throw_size(const char* where, std::int64_t have, const Shape& want) {
  throw ShapeError(where, std::to_string(have) + " do not fill shape " + want.str());
}

void throw_symbolic() {
  throw TapeError(
      "Tensor",
      "a value is read while a program is recorded, where it does not exist yet: choose "
      "by where(mask, a, b), return it from the recorded function, or read it outside");
}

}  // namespace detail

Tensor::Tensor(std::initializer_list<detail::Number> values, DType dtype) {
  Tensor t = empty({static_cast<std::int64_t>(values.size())}, f64);
  std::transform(values.begin(), values.end(), static_cast<double*>(t.raw()),
                 [](const detail::Number& n) { return n.value; });
  *this = t.to(dtype);
}

Tensor::Tensor(std::initializer_list<std::initializer_list<double>> rows, DType dtype) {
  const auto n = static_cast<std::int64_t>(rows.size());
  const auto m = n ? static_cast<std::int64_t>(rows.begin()->size()) : 0;
  Tensor t = empty({n, m}, f64);
  auto* out = static_cast<double*>(t.raw());
  for (const auto& row : rows) {
    if (static_cast<std::int64_t>(row.size()) != m) {
      throw ShapeError("Tensor", "rows of lengths " + std::to_string(m) + " and " +
                                     std::to_string(row.size()) + ": all must be equal");
    }
    out = std::copy(row.begin(), row.end(), out);
  }
  *this = t.to(dtype);
}

Tensor Tensor::empty(const Shape& shape, DType dtype) {
  check_size("Tensor", shape);
  const Spec spec{shape, dtype};
  Tensor t;
  t.data_ = make(spec, kHeader + std::max<std::size_t>(spec.nbytes(), 1));
  return t;
}

Tensor Tensor::symbolic(const Spec& spec) {
  check_size("Tensor", spec.shape);
  Tensor t;
  t.data_ = make(spec, kHeader);
  t.data_->data = nullptr;
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor t = empty(shape, dtype);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    std::fill_n(static_cast<T*>(t.raw()), t.size(), static_cast<T>(value));
  });
  return t;
}

Tensor Tensor::arange(std::int64_t n, DType dtype) {
  if (n < 0) throw ValueError("arange", "n = " + std::to_string(n) + ": must be 0 or more");
  Tensor t = empty({n}, dtype);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    auto* out = static_cast<T*>(t.raw());
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(i);
  });
  return t;
}

const Spec& Tensor::spec() const& {
  if (!data_) throw ValueError("Tensor", "an empty handle was used: assign a tensor to it first");
  return data_->spec;
}

double Tensor::item() const {
  if (size() != 1) {
    throw ShapeError("item", "shape " + shape().str() + " has " + std::to_string(size()) +
                                 " elements: item() needs exactly one");
  }
  return flat(0);
}

double Tensor::flat(std::int64_t i) const {
  if (i < 0 || i >= size()) {
    throw ValueError(
        "flat", "position " + std::to_string(i) + " of " + std::to_string(size()) + " elements");
  }
  return dispatch(dtype(), [&](auto zero) {
    return static_cast<double>(static_cast<const decltype(zero)*>(raw())[i]);
  });
}

double Tensor::at(const Dims& index) const {
  std::int64_t k = 0;
  bool inside = index.rank() == rank();
  for (int i = 0; inside && i < rank(); ++i) {
    inside = index[i] >= 0 && index[i] < shape()[i];
    k = k * shape()[i] + index[i];
  }
  if (!inside) throw ShapeError("at", "index " + index.str() + " into shape " + shape().str());
  return flat(k);
}

Tensor Tensor::reshape(const Shape& wanted) const {
  Shape s = wanted;
  std::uint64_t product = 1;  // may wrap: check_size() has the last word
  int open = -1;
  for (int i = 0; i < s.rank(); ++i) {
    if (s[i] == -1 && open < 0) {
      open = i;
    } else {
      product *= static_cast<std::uint64_t>(s[i] < 0 ? 0 : s[i]);
    }
  }
  const auto known = static_cast<std::int64_t>(product);
  if (open >= 0 && known > 0 && size() % known == 0) s[open] = size() / known;
  if (s.size() != size() || std::any_of(s.begin(), s.end(), [](auto d) { return d < 0; })) {
    throw ShapeError("reshape", "shape " + shape().str() + " to " + wanted.str() +
                                    ": the number of elements must stay " + std::to_string(size()) +
                                    " (one extent may be -1)");
  }
  if (s == shape()) return *this;
  check_size("reshape", s);
  Tensor t;
  t.data_ = make({s, dtype()}, kHeader);
  t.data_->data = data_->data;
  t.data_->owner = data_->owner ? data_->owner : data_;
  return t;
}

Tensor Tensor::to(DType want) const {
  if (want == dtype()) return *this;
  raw();  // throws for a symbolic one
  Tensor t = empty(shape(), want);
  dispatch(dtype(), [&](auto from_zero) {
    dispatch(want, [&](auto to_zero) {
      const auto* in = static_cast<const decltype(from_zero)*>(raw());
      auto* out = static_cast<decltype(to_zero)*>(t.raw());
      std::transform(in, in + size(), out,
                     [](auto v) { return static_cast<decltype(to_zero)>(v); });
    });
  });
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape(), dtype());
  std::memcpy(t.raw(), raw(), nbytes());
  return t;
}

void Tensor::unshare() {
  if (!unique()) *this = clone();
}

std::string Tensor::str(int precision) const {
  if (!defined()) return "Tensor()";
  if (is_symbolic()) return std::string(name(dtype())) + shape().str() + " of a recording";
  std::ostringstream os;
  os.precision(precision);
  dispatch(dtype(), [&](auto zero) {
    print(os, static_cast<const decltype(zero)*>(raw()), shape(), 0, size());
  });
  return os.str();
}

std::ostream& operator<<(std::ostream& os, const Tensor& t) { return os << t.str(); }

bool all_finite(const Tensor& t) { return kernels::all_finite(t.raw(), t.dtype(), t.size()); }

bool identical(const Tensor& a, const Tensor& b) {
  return a.spec() == b.spec() && std::memcmp(a.raw(), b.raw(), a.nbytes()) == 0;
}

}  // namespace xtape
