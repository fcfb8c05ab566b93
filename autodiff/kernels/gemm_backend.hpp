#pragma once

#include <xtape/autodiff/kernels/gemm_kernels.hpp>

// Who computes a product: this library's kernels, the BLAS, or oneDNN.
namespace xtape::kernels {

enum class GemmEngine { own, blas, onednn };

/// Decides by the processor, the BLAS at hand and the sizes of the whole product: never by the
/// clock, so that a program gives the same bits on every run. `bytes` is the size of an element.
GemmEngine choose_engine(std::int64_t m, std::int64_t n, std::int64_t k, int bytes);

/// Before the BLAS or LAPACK is called: they do their work in one thread. Says once, to the log,
/// when the BLAS is a slow one.
void prepare_blas();

/// One product, or a piece of one, in the calling thread.
void compute(GemmEngine engine, const Product<float>& g);
void compute(GemmEngine engine, const Product<double>& g);

}  // namespace xtape::kernels
