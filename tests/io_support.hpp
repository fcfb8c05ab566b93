#pragma once

#include <cstring>
#include <span>
#include <string>

#include "data_support.hpp"
#include "support.hpp"

// What the tests of io/ need.
namespace xtape::test {

inline std::span<const std::byte> bytes_of(const std::string& s) {
  return std::as_bytes(std::span(s));
}

/// The object representation of a number: what a little-endian file holds.
template <class N>
std::string raw(N v) {
  std::string s(sizeof(N), '\0');
  std::memcpy(s.data(), &v, sizeof(N));
  return s;
}

/// A safetensors file of that header and data.
inline std::string safetensors(const std::string& header, const std::string& data) {
  return raw<std::uint64_t>(header.size()) + header + data;
}

/// A .npy file of version 1.0 with that dictionary and data.
inline std::string npy(const std::string& dictionary, const std::string& data) {
  return "\x93NUMPY\x01" + std::string(1, '\0') +
         raw(static_cast<std::uint16_t>(dictionary.size() + 1)) + dictionary + "\n" + data;
}

inline Tensor truths(std::initializer_list<int> v) {
  return Tensor::from(std::vector<std::int64_t>(v.begin(), v.end())).to(boolean);
}

}  // namespace xtape::test
