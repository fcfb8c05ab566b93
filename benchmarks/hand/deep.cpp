#include <omp.h>

#include "hand.hpp"
#include "layers.hpp"

// Layers of 32×32, where a call of a BLAS costs as much as the product. Rows of 32 numbers are a
// few registers, so a block of rows of the result stays in registers throughout. Weights are kept
// transposed for the forward pass and as they are for the backward pass.
namespace hand {
namespace {

constexpr int kWidth = 32;
#ifdef __AVX512F__
constexpr int kLanes = 16, kBlock = 8;
#else
constexpr int kLanes = 8, kBlock = 2;
#endif
constexpr int kVectors = kWidth / kLanes;
using Vector [[gnu::vector_size(kLanes * sizeof(float)), gnu::aligned(4)]] = float;

// Calls use(r, v, sum) for the elements of rows r … r + kBlock of a b, a vector at a time, with
// a[r, p] at a[r · row + p · column] and b [depth, 32].
template <class Use>
inline void block_product(const float* a, std::ptrdiff_t row, std::ptrdiff_t column,
                          const float* __restrict b, int depth, Use use) {
  Vector sums[kBlock][kVectors] = {};
  for (int p = 0; p < depth; ++p, a += column, b += kWidth) {
    for (int r = 0; r < kBlock; ++r) {
      const float factor = a[r * row];
      for (int v = 0; v < kVectors; ++v) {
        sums[r][v] += factor * *reinterpret_cast<const Vector*>(b + v * kLanes);
      }
    }
  }
  for (int r = 0; r < kBlock; ++r) {
    for (int v = 0; v < kVectors; ++v) use(r, v * kLanes, sums[r][v]);
  }
}

inline Vector& at(float* p) { return *reinterpret_cast<Vector*>(p); }
inline const Vector& at(const float* p) { return *reinterpret_cast<const Vector*>(p); }

// 4×4 at a time in registers.
void transpose(const float* __restrict from, float* __restrict to) {
  using Four [[gnu::vector_size(16), gnu::aligned(4)]] = float;
  const auto in = [&](int i, int j) {
    return *reinterpret_cast<const Four*>(from + i * kWidth + j);
  };
  for (int i = 0; i < kWidth; i += 4) {
    for (int j = 0; j < kWidth; j += 4) {
      const Four a = in(i, j), b = in(i + 1, j), c = in(i + 2, j), d = in(i + 3, j);
      const Four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      const Four cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      const Four ef = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Four gh = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      const Four rows[] = {
          __builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
          __builtin_shufflevector(ef, gh, 0, 1, 4, 5), __builtin_shufflevector(ef, gh, 2, 3, 6, 7)};
      for (int r = 0; r < 4; ++r) *reinterpret_cast<Four*>(to + (j + r) * kWidth + i) = rows[r];
    }
  }
}

struct alignas(64) Layer {
  float weight[kWidth * kWidth], transposed[kWidth * kWidth], bias[kWidth];
};

class Deep : public bench::Task {
 public:
  explicit Deep(const bench::Network& net) : Deep(net, bench::make_start(net)) {}

  // Samples are independent but for the gradients, so threads wait for one another only between
  // the backward pass and the update.
  void step() override {
    if (threads_ == 1) {
      samples(0, batch_);
      layers(0, 1);
      return;
    }
#pragma omp parallel num_threads(threads_)
    {
      const int i = omp_get_thread_num(), blocks = batch_ / kBlock;
      samples(blocks * i / threads_ * kBlock, blocks * (i + 1) / threads_ * kBlock);
#pragma omp barrier
      layers(static_cast<std::size_t>(i), static_cast<std::size_t>(threads_));
    }
  }

  std::vector<double> result() override {
    forward(0, batch_);
    return {output_.error({signal(depth_), signal(depth_) + size_})};
  }

 private:
  Deep(const bench::Network& net, const bench::Start& start)
      : batch_(static_cast<int>(net.batch)),
        depth_(net.layers()),
        size_(static_cast<std::size_t>(net.batch) * kWidth),
        rate_(static_cast<float>(net.rate)),
        threads_(bench::threads()),
        output_(net, start),
        layers_(depth_),
        signals_((depth_ + 1) * size_),
        deltas_((depth_ + 1) * size_) {
    std::copy(start.input.begin(), start.input.end(), signals_.begin());
    for (std::size_t l = 0; l < depth_; ++l) {
      const auto &w = start.layers.weights[l], &b = start.layers.biases[l];
      std::copy(w.begin(), w.end(), layers_[l].weight);
      std::copy(b.begin(), b.end(), layers_[l].bias);
      transpose(layers_[l].weight, layers_[l].transposed);
    }
  }

  float* signal(std::size_t l) { return &signals_[l * size_]; }
  float* delta(std::size_t l) { return &deltas_[l * size_]; }

  void forward(int begin, int end) {
    for (std::size_t l = 0; l < depth_; ++l) {
      const float* x = signal(l);
      float* y = signal(l + 1);
      for (int s = begin; s < end; s += kBlock) {
        block_product(x + s * kWidth, kWidth, 1, layers_[l].transposed, kWidth,
                      [&](int r, int v, const Vector& sum) {
                        at(y + (s + r) * kWidth + v) = sum + at(layers_[l].bias + v);
                      });
      }
      for (int i = begin * kWidth; i < end * kWidth; ++i) y[i] = std::tanh(y[i]);
    }
  }

  void samples(int begin, int end) {
    forward(begin, end);
    output_.gradient(signal(depth_), delta(depth_), begin, end);
    finish(begin, end);
    for (std::size_t l = depth_; l-- > 1;) {
      const float *d = delta(l + 1), *y = signal(l);
      float* below = delta(l);
      for (int s = begin; s < end; s += kBlock) {
        block_product(d + s * kWidth, kWidth, 1, layers_[l].weight, kWidth,
                      [&](int r, int v, const Vector& sum) {
                        const std::ptrdiff_t i = (s + r) * kWidth + v;
                        at(below + i) = sum * (1 - at(y + i) * at(y + i));
                      });
      }
    }
  }

  void finish(int begin, int end) {
    const float* y = signal(depth_);
    float* d = delta(depth_);
    for (int i = begin * kWidth; i < end * kWidth; ++i) d[i] *= 1 - y[i] * y[i];
  }

  // Every n-th layer descends: Wᵀ ← Wᵀ − η xᵀ δ.
  void layers(std::size_t first, std::size_t n) {
    for (std::size_t l = first; l < depth_; l += n) {
      Layer& layer = layers_[l];
      const float *x = signal(l), *d = delta(l + 1);
      for (int i = 0; i < kWidth; i += kBlock) {
        block_product(x + i, 1, kWidth, d, batch_, [&](int r, int v, const Vector& sum) {
          at(layer.transposed + (i + r) * kWidth + v) -= rate_ * sum;
        });
      }
      transpose(layer.transposed, layer.weight);
      for (int s = 0; s < batch_; ++s) {
        for (int k = 0; k < kWidth; ++k) layer.bias[k] -= rate_ * d[s * kWidth + k];
      }
    }
  }

  int batch_;
  std::size_t depth_, size_;
  float rate_;
  int threads_;
  Output output_;
  std::vector<Layer> layers_;
  Floats signals_, deltas_;  // of every layer, [batch, 32] each
};

}  // namespace

std::unique_ptr<bench::Task> deep(const bench::Network& net) { return std::make_unique<Deep>(net); }

}  // namespace hand
