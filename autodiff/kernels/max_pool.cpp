#include <algorithm>
#include <limits>
#include <type_traits>

#include <xtape/autodiff/kernels/max_pool.hpp>
#include <xtape/autodiff/kernels/simd.hpp>

namespace xtape::kernels {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Windows of one row of the output, side by side, at most so many.
constexpr std::int64_t kRow = 128;

// The largest elements of a row of windows so far, and where they are. `Place` is as wide as T
// where positions allow it, which makes SIMD code of the comparisons.
template <class T, class Place>
struct Largest {
  T most[kRow];
  Place best[kRow];

  // One tap of windows [begin, end): elements `step` apart in `x`, from position `at` on. Without
  // branches: which is larger is anyone's guess. Of NaN, the last one stands.
  void look_at(const T* x, std::int64_t at, std::int64_t step, std::int64_t begin,
               std::int64_t end) {
    T v[kRow];
    for (std::int64_t i = begin; i < end; ++i) v[i] = x[at + i * step];
    const auto first = static_cast<Place>(at), apart = static_cast<Place>(step);
    at_simd_level([&, this]() XTAPE_INLINE_LAMBDA {
      XTAPE_LANES
      for (std::int64_t i = begin; i < end; ++i) {
        const bool take = (v[i] > most[i]) | (v[i] != v[i]);
        const Place here = first + static_cast<Place>(i) * apart;
        most[i] = take ? v[i] : most[i];
        best[i] = take ? here : best[i];
      }
    });
  }
};

// The windows [first, first + n) of output row (z, y), tap by tap. The first of equal ones stands.
template <class T, class Place>
void largest_of_row(const Pool& a, const T* x, const Range& rz, const Range& ry, std::int64_t first,
                    std::int64_t n, std::int64_t* out) {
  const Windows& w = a.windows;
  Largest<T, Place> row;
  for (std::int64_t i = 0; i < n; ++i) {
    row.most[i] = -std::numeric_limits<T>::infinity();
    row.best[i] = static_cast<Place>((rz.begin * w.in[1] + ry.begin) * w.in[2] +
                                     window_range(a, 2, first + i).begin);
  }
  const std::int64_t step = w.stride[2];
  for (std::int64_t z = rz.begin; z < rz.end; z += rz.step) {
    for (std::int64_t y = ry.begin; y < ry.end; y += ry.step) {
      for (std::int64_t k = 0; k < w.window[2]; ++k) {
        const std::int64_t left = first * step - w.padding[2] + k * w.dilation[2];
        const std::int64_t begin = left < 0 ? std::min(ceil_div(-left, step), n) : 0;
        const std::int64_t room = w.in[2] - left;
        const std::int64_t end = room > 0 ? std::min(ceil_div(room, step), n) : 0;
        row.look_at(x, (z * w.in[1] + y) * w.in[2] + left, step, begin, end);
      }
    }
  }
  for (std::int64_t i = 0; i < n; ++i) out[i] = row.best[i];
}

// The same for windows that share an axis out: one after the other.
template <class T>
void largest_of_shares(const Pool& a, const T* x, const Range& rz, const Range& ry,
                       std::int64_t first, std::int64_t n, std::int64_t* out) {
  const Windows& w = a.windows;
  for (std::int64_t i = 0; i < n; ++i) {
    const Range rx = window_range(a, 2, first + i);
    T most = -std::numeric_limits<T>::infinity();
    out[i] = (rz.begin * w.in[1] + ry.begin) * w.in[2] + rx.begin;
    for (std::int64_t z = rz.begin; z < rz.end; ++z) {
      for (std::int64_t y = ry.begin; y < ry.end; ++y) {
        const std::int64_t row = (z * w.in[1] + y) * w.in[2];
        for (std::int64_t at = row + rx.begin; at < row + rx.end; ++at) {
          if (!(x[at] > most) && x[at] == x[at]) continue;
          most = x[at];
          out[i] = at;
        }
      }
    }
  }
}

template <class T>
void plane(const Pool& a, const T* x, std::int64_t* out) {
  using Narrow = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  const bool narrow = volume(a.windows.in) <= std::numeric_limits<Narrow>::max();
  const auto fixed = narrow ? largest_of_row<T, Narrow> : largest_of_row<T, std::int64_t>;
  const Extents& e = a.windows.out;
  for (std::int64_t z = 0; z < e[0]; ++z) {
    const Range rz = window_range(a, 0, z);
    for (std::int64_t y = 0; y < e[1]; ++y) {
      const Range ry = window_range(a, 1, y);
      for (std::int64_t first = 0; first < e[2]; first += kRow) {
        const std::int64_t n = std::min(kRow, e[2] - first);
        if (a.adaptive) {
          largest_of_shares(a, x, rz, ry, first, n, out);
        } else {
          fixed(a, x, rz, ry, first, n, out);
        }
        out += n;
      }
    }
  }
}

}  // namespace

Range window_range(const Pool& a, std::size_t axis, std::int64_t i) {
  const Windows& w = a.windows;
  if (a.adaptive) {
    return {i * w.in[axis] / w.out[axis], ceil_div((i + 1) * w.in[axis], w.out[axis]), 1};
  }
  const std::int64_t step = w.dilation[axis], start = i * w.stride[axis] - w.padding[axis];
  const std::int64_t end = std::min(start + (w.window[axis] - 1) * step + 1, w.in[axis]);
  return {start < 0 ? start + ceil_div(-start, step) * step : start, end, step};
}

void largest_of_plane(const Pool& p, const float* x, std::int64_t* out) { plane(p, x, out); }
void largest_of_plane(const Pool& p, const double* x, std::int64_t* out) { plane(p, x, out); }

}  // namespace xtape::kernels
