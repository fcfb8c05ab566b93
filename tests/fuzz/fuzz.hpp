#pragma once

#include <cstdlib>
#include <span>
#include <string>

#include <xtape/xtape.hpp>

// What the fuzzers share: an input that is refused by a typed error is fine, everything else that
// ends in an exception is a crash.
namespace xtape::fuzz {

inline std::span<const std::byte> bytes_of(const std::string& s) {
  return std::as_bytes(std::span(s));
}

/// What was read must come back when it is written and read again.
inline void require(bool holds) {
  if (!holds) std::abort();
}

/// Calls f; false when it throws one of the library's errors.
template <class F>
bool accepted(F&& f) {
  try {
    f();
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace xtape::fuzz

/// libFuzzer calls it with every input.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
