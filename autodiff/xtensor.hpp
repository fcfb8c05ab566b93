#pragma once

#if __has_include(<xtensor/containers/xadapt.hpp>)
#include <xtensor/containers/xadapt.hpp>  // xtensor 0.26 and later
#else
#include <xtensor/xadapt.hpp>
#endif

#include <xtape/autodiff/tensor.hpp>

// The one public header that includes xtensor: for zero-copy views. Copies in both directions need
// no header of ours beyond <xtape/autodiff/tensor.hpp>.
namespace xtape {

/// The elements of `t` as an xtensor expression, without a copy. It does not own them: keep `t`.
/// @throws DTypeError when T does not store t.dtype().
template <class T>
auto view(const Tensor& t) {
  const std::vector<std::size_t> shape(t.shape().begin(), t.shape().end());
  return xt::adapt(t.data<T>(), static_cast<std::size_t>(t.size()), xt::no_ownership(), shape);
}

/// A temporary would take its elements with it: give it a name first.
template <class T>
auto view(Tensor&& t) = delete;

/// The same for writing. Copies the elements first if anyone else shares them.
template <class T>
auto mutable_view(Tensor& t) {
  const std::vector<std::size_t> shape(t.shape().begin(), t.shape().end());
  return xt::adapt(t.mutable_data<T>(), static_cast<std::size_t>(t.size()), xt::no_ownership(),
                   shape);
}

}  // namespace xtape
