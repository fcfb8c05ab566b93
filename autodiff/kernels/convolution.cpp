#include <algorithm>

#include <xtape/autodiff/kernels/convolution.hpp>
#include <xtape/autodiff/kernels/gemm.hpp>
#include <xtape/autodiff/kernels/gemm_kernels.hpp>
#include <xtape/autodiff/kernels/scratch.hpp>
#include <xtape/autodiff/threads.hpp>

namespace xtape::kernels {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// What all three have in common: sizes, and how many windows are columns at a time. These stay in
// the L2 cache, unless there are so many rows that their products would be too narrow.
template <class T>
struct Plan {
  explicit Plan(const Convolution& conv)
      : c(conv),
        rows(conv.inputs * volume(conv.windows.window)),
        points(volume(conv.windows.out)),
        in_points(volume(conv.windows.in)),
        plain(conv.windows.plain()) {
    constexpr std::int64_t kCache = 256 * 1024, kUnit = 32, kFewest = 128;
    const std::int64_t fit = kCache / static_cast<std::int64_t>(sizeof(T)) / std::max(rows, kUnit);
    width = std::clamp(fit / kUnit * kUnit, kFewest, std::int64_t{1024});
  }
  bool empty() const { return c.samples * c.groups * c.outputs * points * rows == 0; }
  // Multiply-adds per window of one group.
  std::int64_t work() const { return c.outputs * rows; }

  const T* x_of(const T* x, std::int64_t sample, std::int64_t group) const {
    return x + (sample * c.groups + group) * c.inputs * in_points;
  }
  const T* w_of(const T* w, std::int64_t group) const { return w + group * c.outputs * rows; }
  std::int64_t y_at(std::int64_t sample, std::int64_t group) const {
    return (sample * c.groups + group) * c.outputs * points;
  }

  const Convolution& c;
  std::int64_t rows;  // inputs × taps
  std::int64_t points, in_points;
  std::int64_t width;  // columns at a time
  bool plain;
};

// Calls body(i) for i < count in portions of enough work for a thread.
template <class F>
void share_out(std::int64_t count, std::int64_t work, const F& body) {
  const std::int64_t portion =
      std::max<std::int64_t>(kWorkPerPiece / std::max<std::int64_t>(work, 1), 1);
  const auto run = [&](std::int64_t piece) {
    const std::int64_t end = std::min(count, (piece + 1) * portion);
    for (std::int64_t i = piece * portion; i < end; ++i) body(i);
  };
  if (count <= portion) return run(0);
  detail::parallel_for(ceil_div(count, portion), run);
}

template <class T>
void forward(const Convolution& c, const T* x, const T* w, T* y) {
  const Plan<T> p(c);
  if (p.empty()) {
    std::fill_n(y, c.samples * c.groups * c.outputs * p.points, T{0});
    return;
  }
  const GemmKernels<T>& gemm = gemm_kernels<T>();
  const std::int64_t width = std::min(p.width, p.points), tiles = ceil_div(p.points, width);
  share_out(c.samples * c.groups * tiles, p.work() * width, [&](std::int64_t i) {
    const std::int64_t tile = i % tiles, group = i / tiles % c.groups;
    const std::int64_t sample = i / tiles / c.groups, first = tile * width;
    const std::int64_t count = std::min(width, p.points - first);
    const T* from = p.x_of(x, sample, group);
    const Scratch<T> columns(p.plain ? 0 : p.rows * width);
    if (!p.plain) to_columns(c.windows, from, c.inputs, first, count, columns.data(), width);
    gemm.product({c.outputs, count, p.rows, false, false, p.w_of(w, group), p.rows,
                  p.plain ? from + first : columns.data(), p.plain ? p.points : width,
                  y + p.y_at(sample, group) + first, p.points, 1, 0});
  });
}

// Tasks are blocks of input channels: each element of x has one writer.
template <class T>
void backward_input(const Convolution& c, const T* y, const T* w, T* x) {
  const Plan<T> p(c);
  std::fill_n(x, c.samples * c.groups * c.inputs * p.in_points, T{0});
  if (p.empty()) return;
  constexpr std::int64_t kTasks = 16;
  const GemmKernels<T>& gemm = gemm_kernels<T>();
  const std::int64_t width = std::min(p.width, p.points), taps = p.rows / c.inputs;
  const std::int64_t wanted = ceil_div(kTasks, c.samples * c.groups);
  const std::int64_t block = ceil_div(c.inputs, std::min(wanted, c.inputs));
  const std::int64_t blocks = ceil_div(c.inputs, block);
  share_out(c.samples * c.groups * blocks, p.work() * p.points / blocks, [&](std::int64_t i) {
    const std::int64_t channel = i % blocks * block, group = i / blocks % c.groups;
    const std::int64_t sample = i / blocks / c.groups, count = std::min(block, c.inputs - channel);
    T* to = x + ((sample * c.groups + group) * c.inputs + channel) * p.in_points;
    const T* from = y + p.y_at(sample, group);
    const T* weight = p.w_of(w, group) + channel * taps;
    const Scratch<T> columns(p.plain ? 0 : count * taps * width);
    for (std::int64_t first = 0; first < p.points; first += width) {
      const std::int64_t n = std::min(width, p.points - first);
      gemm.product({count * taps, n, c.outputs, true, false, weight, p.rows, from + first, p.points,
                    p.plain ? to + first : columns.data(), p.plain ? p.points : width, 1, 0});
      if (!p.plain) add_columns(c.windows, columns.data(), width, count, first, n, to);
    }
  });
}

// Windows [begin, end) of all samples, counted through, added to the weight of one group. Several
// small samples are taken at once: a product gains by its depth.
template <class T>
class WeightSum {
 public:
  explicit WeightSum(const Plan<T>& plan)
      : p_(plan), columns_(plan.rows * plan.width), ys_(plan.c.outputs * plan.width) {}

