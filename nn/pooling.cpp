#include <xtape/nn/pooling.hpp>

namespace xtape::nn {
namespace {

// "MaxPool2d(2, stride (3,))".
std::string text(const char* kind, int axes, const PerAxis& window) {
  return kind + std::to_string(axes) + "d(" +
         (window.rank() == 1 ? std::to_string(window[0]) : window.str()) + ")";
}

template <class Options>
std::string text(const char* kind, int axes, const PerAxis& window, const Options& o) {
  std::string s = text(kind, axes, window);
  s.pop_back();
  if (!o.stride.empty()) s += ", stride " + o.stride.str();
  if constexpr (requires { o.padding; }) {
    if (o.padding.rank() != 1 || o.padding[0] != 0) s += ", padding " + o.padding.str();
  }
  return s + ")";
}

// The function for that many axes.
template <int N, class F>
constexpr F pick(F one, F two, F three) {
  return N == 1 ? one : N == 2 ? two : three;
}

}  // namespace

template <int N>
MaxPool<N>::MaxPool(const PerAxis& window, const MaxPoolOptions& o)
    : Lambda(text("MaxPool", N, window, o), [=](const Var& x) {
        return pick<N>(max_pool1d, max_pool2d, max_pool3d)(x, window, o);
      }) {}

template <int N>
AvgPool<N>::AvgPool(const PerAxis& window, const AvgPoolOptions& o)
    : Lambda(text("AvgPool", N, window, o), [=](const Var& x) {
        return pick<N>(avg_pool1d, avg_pool2d, avg_pool3d)(x, window, o);
      }) {}

template <int N>
LpPool<N>::LpPool(double p, const PerAxis& window, const LpPoolOptions& o)
    : Lambda(text("LpPool", N, window, o), [=](const Var& x) {
        return pick<N>(lp_pool1d, lp_pool2d, lp_pool2d)(x, p, window, o);
      }) {}

template <int N>
AdaptiveMaxPool<N>::AdaptiveMaxPool(const PerAxis& size)
    : Lambda(text("AdaptiveMaxPool", N, size), [=](const Var& x) {
        return pick<N>(adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d)(x, size);
      }) {}

template <int N>
AdaptiveAvgPool<N>::AdaptiveAvgPool(const PerAxis& size)
    : Lambda(text("AdaptiveAvgPool", N, size), [=](const Var& x) {
        return pick<N>(adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)(x, size);
      }) {}

template struct MaxPool<1>;
template struct MaxPool<2>;
template struct MaxPool<3>;
template struct AvgPool<1>;
template struct AvgPool<2>;
template struct AvgPool<3>;
template struct LpPool<1>;
template struct LpPool<2>;
template struct AdaptiveMaxPool<1>;
template struct AdaptiveMaxPool<2>;
template struct AdaptiveMaxPool<3>;
template struct AdaptiveAvgPool<1>;
template struct AdaptiveAvgPool<2>;
template struct AdaptiveAvgPool<3>;

}  // namespace xtape::nn
