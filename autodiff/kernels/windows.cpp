#include <algorithm>

#include <xtape/autodiff/kernels/windows.hpp>

namespace xtape::kernels {
namespace {

// Windows of one output row: which of them, for one tap, lie on the input, and where.
struct Run {
  std::int64_t before, inside, after;  // how many lie left of the input, on it, right of it
  std::int64_t from;                   // the input column of the first inside

  static Run of(const Windows& w, std::int64_t x, std::int64_t length, std::int64_t tap) {
    const std::int64_t step = w.stride[2], left = x * step - w.padding[2] + tap * w.dilation[2];
    const std::int64_t right = w.in[2] - left;
    const std::int64_t before = left < 0 ? std::min((step - 1 - left) / step, length) : 0;
    const std::int64_t until = right > 0 ? std::min((right + step - 1) / step, length) : 0;
    const std::int64_t inside = std::max<std::int64_t>(until - before, 0);
    return {before, inside, length - before - inside, left + before * step};
  }
};

// Calls row(position, column, run) for each piece of an output row among the windows
// [first, first + count), for one tap (z, y, x): `position` is that of the input row, −1 where the
// row lies outside; the piece begins at `column` of the columns.
template <class F>
void each_row(const Windows& w, std::int64_t first, std::int64_t count, const Extents& tap,
              const F& row) {
  const std::int64_t width = w.out[2];
  std::int64_t x = first % width, y = first / width % w.out[1], z = first / width / w.out[1];
  for (std::int64_t column = 0; column < count;) {
    const std::int64_t length = std::min(count - column, width - x);
    const std::int64_t iz = z * w.stride[0] - w.padding[0] + tap[0] * w.dilation[0];
    const std::int64_t iy = y * w.stride[1] - w.padding[1] + tap[1] * w.dilation[1];
    const bool outside = iz < 0 || iz >= w.in[0] || iy < 0 || iy >= w.in[1];
    row(outside ? -1 : (iz * w.in[1] + iy) * w.in[2], column, Run::of(w, x, length, tap[2]));
    column += length;
    x = 0;
    if (++y < w.out[1]) continue;
    y = 0;
    ++z;
  }
}

// Calls tap({z, y, x}) in row-major order.
template <class F>
void each_tap(const Windows& w, const F& tap) {
  Extents k{};
  for (k[0] = 0; k[0] < w.window[0]; ++k[0]) {
    for (k[1] = 0; k[1] < w.window[1]; ++k[1]) {
      for (k[2] = 0; k[2] < w.window[2]; ++k[2]) tap(k);
    }
  }
}

template <class T>
void gather_rows(const Windows& w, const T* x, std::int64_t planes, std::int64_t first,
                 std::int64_t count, T* columns, std::int64_t ld) {
  const std::int64_t step = w.stride[2];
  for (std::int64_t c = 0; c < planes; ++c, x += volume(w.in)) {
    each_tap(w, [&](const Extents& tap) {
      each_row(w, first, count, tap, [&](std::int64_t position, std::int64_t column, Run r) {
        T* to = columns + column;
        if (position < 0) {
          std::fill_n(to, r.before + r.inside + r.after, T{0});
          return;
        }
        const T* from = x + position + r.from;
        for (std::int64_t i = 0; i < r.before; ++i) *to++ = 0;
        if (step == 1) {
          std::copy_n(from, r.inside, to);
        } else {
          for (std::int64_t i = 0; i < r.inside; ++i) to[i] = from[i * step];
        }
        to += r.inside;
        for (std::int64_t i = 0; i < r.after; ++i) *to++ = 0;
      });
      columns += ld;
    });
  }
}

template <class T>
void add_rows(const Windows& w, const T* columns, std::int64_t ld, std::int64_t planes,
              std::int64_t first, std::int64_t count, T* x) {
  const std::int64_t step = w.stride[2];
  for (std::int64_t c = 0; c < planes; ++c, x += volume(w.in)) {
    each_tap(w, [&](const Extents& tap) {
      each_row(w, first, count, tap, [&](std::int64_t position, std::int64_t column, Run r) {
        if (position < 0) return;
        const T* from = columns + column + r.before;
        T* to = x + position + r.from;
        if (step == 1) {
          for (std::int64_t i = 0; i < r.inside; ++i) to[i] += from[i];
        } else {
          for (std::int64_t i = 0; i < r.inside; ++i) to[i * step] += from[i];
        }
      });
      columns += ld;
    });
  }
}

}  // namespace

void to_columns(const Windows& w, const float* x, std::int64_t planes, std::int64_t first,
                std::int64_t count, float* columns, std::int64_t ld) {
  gather_rows(w, x, planes, first, count, columns, ld);
}
void to_columns(const Windows& w, const double* x, std::int64_t planes, std::int64_t first,
                std::int64_t count, double* columns, std::int64_t ld) {
  gather_rows(w, x, planes, first, count, columns, ld);
}
void add_columns(const Windows& w, const float* columns, std::int64_t ld, std::int64_t planes,
                 std::int64_t first, std::int64_t count, float* x) {
  add_rows(w, columns, ld, planes, first, count, x);
}
void add_columns(const Windows& w, const double* columns, std::int64_t ld, std::int64_t planes,
                 std::int64_t first, std::int64_t count, double* x) {
  add_rows(w, columns, ld, planes, first, count, x);
}

}  // namespace xtape::kernels