  void add(const T* x, const T* y, std::int64_t group, std::int64_t begin, std::int64_t end,
           T* w) const {
    for (std::int64_t at = begin; at < end;) {
      const std::int64_t count = std::min(p_.width, end - at);
      product(x, y, group, at, count, w, at == begin ? T{0} : T{1});
      at += count;
    }
  }

 private:
  void product(const T* x, const T* y, std::int64_t group, std::int64_t at, std::int64_t count,
               T* w, T beta) const {
    const Convolution& c = p_.c;
    const std::int64_t first = at % p_.points, sample = at / p_.points;
    const bool single = first + count <= p_.points;
    const T* from = y + p_.y_at(sample, group) + first;
    if (!single || !p_.plain) gather(x, y, group, at, count, single);
    const T* columns = single && p_.plain ? p_.x_of(x, sample, group) + first : columns_.data();
    gemm_kernels<T>().product({c.outputs, p_.rows, count, false, true, single ? from : ys_.data(),
                               single ? p_.points : p_.width, columns,
                               single && p_.plain ? p_.points : p_.width, w, p_.rows, 1, beta});
  }

  void gather(const T* x, const T* y, std::int64_t group, std::int64_t at, std::int64_t count,
              bool single) const {
    const Convolution& c = p_.c;
    for (std::int64_t done = 0; done < count;) {
      const std::int64_t sample = (at + done) / p_.points, first = (at + done) % p_.points;
      const std::int64_t n = std::min(count - done, p_.points - first);
      to_columns(c.windows, p_.x_of(x, sample, group), c.inputs, first, n, columns_.data() + done,
                 p_.width);
      const T* from = y + p_.y_at(sample, group) + first;
      for (std::int64_t o = 0; o < c.outputs && !single; ++o) {
        std::copy_n(from + o * p_.points, n, ys_.data() + o * p_.width + done);
      }
      done += n;
    }
  }

  const Plan<T>& p_;
  Scratch<T> columns_, ys_;
};

template <class T>
void backward_weight(const Convolution& c, const T* x, const T* y, T* w) {
  const Plan<T> p(c);
  const std::int64_t weights = c.outputs * p.rows, all = c.samples * p.points;
  if (p.empty()) {
    std::fill_n(w, c.groups * weights, T{0});
    return;
  }
  // Parts of the sum, by the shapes alone; each in memory of its own, but for the first.
  constexpr std::int64_t kMost = 16, kElements = std::int64_t{1} << 22;
  const std::int64_t parts = std::clamp<std::int64_t>(
      std::min(all * weights / (2 * kWorkPerPiece), kElements / (c.groups * weights)), 1, kMost);
  const Scratch<T> sums(c.groups * (parts - 1) * weights);
  const auto part_of = [&](std::int64_t group, std::int64_t part) {
    return part == 0 ? w + group * weights
                     : sums.data() + (group * (parts - 1) + part - 1) * weights;
  };
  share_out(c.groups * parts, all * weights / parts, [&](std::int64_t i) {
    const std::int64_t group = i / parts, part = i % parts;
    WeightSum<T>(p).add(x, y, group, all * part / parts, all * (part + 1) / parts,
                        part_of(group, part));
  });
  for (std::int64_t group = 0; group < c.groups; ++group) {
    T* to = part_of(group, 0);
    for (std::int64_t part = 1; part < parts; ++part) {
      const T* from = part_of(group, part);
      for (std::int64_t k = 0; k < weights; ++k) to[k] += from[k];
    }
  }
}

}  // namespace

void convolve(const Convolution& c, const float* x, const float* w, float* y) {
  forward(c, x, w, y);
}
void convolve(const Convolution& c, const double* x, const double* w, double* y) {
  forward(c, x, w, y);
}
void convolve_input(const Convolution& c, const float* y, const float* w, float* x) {
  backward_input(c, y, w, x);
}
void convolve_input(const Convolution& c, const double* y, const double* w, double* x) {
  backward_input(c, y, w, x);
}
void convolve_weight(const Convolution& c, const float* x, const float* y, float* w) {
  backward_weight(c, x, y, w);
}
void convolve_weight(const Convolution& c, const double* x, const double* y, double* w) {
  backward_weight(c, x, y, w);
}

}  // namespace xtape::kernels
