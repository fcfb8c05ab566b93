#include "layers.hpp"

#include <algorithm>

namespace hand {

using Error = bench::Network::Error;

double Output::error(const Floats& y) const {
  double total = 0;
  if (error_ == Error::cross_entropy) {
    for (std::size_t s = 0; s < batch_; ++s) {
      double sum = 0;
      for (std::size_t k = 0; k < outputs_; ++k) sum += std::exp(double{y[s * outputs_ + k]});
      total += std::log(sum) - double{y[s * outputs_ + static_cast<std::size_t>(labels_[s])]};
    }
    return total / static_cast<double>(batch_);
  }
  for (std::size_t i = 0; i < y.size(); ++i) total += std::pow(double{y[i]} - target_[i], 2);
  return error_ == Error::half_square_sum ? total / 2 : total / static_cast<double>(y.size());
}

void Output::gradient(const float* __restrict y, float* __restrict d, int begin, int end) const {
  const auto first = static_cast<std::size_t>(begin), last = static_cast<std::size_t>(end);
  if (error_ == Error::cross_entropy) return cross_entropy_gradient(y, d, first, last);
  const float scale =
      error_ == Error::half_square_sum ? 1 : 2 / static_cast<float>(batch_ * outputs_);
  const float* __restrict t = target_.data();
  for (std::size_t i = first * outputs_; i < last * outputs_; ++i) d[i] = scale * (y[i] - t[i]);
}

void Output::cross_entropy_gradient(const float* __restrict y, float* __restrict d,
                                    std::size_t begin, std::size_t end) const {
  const float share = 1 / static_cast<float>(batch_);
  y += begin * outputs_;
  d += begin * outputs_;
  for (std::size_t s = begin; s < end; ++s, y += outputs_, d += outputs_) {
    float largest = y[0], sum = 0;
    for (std::size_t k = 1; k < outputs_; ++k) largest = std::max(largest, y[k]);
    for (std::size_t k = 0; k < outputs_; ++k) sum += d[k] = std::exp(y[k] - largest);
    const float factor = share / sum;
    for (std::size_t k = 0; k < outputs_; ++k) d[k] *= factor;
    d[labels_[s]] -= share;
  }
}

}  // namespace hand
