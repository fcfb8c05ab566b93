#include <algorithm>
#include <cstring>
#include <span>

#include <xtape/autodiff/kernels/windows.hpp>

namespace xtape::kernels {
namespace {

// Windows side by side in one output row: where the first tap of the first one lies, and which
// columns they are.
struct Piece {
  std::int64_t column, length, z, y, x;
};

// Columns that are looked at together.
constexpr std::int64_t kColumns = 64;

std::int64_t split(const Windows& w, std::int64_t first, std::int64_t count, Piece* pieces) {
  const std::int64_t width = w.out[2];
  std::int64_t x = first % width, y = first / width % w.out[1], z = first / width / w.out[1];
  std::int64_t n = 0;
  for (std::int64_t column = 0; column < count; ++n) {
    const std::int64_t length = std::min(count - column, width - x);
    pieces[n] = {column, length, z * w.stride[0] - w.padding[0], y * w.stride[1] - w.padding[1],
                 x * w.stride[2] - w.padding[2]};
    column += length;
    x = 0;
    if (++y < w.out[1]) continue;
    y = 0;
    ++z;
  }
  return n;
}

// What one tap of a piece sees: columns left of the input, on it from position `from` on, and right
// of it.
struct Run {
  std::int64_t column, before, inside, after, from;
};

Run run_of(const Windows& w, const Piece& p, const Extents& tap) {
  const std::int64_t z = p.z + tap[0] * w.dilation[0], y = p.y + tap[1] * w.dilation[1];
  if (z < 0 || z >= w.in[0] || y < 0 || y >= w.in[1]) return {p.column, p.length, 0, 0, 0};
  const std::int64_t step = w.stride[2], x = p.x + tap[2] * w.dilation[2];
  std::int64_t before = 0, until = p.length;
  if (x < 0) before = std::min((step - 1 - x) / step, p.length);
  if (x + (p.length - 1) * step >= w.in[2]) {
    until = x < w.in[2] ? (w.in[2] - x + step - 1) / step : 0;
  }
  const std::int64_t inside = std::max<std::int64_t>(until - before, 0);
  return {p.column, before, inside, p.length - before - inside,
          (z * w.in[1] + y) * w.in[2] + x + before * step};
}

// Calls body(k, columns before, runs) for tap k of up to kColumns columns at a time.
template <class F>
void each_tap(const Windows& w, std::int64_t first, std::int64_t count, const F& body) {
  Piece pieces[kColumns];
  Run runs[kColumns];
  for (std::int64_t begin = 0; begin < count; begin += kColumns) {
    const std::int64_t n = split(w, first + begin, std::min(kColumns, count - begin), pieces);
    std::int64_t k = 0;
    Extents tap{};
    for (tap[0] = 0; tap[0] < w.window[0]; ++tap[0]) {
      for (tap[1] = 0; tap[1] < w.window[1]; ++tap[1]) {
        for (tap[2] = 0; tap[2] < w.window[2]; ++tap[2], ++k) {
          for (std::int64_t i = 0; i < n; ++i) runs[i] = run_of(w, pieces[i], tap);
          body(k, begin, std::span<const Run>(runs, static_cast<std::size_t>(n)));
        }
      }
    }
  }
}

// Runs are short: a call of memcpy would take longer than the copy.
template <class T>
inline void copy_run(T* to, const T* from, std::int64_t n) {
  constexpr std::int64_t wide = 32 / sizeof(T), half = wide / 2;
  if (n < half) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = from[i];
    return;
  }
  if (n < wide) {
    std::memcpy(to, from, half * sizeof(T));
    std::memcpy(to + n - half, from + n - half, half * sizeof(T));
    return;
  }
  for (std::int64_t i = 0; i + wide <= n; i += wide) {
    std::memcpy(to + i, from + i, wide * sizeof(T));
  }
  std::memcpy(to + n - wide, from + n - wide, wide * sizeof(T));
}

template <class T>
void gather_rows(const Windows& w, const T* x, std::int64_t planes, std::int64_t first,
                 std::int64_t count, T* columns, std::int64_t ld) {
  const std::int64_t step = w.stride[2], taps = volume(w.window), plane = volume(w.in);
  each_tap(w, first, count, [&](std::int64_t k, std::int64_t begin, std::span<const Run> runs) {
    T* row = columns + k * ld + begin;
    const T* in = x;
    for (std::int64_t c = 0; c < planes; ++c, row += taps * ld, in += plane) {
      for (const Run& r : runs) {
        T* to = row + r.column;
        for (std::int64_t i = 0; i < r.before; ++i) *to++ = 0;
        if (step == 1) {
          copy_run(to, in + r.from, r.inside);
        } else {
          for (std::int64_t i = 0; i < r.inside; ++i) to[i] = in[r.from + i * step];
        }
        to += r.inside;
        for (std::int64_t i = 0; i < r.after; ++i) *to++ = 0;
      }
    }
  });
}

template <class T>
void add_rows(const Windows& w, const T* columns, std::int64_t ld, std::int64_t planes,
              std::int64_t first, std::int64_t count, T* x) {
  const std::int64_t step = w.stride[2], taps = volume(w.window), plane = volume(w.in);
  each_tap(w, first, count, [&](std::int64_t k, std::int64_t begin, std::span<const Run> runs) {
    const T* row = columns + k * ld + begin;
    T* out = x;
    for (std::int64_t c = 0; c < planes; ++c, row += taps * ld, out += plane) {
      for (const Run& r : runs) {
        const T* from = row + r.column + r.before;
        T* to = out + r.from;
        if (step == 1) {
          for (std::int64_t i = 0; i < r.inside; ++i) to[i] += from[i];
        } else {
          for (std::int64_t i = 0; i < r.inside; ++i) to[i * step] += from[i];
        }
      }
    }
  });
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
