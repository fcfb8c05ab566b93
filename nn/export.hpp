#pragma once

#include <string>

#include <xtape/nn/module.hpp>

namespace xtape::nn {

/// A trained network as one C++ header without dependencies: C++17 and its standard library, all
/// weights in it as hexadecimal numbers, exact to the bit. The network is exported in eval() mode.
///
///     namespace NAME {
///     constexpr int kInputs, kOutputs, kWorkspace;                         // numbers of floats
///     void predict(const float* in, float* out, float* workspace);         // allocates nothing
///     void predict(const float* in, float* out);                           // one std::vector
///     }
///
/// `input_shape` is that of one sample, without the batch axis: kInputs elements in row-major
/// order.
///
/// What predict() gives equals, bit for bit, what the network gives for a batch of one at the level
/// Simd::baseline (XTAPE_SIMD=baseline and kernels::set_gemm_simd) with its own kernels of products
/// (set_blas_backend), on machines whose baseline does not contract products and sums (x86-64), for
/// finite values, and where the C library's log and sqrt are those of the library. At other levels,
/// and in larger batches, results differ in their last bits, as the library's own do.
///
/// Every layer can be exported that is made of the operations that the exporter knows: dense and
/// convolutional layers, max and average pooling, normalization, all elementwise activations,
/// softmax over the last axis, what moves elements (flatten, slices, concatenation), and any module
/// or graph that combines them; recurrent layers, too. No attention, embeddings or user lambdas.
/// @throws ValueError, with the path of the layer, for an operation that cannot be exported, and
/// for parameters that are not finite, or a name that is no identifier; DTypeError for other than
/// f32 (write net.to(f32)); ShapeError as forward.
std::string export_predictor(const Module& net, const Shape& input_shape, const std::string& name);

}  // namespace xtape::nn
