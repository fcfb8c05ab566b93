#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include <xtape/autodiff/threads.hpp>

#include "support.hpp"

using namespace xtape;

namespace {

// Sets the number of threads, and back at the end.
struct Threads {
  explicit Threads(int n) { set_num_threads(n); }
  ~Threads() { set_num_threads(before); }
  int before = num_threads();
};

}  // namespace

TEST_CASE("the number of threads is at least one", "[threads]") {
  REQUIRE(num_threads() >= 1);
  const Threads restore(3);
  CHECK(num_threads() == 3);
  REQUIRE_ERROR(set_num_threads(0), ValueError, "at least one thread");
  REQUIRE_ERROR(set_num_threads(-4), ValueError, "[set_num_threads] -4");
  CHECK(num_threads() == 3);
}

TEST_CASE("each piece is done once, whatever the number of threads", "[threads]") {
  for (const int threads : {1, 2, 3, 8}) {
    const Threads restore(threads);
    for (const std::int64_t pieces : {0, 1, 2, 3, 7, 64, 1000}) {
      for (int again = 0; again < 20; ++again) {
        std::vector<int> done(static_cast<std::size_t>(pieces));  // not atomic: no piece is shared
        detail::parallel_for(pieces, [&](std::int64_t i) { ++done[static_cast<std::size_t>(i)]; });
        bool once = true;
        for (const int d : done) once = once && d == 1;
        CHECK(once);
      }
    }
  }
}

TEST_CASE("pieces run in several threads at a time", "[threads]") {
  const Threads restore(2);
  std::atomic<int> arrived{0};
  // Each piece waits for the other: one thread alone would never end.
  detail::parallel_for(2, [&](std::int64_t) {
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
  });
  CHECK(arrived == 2);
}

TEST_CASE("an exception of a piece reaches the caller", "[threads]") {
  for (const int threads : {1, 2, 4}) {
    const Threads restore(threads);
    for (int again = 0; again < 50; ++again) {
      const auto fail = [&](std::int64_t i) {
        if (i % 3 == 1) throw std::runtime_error("piece " + std::to_string(i));
      };
      REQUIRE_THROWS_WITH(detail::parallel_for(40, fail), "piece 1");
    }
    std::atomic<int> count{0};
    detail::parallel_for(40, [&](std::int64_t) { ++count; });  // and the pool works on
    CHECK(count == 40);
  }
}

TEST_CASE("a call from within a piece does its pieces itself", "[threads]") {
  const Threads restore(3);
  std::atomic<int> count{0};
  detail::parallel_for(8, [&](std::int64_t) {
    const auto self = std::this_thread::get_id();
    std::int64_t next = 0;
    bool serial = true;
    detail::parallel_for(5, [&](std::int64_t i) {
      serial = serial && std::this_thread::get_id() == self && i == next;
      ++next;
    });
    if (serial && next == 5) ++count;
  });
  CHECK(count == 8);
}

TEST_CASE("callers at a time do not wait for each other", "[threads]") {
  const Threads restore(2);
  std::atomic<std::int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int again = 0; again < 200; ++again) {
        detail::parallel_for(6, [&](std::int64_t i) { sum += i; });
      }
    });
  }
  for (std::thread& t : callers) t.join();
  CHECK(sum == 4 * 200 * 15);
}

TEST_CASE("threads that slept take part again", "[threads]") {
  const Threads restore(2);
  for (int again = 0; again < 3; ++again) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    std::atomic<int> arrived{0};
    detail::parallel_for(2, [&](std::int64_t) {
      ++arrived;
      while (arrived < 2) std::this_thread::yield();
    });
    CHECK(arrived == 2);
  }
}
