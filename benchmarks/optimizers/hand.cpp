#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "subjects.hpp"

// What an expert would write: everything that an element needs in one loop.
namespace optimizers {
namespace {

// Arrays of n numbers at whole cache lines, and not at the same place of their pages: the processor
// would take a store for one to what it loads next.
class Arrays {
 public:
  Arrays(std::size_t n, std::size_t count)
      : n_(n),
        stride_((n + kLine - 1) / kLine * kLine + 17 * kLine),
        memory_(static_cast<float*>(std::aligned_alloc(64, 4 * count * stride_)), &std::free) {
    std::fill_n(memory_.get(), count * stride_, 0.0F);
  }
  std::size_t size() const { return n_; }
  float* operator[](std::size_t k) { return memory_.get() + k * stride_; }
  const float* operator[](std::size_t k) const { return memory_.get() + k * stride_; }

 private:
  static constexpr std::size_t kLine = 16;
  std::size_t n_, stride_;
  std::unique_ptr<float, decltype(&std::free)> memory_;
};

void sgd(Arrays& a) {
  const auto rate = static_cast<float>(kRate);
  float* __restrict p = a[0];
  const float* __restrict g = a[1];
  const std::size_t n = a.size();
  for (std::size_t i = 0; i < n; ++i) p[i] -= rate * g[i];
}

void adam(Arrays& a, float rate, float epsilon) {
  const auto b1 = static_cast<float>(kBeta1), b2 = static_cast<float>(kBeta2);
  float* __restrict p = a[0];
  const float* __restrict g = a[1];
  float* __restrict m = a[2];
  float* __restrict v = a[3];
  const std::size_t n = a.size();
  for (std::size_t i = 0; i < n; ++i) {
    m[i] = b1 * m[i] + (1 - b1) * g[i];
    v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i];
    p[i] -= rate * m[i] / (std::sqrt(v[i]) + epsilon);
  }
}

class Hand : public Subject {
 public:
  Hand(const Problem& problem, Rule rule) : rule_(rule) {
    for (std::size_t i = 0; i < problem.shapes.size(); ++i) {
      const std::vector<float> p = problem.start(i), g = problem.gradient(i);
      Arrays& a = arrays_.emplace_back(p.size(), rule == Rule::sgd ? 2 : 4);
      std::copy(p.begin(), p.end(), a[0]);
      std::copy(g.begin(), g.end(), a[1]);
    }
  }
  void step() override {
    if (rule_ == Rule::sgd) {
      for (Arrays& a : arrays_) sgd(a);
      return;
    }
    ++steps_;
    const double root = std::sqrt(1 - std::pow(kBeta2, steps_));
    const double rate = kRate * root / (1 - std::pow(kBeta1, steps_));
    for (Arrays& a : arrays_) {
      adam(a, static_cast<float>(rate), static_cast<float>(kEpsilon * root));
    }
  }
  std::vector<float> elements() const override {
    std::vector<float> all;
    for (const Arrays& a : arrays_) all.insert(all.end(), a[0], a[0] + a.size());
    return all;
  }

 private:
  Rule rule_;
  double steps_ = 0;
  std::vector<Arrays> arrays_;
};

}  // namespace

std::unique_ptr<Subject> by_hand(const Problem& problem, Rule rule) {
  return std::make_unique<Hand>(problem, rule);
}

}  // namespace optimizers
