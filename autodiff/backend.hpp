#pragma once

#include <string>

namespace xtape {

/// Who computes products of matrices too large for the BLAS' overhead to matter.
enum class BlasBackend {
  automatic,  ///< The best for processor and sizes, by fixed rules.
  own,        ///< This library's kernels.
  openblas,   ///< The BLAS that the library was linked with, OpenBLAS or another.
  onednn      ///< oneDNN, for f32; f64 goes to the BLAS.
};

/// Chooses for the whole process. Different backends round differently.
/// @throws ValueError when the library was built without this backend
void set_blas_backend(BlasBackend backend);
/// What was chosen, `automatic` at first.
BlasBackend blas_backend();

/// What matrix products of this process run on.
struct BackendInfo {
  std::string blas;    ///< Name and configuration of the BLAS.
  std::string kernel;  ///< The processor that the BLAS' kernels are written for, if it says so.
  std::string simd;    ///< Instruction set of this library's kernels: baseline, avx2, avx512.
  bool is_openblas;    ///< The BLAS is OpenBLAS.
  bool is_reference;   ///< It seems to be the reference BLAS, many times slower than others.
  bool has_onednn;     ///< oneDNN can be chosen.
  int threads;         ///< num_threads().
  /// All of it on one line, for people.
  std::string str() const;
};

/// Asks the libraries. The BLAS itself is held to one thread from the first product on: the threads
/// of this library share the work, and two pools would fight for the processors.
BackendInfo backend_info();

}  // namespace xtape
