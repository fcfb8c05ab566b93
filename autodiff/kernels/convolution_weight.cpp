#include <xtape/autodiff/kernels/convolution_plan.hpp>

// The gradient of a convolution by the weight.
namespace xtape::kernels {
namespace {

using namespace conv;

// Columns [begin, end) of all samples, counted through, added to the weight of one group. Several
// small samples are taken at once: a product gains by its depth. With many outputs it is the
// transposed weight that is made: then y is what has to be transposed, not the columns.
template <class T>
class WeightSum {
 public:
  explicit WeightSum(const Plan<T>& plan)
      : p_(plan),
        columns_(plan.channels() * plan.taps * kLd),
        padded_(plan.columns.scratch(plan.channels(), kDepth)),
        ys_(plan.c.outputs * kLd) {}

  static bool turned(const Plan<T>& p) { return p.c.outputs >= 32; }

  void add(const T* x, const T* y, std::int64_t group, std::int64_t begin, std::int64_t end,
           T* w) const {
    const std::int64_t each = p_.columns.count();
    for (std::int64_t at = begin; at < end; at += kDepth) {
      const std::int64_t count = std::min(kDepth, end - at), first = at % each;
      const bool direct = p_.columns.exact() && first + count <= each;
      if (!direct) gather_ys(y, group, at, count);
      const T* from = direct ? y + p_.y_at(at / each, group) + first : ys_.data();
      for (std::int64_t part = 0; part < p_.parts; ++part) {
        gather_columns(x, group, part, at, count);
        product(part, count, from, direct ? p_.points : kLd, w, at == begin ? T{0} : T{1});
      }
    }
  }

 private:
  // A cache line more than a pass, lest all rows begin in the same sets.
  static constexpr std::int64_t kLd = kDepth + 64 / static_cast<std::int64_t>(sizeof(T));

  void product(std::int64_t part, std::int64_t count, const T* y, std::int64_t ld, T* w,
               T beta) const {
    const std::int64_t first = p_.channel(part) * p_.taps, outputs = p_.c.outputs;
    const std::int64_t rows = p_.channel(part + 1) * p_.taps - first;
    const GemmKernels<T>& gemm = gemm_kernels<T>();
    if (turned(p_)) {
      gemm.product({rows, outputs, count, false, true, columns_.data(), kLd, y, ld,
                    w + first * outputs, outputs, 1, beta});
    } else {
      gemm.product({outputs, rows, count, false, true, y, ld, columns_.data(), kLd, w + first,
                    p_.rows, 1, beta});
    }
  }

  // Calls body(sample, first column, count, how many before) for each sample that takes part.
  template <class F>
  void each_sample(std::int64_t at, std::int64_t count, const F& body) const {
    const std::int64_t each = p_.columns.count();
    for (std::int64_t done = 0; done < count;) {
      const std::int64_t first = (at + done) % each, n = std::min(count - done, each - first);
      body((at + done) / each, first, n, done);
      done += n;
    }
  }

  void gather_columns(const T* x, std::int64_t group, std::int64_t part, std::int64_t at,
                      std::int64_t count) const {
    const std::int64_t channel = p_.channel(part), channels = p_.channel(part + 1) - channel;
    each_sample(at, count,
                [&](std::int64_t sample, std::int64_t first, std::int64_t n, std::int64_t done) {
                  p_.columns.fill(x + p_.x_at(sample, group) + channel * p_.in_points, channels,
                                  first, n, kLd, 0, padded_.data(), columns_.data() + done);
                });
  }

  // Zeros where a column is no window: an x that is not finite makes NaN of them in the sum.
  void gather_ys(const T* y, std::int64_t group, std::int64_t at, std::int64_t count) const {
    if (!p_.columns.exact()) std::fill_n(ys_.data(), p_.c.outputs * kLd, T{0});
    each_sample(at, count,
                [&](std::int64_t sample, std::int64_t first, std::int64_t n, std::int64_t done) {
                  const T* from = y + p_.y_at(sample, group);
                  T* to = ys_.data() + done;
                  p_.columns.each_run(
                      first, n, [&](std::int64_t column, std::int64_t window, std::int64_t length) {
                        for (std::int64_t o = 0; o < p_.c.outputs; ++o) {
                          const T* row = from + o * p_.points + window;
                          T* out = to + o * kLd + column;
                          for (std::int64_t k = 0; k < length; ++k) out[k] = row[k];
                        }
                      });
                });
  }

  const Plan<T>& p_;
  Scratch<T> columns_, padded_, ys_;
};

template <class T>
void backward_weight(const Convolution& conv, const T* x, const T* y, T* w) {
  const Plan<T> p(conv);
  const Convolution& c = p.c;
  const std::int64_t weights = c.outputs * p.rows, all = c.samples * p.columns.count();
  if (p.empty()) {
    std::fill_n(w, c.groups * weights, T{0});
    return;
  }
  // Parts of the sum, by the shapes alone.
  constexpr std::int64_t kMost = 16, kElements = std::int64_t{1} << 22;
  const std::int64_t parts = std::clamp<std::int64_t>(
      std::min(all * weights / (2 * kWorkPerPiece), kElements / (c.groups * weights)), 1, kMost);
  const Scratch<T> sums(c.groups * parts * weights);
  share_out(c.groups * parts, all * weights / parts, [&](std::int64_t i) {
    const std::int64_t group = i / parts, part = i % parts;
    WeightSum<T>(p).add(x, y, group, all * part / parts, all * (part + 1) / parts,
                        sums.data() + i * weights);
  });
  for (std::int64_t group = 0; group < c.groups; ++group) {
    T* sum = sums.data() + group * parts * weights;
    for (std::int64_t part = 1; part < parts; ++part) {
      const T* from = sum + part * weights;
      for (std::int64_t k = 0; k < weights; ++k) sum[k] += from[k];
    }
    if (WeightSum<T>::turned(p)) {
      transpose(p.rows, c.outputs, sum, w + p.w_at(group));
    } else {
      std::copy_n(sum, weights, w + p.w_at(group));
    }
  }
}

}  // namespace

void convolve_weight(const Convolution& c, const float* x, const float* y, float* w) {
  backward_weight(c, x, y, w);
}
void convolve_weight(const Convolution& c, const double* x, const double* y, double* w) {
  backward_weight(c, x, y, w);
}

}  // namespace xtape::kernels
