#include "compare.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

namespace xtape::conformance {
namespace {

double largest(const Tensor& t) {
  double m = 0;
  for (std::int64_t i = 0; i < t.size(); ++i) {
    if (std::isfinite(t.flat(i))) m = std::max(m, std::abs(t.flat(i)));
  }
  return m;
}

bool same_kind(DType a, DType b) { return is_floating(a) ? is_floating(b) : a == b; }

// NaN where only one of them is not finite, or both are and differ.
double distance(double got, double reference, bool single) {
  if (got == reference || (std::isnan(got) && std::isnan(reference))) return 0;
  if (single && std::isinf(got) && std::abs(reference) > std::numeric_limits<float>::max()) {
    return std::signbit(got) == std::signbit(reference) ? 0 : std::nan("");
  }
  const double d = std::abs(got - reference);
  return std::isfinite(d) ? d : std::nan("");
}

}  // namespace

Difference compare(const Tensor& got, const Tensor& reference, const Bar& bar, bool single) {
  Difference out;
  if (got.shape() != reference.shape()) {
    out.broken = "shape " + got.shape().str() + ", expected " + reference.shape().str();
    return out;
  }
  if (!same_kind(got.dtype(), reference.dtype())) {
    out.broken =
        std::string("dtype ") + name(got.dtype()) + ", expected " + name(reference.dtype());
    return out;
  }
  const double scale = largest(reference);
  const double limit = is_floating(got.dtype()) ? bar.relative * scale + bar.absolute : 0;
  for (std::int64_t i = 0; i < got.size(); ++i) {
    const double d = distance(got.flat(i), reference.flat(i), single);
    const double relative = d / (scale > 0 ? scale : 1);
    if (std::isnan(d)) {
      out.error = std::numeric_limits<double>::infinity();
    } else {
      out.error = std::max(out.error, relative);
    }
    if (d <= limit) continue;
    if (out.wrong.empty()) {
      std::ostringstream text;
      text.precision(17);
      text << "[" << i << "] is " << got.flat(i) << ", expected " << reference.flat(i);
      out.first = text.str();
    }
    out.wrong.push_back(i);
  }
  return out;
}

}  // namespace xtape::conformance
