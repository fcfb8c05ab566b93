#include <algorithm>
#include <ostream>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/shape.hpp>

namespace xtape {

void Dims::push_back(std::int64_t d) {
  if (rank_ == kMaxRank) {
    throw ShapeError("shape", "rank " + std::to_string(rank_ + 1) + ": at most " +
                                  std::to_string(kMaxRank) + " axes are supported");
  }
  dims_[static_cast<std::size_t>(rank_++)] = d;
}

std::string Dims::str() const {
  std::string s = "(";
  for (int i = 0; i < rank_; ++i) s += (i ? ", " : "") + std::to_string((*this)[i]);
  return s + (rank_ == 1 ? ",)" : ")");
}

std::ostream& operator<<(std::ostream& os, const Dims& d) { return os << d.str(); }

Shape broadcast(std::string_view op, const Shape& a, const Shape& b) {
  Shape out = a.rank() >= b.rank() ? a : b;
  const Shape& other = a.rank() >= b.rank() ? b : a;
  const int shift = out.rank() - other.rank();
  for (int i = 0; i < other.rank(); ++i) {
    std::int64_t& d = out[i + shift];
    if (d == other[i] || other[i] == 1) continue;
    if (d == 1) {
      d = other[i];
      continue;
    }
    throw ShapeError(op, "shapes " + a.str() + " and " + b.str() + " do not broadcast: axis " +
                             std::to_string(i - other.rank()) + " has extents " +
                             std::to_string(a[a.rank() - other.rank() + i]) + " and " +
                             std::to_string(b[b.rank() - other.rank() + i]) +
                             ", which must agree or be 1");
  }
  return out;
}

int normalize_axis(std::string_view op, std::int64_t axis, const Shape& shape) {
  const int rank = shape.rank();
  if (axis < -rank || axis >= rank) {
    throw ShapeError(op, "axis " + std::to_string(axis) + " of shape " + shape.str() +
                             ": must be in [" + std::to_string(-rank) + ", " +
                             std::to_string(rank) + ")");
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Axes normalize_axes(std::string_view op, const Axes& axes, const Shape& shape) {
  std::array<bool, kMaxRank> used{};
  for (std::int64_t a : axes) {
    const auto k = static_cast<std::size_t>(normalize_axis(op, a, shape));
    if (used[k]) {
      throw ShapeError(op, "axes " + axes.str() + " of shape " + shape.str() +
                               ": every axis may stand once only");
    }
    used[k] = true;
  }
  Axes out;
  for (int i = 0; i < shape.rank(); ++i) {
    if (axes.empty() || used[static_cast<std::size_t>(i)]) out.push_back(i);
  }
  return out;
}

Shape reduced(const Shape& shape, const Axes& axes, bool keepdims) {
  Shape out;
  for (int i = 0; i < shape.rank(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) {
      out.push_back(shape[i]);
    } else if (keepdims) {
      out.push_back(1);
    }
  }
  return out;
}

}  // namespace xtape
