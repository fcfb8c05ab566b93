#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define XTAPE_SANITIZED 1  // clang's way of saying it
#endif
#endif

// What the whole process asked the heap for, counted by test_memory.cpp.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(XTAPE_SANITIZED) || \
    !defined(__GLIBC__)
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
