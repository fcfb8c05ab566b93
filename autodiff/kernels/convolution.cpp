#include <utility>

#include <xtape/autodiff/kernels/convolution_plan.hpp>

// The convolution, and its gradient by the input.
namespace xtape::kernels {
namespace {

using namespace conv;

// Some panels of columns of one group: [begin, end), counted through all samples.
template <class T>
class ForwardPanels {
 public:
  ForwardPanels(const Plan<T>& p, std::int64_t group, std::int64_t begin, std::int64_t end)
      : p_(p),
        group_(group),
        begin_(begin),
        end_(end),
        each_(ceil_div(p.columns.count(), kWidth)),
        panel_(p.channels() * p.taps * kWidth),
        columns_((end - begin) * panel_),
        padded_(p.columns.scratch(p.channels(), (end - begin) * kWidth)),
        sums_(p.columns.exact() ? 0 : (end - begin) * p.c.outputs * kWidth) {}

  void run(const T* x, const T* w, T* y) const {
    for (std::int64_t part = 0; part < p_.parts; ++part) {
      fill(x, part);
      for (std::int64_t row = 0; row < p_.c.outputs; row += kStrip) multiply(w, y, part, row);
    }
    if (!p_.columns.exact()) take(y);
  }

 private:
  static constexpr std::int64_t kWidth = kPanel<T>;

  // Panel i is the columns [first, first + count) of its sample.
  std::int64_t first(std::int64_t i) const { return i % each_ * kWidth; }
  std::int64_t count(std::int64_t i) const {
    return std::min(kWidth, p_.columns.count() - first(i));
  }
  T* sums(std::int64_t i) const { return sums_.data() + (i - begin_) * p_.c.outputs * kWidth; }
  T* place(T* y, std::int64_t i) const { return y + p_.y_at(i / each_, group_); }

  // The panels of one sample at a time.
  void fill(const T* x, std::int64_t part) const {
    const std::int64_t channel = p_.channel(part), channels = p_.channel(part + 1) - channel;
    for (std::int64_t i = begin_; i < end_;) {
      const std::int64_t last = std::min(end_, (i / each_ + 1) * each_) - 1;
      p_.columns.fill(x + p_.x_at(i / each_, group_) + channel * p_.in_points, channels, first(i),
                      first(last) + count(last) - first(i), kWidth, panel_, padded_.data(),
                      columns_.data() + (i - begin_) * panel_);
      i = last + 1;
    }
  }

  void multiply(const T* w, T* y, std::int64_t part, std::int64_t row) const {
    const std::int64_t channel = p_.channel(part), channels = p_.channel(part + 1) - channel;
    const bool exact = p_.columns.exact();
    const std::int64_t ldc = exact ? p_.points : kWidth;
    for (std::int64_t i = begin_; i < end_; ++i) {
      gemm_kernels<T>().product({std::min(kStrip, p_.c.outputs - row), count(i), channels * p_.taps,
                                 false, false,
                                 w + p_.w_at(group_) + row * p_.rows + channel * p_.taps, p_.rows,
                                 columns_.data() + (i - begin_) * panel_, kWidth,
                                 (exact ? place(y, i) + first(i) : sums(i)) + row * ldc, ldc, 1,
                                 part == 0 ? T{0} : T{1}});
    }
  }

  // From the sums of all columns to those of windows.
  void take(T* y) const {
    for (std::int64_t i = begin_; i < end_; ++i) {
      const T* from = sums(i);
      T* to = place(y, i);
      p_.columns.each_run(first(i), count(i),
                          [&](std::int64_t column, std::int64_t window, std::int64_t length) {
                            for (std::int64_t o = 0; o < p_.c.outputs; ++o) {
                              const T* row = from + o * kWidth + column;
                              T* out = to + o * p_.points + window;
                              for (std::int64_t k = 0; k < length; ++k) out[k] = row[k];
                            }
                          });
    }
  }

