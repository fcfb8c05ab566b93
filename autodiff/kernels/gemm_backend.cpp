#include <atomic>
#include <complex>
#include <cstring>
#include <mutex>
#include <string>
#include <xtensor-blas/xblas_config.hpp>

// Between the includes on purpose: what cxxblas is parsed without, it silently does without.
#ifndef HAVE_CBLAS
#error "without HAVE_CBLAS xtensor-blas uses a slow generic product instead of OpenBLAS"
#endif
#include <xflens/cxxblas/cxxblas.cxx>
#if defined(XTAPE_ONEDNN)
#include <dnnl.h>
#endif
#if __has_include(<dlfcn.h>)
#include <dlfcn.h>
#define XTAPE_DLSYM 1
#endif

#include <xtape/autodiff/backend.hpp>
#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/kernels/gemm_backend.hpp>
#include <xtape/autodiff/log.hpp>
#include <xtape/autodiff/threads.hpp>

namespace xtape {
namespace {

std::atomic<BlasBackend> chosen{BlasBackend::automatic};

#if defined(XTAPE_ONEDNN)
constexpr bool kOnednn = true;
#else
constexpr bool kOnednn = false;
#endif

// Functions that one BLAS or OpenMP runtime has and another lacks: looked up in what the process
// has loaded, so that the library links with any.
template <class Function>
Function* find(const char* name) {
  Function* f = nullptr;
#ifdef XTAPE_DLSYM
  void* address = dlsym(RTLD_DEFAULT, name);
  static_assert(sizeof address == sizeof f);
  std::memcpy(&f, &address, sizeof f);
#else
  static_cast<void>(name);
#endif
  return f;
}

struct Blas {
  std::string name = "reference or unknown BLAS", core;
  bool openblas = false, reference = true;
  void (*set_threads)(int) = nullptr;
};

Blas look_up() {
  Blas b;
  if (auto* set = find<void(int)>("openblas_set_num_threads")) {
    b.openblas = true;
    b.set_threads = set;
    auto* config = find<char*()>("openblas_get_config");
    auto* core = find<char*()>("openblas_get_corename");
    b.name = config ? config() : "OpenBLAS";
    if (core) b.core = core();
  } else if (auto* mkl = find<void(int)>("MKL_Set_Num_Threads")) {
    b.name = "MKL";
    b.set_threads = mkl;
  } else if (find<void()>("bli_init")) {  // its pool is off unless the environment asks for it
    b.name = "BLIS";
  } else {
    return b;
  }
  b.reference = false;
  return b;
}

const Blas& blas() {
  static const Blas* const b = new Blas(look_up());
  return *b;
}

const char* simd_name() {
  switch (kernels::gemm_simd_level()) {
    case kernels::GemmSimd::avx512:
      return "avx512";
    case kernels::GemmSimd::avx2:
      return "avx2";
    default:
      return "baseline";
  }
}

}  // namespace

void set_blas_backend(BlasBackend backend) {
  if (backend == BlasBackend::onednn && !kOnednn) {
    throw ValueError("set_blas_backend",
                     "onednn: the library was built without it; install oneDNN (libdnnl-dev) and "
                     "configure with XTAPE_WITH_ONEDNN=ON");
  }
  chosen.store(backend, std::memory_order_relaxed);
}

BlasBackend blas_backend() { return chosen.load(std::memory_order_relaxed); }

BackendInfo backend_info() {
  const Blas& b = blas();
  return {b.name, b.core, simd_name(), b.openblas, b.reference, kOnednn, num_threads()};
}

std::string BackendInfo::str() const {
  std::string s = blas;
  if (!kernel.empty() && blas.find(kernel) == std::string::npos) s += " (" + kernel + ")";
  s += has_onednn ? ", oneDNN" : ", no oneDNN";
  s += ", own kernels " + simd + ", " + std::to_string(threads);
  return s + (threads == 1 ? " thread" : " threads");
}

namespace kernels {

void prepare_blas() {
  static const bool once = [] {
    if (blas().set_threads) blas().set_threads(1);
    return true;
  }();
  static_cast<void>(once);
  static std::atomic<bool> said{false};
  if (blas().reference && !said.load(std::memory_order_relaxed)) {
    said = detail::log(
        "xtape: the BLAS is the reference BLAS (or one unknown): large products are many times "
        "slower than with OpenBLAS");
  }
}

namespace {

template <class T>
void blas_product(const Product<T>& g) {
  prepare_blas();
  const auto to_int = [](std::int64_t v) { return static_cast<xt::blas_index_t>(v); };
  cxxblas::gemm<xt::blas_index_t>(
      cxxblas::RowMajor, g.transpose_a ? cxxblas::Trans : cxxblas::NoTrans,
      g.transpose_b ? cxxblas::Trans : cxxblas::NoTrans, to_int(g.m), to_int(g.n), to_int(g.k),
      g.alpha, g.a, to_int(g.lda), g.b, to_int(g.ldb), g.beta, g.c, to_int(g.ldc));
}

#if defined(XTAPE_ONEDNN)
// oneDNN shares its work out by OpenMP. Here a piece is one thread's work, so the OpenMP runtime
// that it loaded is told so for the time of the call; the setting belongs to the calling thread.
class OneOpenmpThread {
 public:
  OneOpenmpThread() {
    if (set()) {
      before_ = get()();
      if (before_ != 1) set()(1);
    }
  }
  ~OneOpenmpThread() {
    if (before_ > 1) set()(before_);
  }
  OneOpenmpThread(const OneOpenmpThread&) = delete;
  OneOpenmpThread& operator=(const OneOpenmpThread&) = delete;

