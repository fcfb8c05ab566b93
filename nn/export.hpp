#pragma once

#include <span>
#include <string>

#include <xtape/nn/module.hpp>

namespace xtape::nn {

/// A trained network as one C++ header without dependencies: C++17 and its standard library, all
/// weights in it as hexadecimal numbers, exact to the bit. The network is exported in eval() mode.
///
///     namespace NAME {
///     constexpr int kInputs, kOutputs, kWorkspace;                         // numbers of elements
///     void predict(const float* in, float* out, float* workspace);         // allocates nothing
///     void predict(const float* in, float* out);                           // one std::vector
///     void predict_batch(std::int64_t n, const float* in, float* out, float* workspace);
///     }
///
/// `sample` is the shape of one sample, without the batch axis: kInputs elements in row-major
/// order. predict_batch() takes n samples one behind the other. Indices (of an Embedding) are
/// `const std::int64_t*`; one outside of the table gives a row of NaN, not an error.
///
/// What predict() gives equals, bit for bit, what the network gives for a batch of one at the level
/// Simd::baseline (XTAPE_SIMD=baseline and kernels::set_gemm_simd) with its own kernels of products
/// (set_blas_backend), on machines whose baseline does not contract products and sums (x86-64), for
/// finite values, and where the C library's log and sqrt are those of the library. At other levels,
/// and in larger batches, results differ in their last bits, as the library's own do.
///
/// Every layer can be exported that is made of the operations that the exporter knows: all kinds of
/// layers and activations that texts name (parse_network), in any Sequential, Residual, Parallel or
/// Graph. User lambdas only as far as they use the same operations. See docs/export.md.
/// @throws ValueError, with path and kind of the layer, for an operation that cannot be exported,
/// and for parameters that are not finite, or a name that is no identifier; DTypeError for other
/// than f32 (write net.to(f32)); ShapeError as forward, and for a sample without elements.
std::string export_predictor(const Module& net, const Shape& sample, const std::string& name);

/// The same for any number of inputs, f32 or i64, each the spec of one sample, and for all outputs
/// of a Graph (also of one that stands alone in a Sequential, as parse_network gives it):
///
///     void predict(const float* in0, const std::int64_t* in1, float* out0, float* out1, …);
///
/// With several inputs kInputs is an array, with several outputs kOutputs.
/// @throws as above.
std::string export_predictor(const Module& net, std::span<const Spec> samples,
                             const std::string& name);
/// The same, where the network says the dtype of each input (Graph::input_dtype): what
/// parse_network gives is exported with its `samples`.
std::string export_predictor(const Module& net, std::span<const Shape> samples,
                             const std::string& name);

}  // namespace xtape::nn