  const Plan<T>& p_;
  std::int64_t group_, begin_, end_, each_, panel_;
  Scratch<T> columns_, padded_, sums_;
};

// Windows of one element: the columns are x itself.
template <class T>
void forward_plain(const Plan<T>& p, const T* x, const T* w, T* y) {
  constexpr std::int64_t kWidth = 512;
  const std::int64_t tiles = ceil_div(p.points, kWidth), groups = p.c.groups;
  share_out(p.c.samples * groups * tiles, p.work() * kWidth, [&](std::int64_t i) {
    const std::int64_t sample = i / tiles / groups, group = i / tiles % groups;
    const std::int64_t first = i % tiles * kWidth;
    gemm_kernels<T>().product({p.c.outputs, std::min(kWidth, p.points - first), p.rows, false,
                               false, w + p.w_at(group), p.rows, x + p.x_at(sample, group) + first,
                               p.points, y + p.y_at(sample, group) + first, p.points, 1, 0});
  });
}

template <class T>
void forward(const Convolution& conv, const T* x, const T* w, T* y) {
  const Plan<T> p(conv);
  const Convolution& c = p.c;
  if (p.empty()) {
    std::fill_n(y, c.samples * c.groups * c.outputs * p.points, T{0});
    return;
  }
  if (conv.windows.plain()) return forward_plain(p, x, w, y);
  const std::int64_t panels = c.samples * ceil_div(p.columns.count(), kPanel<T>);
  const std::int64_t tasks = ceil_div(panels, kPanels);
  share_out(c.groups * tasks, p.work() * kPanel<T> * kPanels, [&](std::int64_t i) {
    const std::int64_t begin = i % tasks * kPanels;
    ForwardPanels<T>(p, i / tasks, begin, std::min(panels, begin + kPanels)).run(x, w, y);
  });
}

// x by the mirrored form m of c.
template <class T>
void turn_and_convolve(const Convolution& c, const Convolution& m, const T* y, const T* w, T* x) {
  const std::int64_t taps = volume(c.windows.window), weights = c.outputs * c.inputs * taps;
  const Scratch<T> turned(c.groups * weights);
  T* to = turned.data();
  for (std::int64_t group = 0; group < c.groups; ++group, w += weights) {
    for (std::int64_t i = 0; i < c.inputs; ++i) {
      for (std::int64_t o = 0; o < c.outputs; ++o) {
        const T* from = w + (o * c.inputs + i) * taps;
        for (std::int64_t k = taps; k-- > 0;) *to++ = from[k];
      }
    }
  }
  forward(m, y, turned.data(), x);
}

// Some channels of x, of one sample and group; `w` is the weight of these channels, transposed.
template <class T>
void spread_channels(const Plan<T>& p, const T* w, const T* y, std::int64_t channels, T* x) {
  constexpr std::int64_t width = kPanel<T>;
  const Convolution& c = p.c;
  std::fill_n(x, channels * p.in_points, T{0});
  const Scratch<T> columns(channels * p.taps * width);
  for (std::int64_t first = 0; first < p.points; first += width) {
    const std::int64_t count = std::min(width, p.points - first);
    gemm_kernels<T>().product({channels * p.taps, count, c.outputs, false, false, w, c.outputs,
                               y + first, p.points, columns.data(), width, 1, 0});
    add_columns(c.windows, columns.data(), width, channels, first, count, x);
  }
}

// Tasks are blocks of input channels: each element of x has one writer.
template <class T>
void backward_input(const Convolution& conv, const T* y, const T* w, T* x) {
  const Plan<T> p(conv);
  const Convolution& c = p.c;
  if (p.empty()) {
    std::fill_n(x, c.samples * c.groups * c.inputs * p.in_points, T{0});
    return;
  }
  if (const auto m = mirrored(conv)) return turn_and_convolve(conv, *m, y, w, x);
  const Scratch<T> turned(c.groups * c.outputs * p.rows);
  for (std::int64_t group = 0; group < c.groups; ++group) {
    transpose(c.outputs, p.rows, w + p.w_at(group), turned.data() + p.w_at(group));
  }
  share_out(c.samples * c.groups * p.parts, p.work() * p.points / p.parts, [&](std::int64_t i) {
    const std::int64_t part = i % p.parts, group = i / p.parts % c.groups;
    const std::int64_t sample = i / p.parts / c.groups, channel = p.channel(part);
    spread_channels(p, turned.data() + p.w_at(group) + channel * p.taps * c.outputs,
                    y + p.y_at(sample, group), p.channel(part + 1) - channel,
                    x + p.x_at(sample, group) + channel * p.in_points);
  });
}

}  // namespace

// With stride 1 the gradient by x is a convolution of y. That saves adding columns up, but with
// many outputs there are more of them.
std::optional<Convolution> mirrored(const Convolution& c) {
  const Windows& w = c.windows;
  if (c.outputs > 2 * c.inputs && !w.plain()) return {};
  Convolution m{c.samples, c.groups, c.outputs, c.inputs, w};
  std::swap(m.windows.in, m.windows.out);
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t reach = (w.window[i] - 1) * w.dilation[i];
    if (w.stride[i] != 1 || w.padding[i] > reach) return {};
    m.windows.padding[i] = reach - w.padding[i];
  }
  return m;
}

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

}  // namespace xtape::kernels
