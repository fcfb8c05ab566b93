#pragma once

#include <array>
#include <cstdint>

// Windows that slide over up to three axes, as convolutions and pooling see them. Fewer axes are
// three, of which the first have extent 1.
namespace xtape::kernels {

using Extents = std::array<std::int64_t, 3>;

constexpr std::int64_t volume(const Extents& e) { return e[0] * e[1] * e[2]; }

/// Tap k of window o lies at o·stride + k·dilation − padding; what lies outside of the input is 0.
struct Windows {
  Extents in{1, 1, 1}, window{1, 1, 1}, out{1, 1, 1};
  Extents stride{1, 1, 1}, padding{}, dilation{1, 1, 1};

  /// The windows are the elements themselves.
  bool plain() const {
    return volume(window) == 1 && in == out && stride == Extents{1, 1, 1} && padding == Extents{};
  }
  bool operator==(const Windows&) const = default;
};

/// Of `planes` planes of x, the windows [first, first + count) as columns: row c·taps + k of
/// `columns` (rows `ld` apart) holds tap k of plane c.
void to_columns(const Windows& w, const float* x, std::int64_t planes, std::int64_t first,
                std::int64_t count, float* columns, std::int64_t ld);
void to_columns(const Windows& w, const double* x, std::int64_t planes, std::int64_t first,
                std::int64_t count, double* columns, std::int64_t ld);
/// The transpose: adds the columns to where they came from.
void add_columns(const Windows& w, const float* columns, std::int64_t ld, std::int64_t planes,
                 std::int64_t first, std::int64_t count, float* x);
void add_columns(const Windows& w, const double* columns, std::int64_t ld, std::int64_t planes,
                 std::int64_t first, std::int64_t count, double* x);

}  // namespace xtape::kernels
