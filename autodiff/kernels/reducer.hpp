#pragma once

#include <xtape/autodiff/kernels/reduce.hpp>
#include <xtape/autodiff/op.hpp>

namespace xtape::kernels {

/// The reducer R<T> as programs join it to the elementwise ops before it.
template <class R, class T>
inline constexpr Reducer kReducer{
    sizeof(typename R::Acc),
    [](void* acc, std::int64_t n) {
      std::fill_n(static_cast<typename R::Acc*>(acc), n, R::init());
    },
    [](void* acc, const void* x, std::int64_t n) {
      R::merge(*static_cast<typename R::Acc*>(acc), reduce_run<R>(static_cast<const T*>(x), n));
    },
    [](void* acc, const void* x, std::int64_t n) {
      add_row<R>(static_cast<typename R::Acc*>(acc), static_cast<const T*>(x), n);
    },
    [](void* acc, const void* other, std::int64_t n) {
      auto* a = static_cast<typename R::Acc*>(acc);
      const auto* b = static_cast<const typename R::Acc*>(other);
      for (std::int64_t i = 0; i < n; ++i) R::merge(a[i], b[i]);
    },
    [](const void* acc, void* out, std::int64_t n) {
      const auto* a = static_cast<const typename R::Acc*>(acc);
      for (std::int64_t i = 0; i < n; ++i) static_cast<T*>(out)[i] = static_cast<T>(a[i]);
    }};

/// Op::reducer of a reducer family for f32, f64 and i64.
template <template <class> class R>
const Reducer* reducer(DType dtype) {
  if (dtype == i64) return &kReducer<R<std::int64_t>, std::int64_t>;
  return dtype == f32 ? &kReducer<R<float>, float> : &kReducer<R<double>, double>;
}

}  // namespace xtape::kernels