 private:
  static auto set() -> void (*)(int) {
    static auto* const f = find<void(int)>("omp_set_num_threads");
    return f;
  }
  static auto get() -> int (*)() {
    static auto* const f = find<int()>("omp_get_max_threads");
    return f;
  }
  int before_ = 1;
};

void onednn_product(const Product<float>& g) {
  const OneOpenmpThread guard;
  const dnnl_status_t status =
      dnnl_sgemm(g.transpose_a ? 'T' : 'N', g.transpose_b ? 'T' : 'N', g.m, g.n, g.k, g.alpha, g.a,
                 g.lda, g.b, g.ldb, g.beta, g.c, g.ldc);
  if (status != dnnl_success) blas_product(g);  // out of memory, for one: nothing was written
}
#endif

// Measured, products of all sizes, f32 and f64: with AVX-512 no library was faster by more than 5
// %, OpenBLAS' Haswell kernels half as fast, small and transposed products slower in all. With AVX2
// alone the kernels here win below 512×512×512 and lose a little above. The 16-byte kernels are for
// what a call into the BLAS would dominate.
GemmEngine automatic_engine(std::int64_t m, std::int64_t n, std::int64_t k) {
  constexpr std::int64_t kSmall = 32 * 32 * 32, kLarge = 512 * 512 * 512;
  if (blas().reference) return GemmEngine::own;
  switch (gemm_simd_level()) {
    case GemmSimd::avx512:
      return GemmEngine::own;
    case GemmSimd::avx2:
      return m * n * k < kLarge ? GemmEngine::own : GemmEngine::blas;
    default:
      return m * n * k <= kSmall ? GemmEngine::own : GemmEngine::blas;
  }
}

}  // namespace

GemmEngine choose_engine(std::int64_t m, std::int64_t n, std::int64_t k, int bytes) {
  switch (blas_backend()) {
    case BlasBackend::own:
      return GemmEngine::own;
    case BlasBackend::openblas:
      return GemmEngine::blas;
    case BlasBackend::onednn:
      return bytes == 4 ? GemmEngine::onednn : GemmEngine::blas;
    default:
      return automatic_engine(m, n, k);
  }
}

void compute(GemmEngine engine, const Product<float>& g) {
#if defined(XTAPE_ONEDNN)
  if (engine == GemmEngine::onednn) return onednn_product(g);
#endif
  if (engine == GemmEngine::own) return gemm_kernels<float>().product(g);
  blas_product(g);
}

void compute(GemmEngine engine, const Product<double>& g) {
  if (engine == GemmEngine::own) return gemm_kernels<double>().product(g);
  blas_product(g);
}

}  // namespace kernels
}  // namespace xtape
