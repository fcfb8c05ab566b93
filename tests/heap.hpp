#pragma once

#include <cstddef>

// What the whole process asked the heap for, counted by test_memory.cpp.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define XTAPE_COUNT_HEAP 0
#else
#define XTAPE_COUNT_HEAP 1
namespace xtape::test {
/// How often, so far.
std::size_t heap_requests();
/// For how many bytes together, so far.
std::size_t heap_bytes();
}  // namespace xtape::test
#endif
