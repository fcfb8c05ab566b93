#pragma once

#include <algorithm>
#include <atomic>
#include <string>

#include <xtape/autodiff/kernels/gemm.hpp>
#include <xtape/autodiff/kernels/lapack.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>
#include <xtape/autodiff/threads.hpp>

// What the operations on batches of matrices (the last two axes) share.
namespace xtape::matrices {

inline std::int64_t rows(const Shape& s) { return s[s.rank() - 2]; }
inline std::int64_t columns(const Shape& s) { return s[s.rank() - 1]; }
inline Shape leading(const Shape& s) { return Shape(s.begin(), s.end() - 2); }
inline Shape with(Shape batch, std::int64_t m, std::int64_t n) {
  batch.push_back(m);
  batch.push_back(n);
  return batch;
}

/// Floating, of rank 2 or more.
inline void check_matrices(const InferArgs& a) {
  rules::floating_unary(a);
  if (a.in[0]->shape.rank() >= 2) return;
  throw ShapeError(a.op.name,
                   "shape " + a.in[0]->shape.str() + ": takes matrices, of rank 2 or more");
}
inline void check_square(const InferArgs& a) {
  check_matrices(a);
  const Shape& s = a.in[0]->shape;
  if (rows(s) == columns(s)) return;
  throw ShapeError(a.op.name, "shape " + s.str() + ": takes square matrices, " +
                                  std::to_string(rows(s)) + " ≠ " + std::to_string(columns(s)));
}
inline Spec square(const InferArgs& a) {
  check_square(a);
  return *a.in[0];
}

/// Which matrix of a batch, for messages: "matrix (1, 0) of shape (2, 3, 4, 4)".
inline std::string which(const Shape& shape, std::int64_t matrix) {
  const Shape batch = leading(shape);
  if (batch.rank() == 0) return "the matrix of shape " + shape.str();
  Shape at = batch;
  for (int axis = batch.rank(); axis-- > 0; matrix /= batch[axis]) at[axis] = matrix % batch[axis];
  return "matrix " + at.str() + " of shape " + shape.str();
}

/// Calls int body(i) for each matrix of the batch, on the pool where there is work for it.
/// @throws ValueError made by reason(info) for the first matrix where body returned an info other
/// than 0.
template <class Body, class Reason>
void for_each(const KernelArgs& a, const Body& body, const Reason& reason) {
  const Shape& s = a.in[0].spec->shape;
  const std::int64_t count = leading(s).size(), n = std::max(rows(s), columns(s));
  if (count == 0) return;
  kernels::lapack::prepare();
  std::atomic<std::int64_t> failed{count};
  const auto some = [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      if (body(i) == 0) continue;
      std::int64_t before = failed.load();
      while (i < before && !failed.compare_exchange_weak(before, i)) {
      }
      return;
    }
  };
  const std::int64_t portion = std::max<std::int64_t>(kernels::kWorkPerPiece / (n * n * n + 1), 1);
  detail::parallel_for((count + portion - 1) / portion, [&](std::int64_t piece) {
    some(piece * portion, std::min(count, (piece + 1) * portion));
  });
  if (failed == count) return;
  throw ValueError(a.op.name, which(s, failed) + " " + reason(body(failed)));
}

/// The same for what cannot fail.
template <class Body>
void for_each(const KernelArgs& a, const Body& body) {
  for_each(
      a,
      [&](std::int64_t i) {
        body(i);
        return 0;
      },
      [](int) { return std::string(); });
}

/// Matrix i of an input or output of m × n matrices.
template <class T>
const T* matrix(const KernelArgs::Operand& x, std::int64_t i) {
  return static_cast<const T*>(x.data) + i * rows(x.spec->shape) * columns(x.spec->shape);
}
template <class T>
T* result(const KernelArgs& a, std::int64_t i) {
  return static_cast<T*>(a.out) + i * rows(a.spec.shape) * columns(a.spec.shape);
}

/// aᵀ b and a bᵀ.
inline Var tn(const Var& a, const Var& b) { return matmul(a, b, {true, false}); }
inline Var nt(const Var& a, const Var& b) { return matmul(a, b, {false, true}); }
/// The identity, to add to matrices of this dtype.
inline Tensor identity(std::int64_t n, DType dtype) {
  return diag_embed(Tensor::ones({n}, dtype)).value();
}

/// Matrices for samples, of x in [−1, 1): well away from singular ones.
inline Var regular(const Var& x) { return x + 3 * identity(columns(x.shape()), x.dtype()); }

inline std::string not_finite(int) { return "has elements that are not finite"; }

}  // namespace xtape::matrices
