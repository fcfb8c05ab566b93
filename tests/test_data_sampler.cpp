#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "data_support.hpp"
#include "support.hpp"

// Which examples an epoch shows, and batches that are gathered ahead.
namespace xtape {
namespace {

using test::ints;

std::map<std::int64_t, int> frequencies(const std::vector<std::int64_t>& rows) {
  std::map<std::int64_t, int> found;
  for (const std::int64_t r : rows) ++found[r];
  return found;
}

// Row i holds i.
data::Dataset numbered(std::int64_t n) {
  data::Dataset d;
  d.inputs = Tensor::arange(2 * n).to(f32).reshape({n, 2});
  d.labels = Tensor::arange(n);
  d.classes = n;
  return d;
}

}  // namespace

TEST_CASE("a balanced sampler shows all classes equally often", "[data][sampler]") {
  // 6 of class 0, 3 of class 2, 1 of class 5.
  const Tensor labels = ints({0, 0, 2, 0, 5, 0, 2, 0, 2, 0});
  const data::Sampler sampler = data::balanced(labels, 30);
  Rng rng(1);
  const std::vector<std::int64_t> rows = sampler(rng);
  const auto shown = frequencies(rows);
  REQUIRE(rows.size() == 30);
  for (std::int64_t i = 0; i < 10; ++i) {
    const int often = i == 4 ? 10 : i == 2 || i == 6 || i == 8 ? 3 : 1;  // of 10 each
    CHECK(shown.at(i) >= often);
    CHECK(shown.at(i) <= often + 1);
  }
  const auto of_class = [&](std::int64_t c) {
    return std::count_if(rows.begin(), rows.end(),
                         [&](auto r) { return labels.flat(r) == static_cast<double>(c); });
  };
  CHECK((of_class(0) == 10 && of_class(2) == 10 && of_class(5) == 10));
  Rng again(1);
  CHECK(sampler(again) == rows);
  CHECK(sampler(again) != rows);
  // What is left over goes to some of the classes, not always to the same.
  std::set<std::int64_t> lucky;
  for (int k = 0; k < 40; ++k) {
    const auto one = data::balanced(labels, 1)(rng);
    lucky.insert(static_cast<std::int64_t>(labels.flat(one.at(0))));
  }
  CHECK(lucky == std::set<std::int64_t>{0, 2, 5});
  CHECK(data::balanced(labels)(rng).size() == 10);
  REQUIRE_ERROR(data::balanced(Tensor{1, 2}), DTypeError, "must be i64");
  REQUIRE_ERROR(data::balanced(ints({0, -1})), ValueError, "label -1 of row 1");
  REQUIRE_ERROR(data::balanced(Tensor::zeros({0}, i64)), ValueError, "no rows");
  REQUIRE_ERROR(data::balanced(labels, -1), ValueError, "-1 rows");
}

TEST_CASE("a weighted sampler draws rows as often as they weigh", "[data][sampler]") {
  Rng rng(2);
  const int n = 20'000;
  const auto shown = frequencies(data::weighted({1, 0, 3, 0, 4}, n)(rng));
  CHECK(shown.count(1) + shown.count(3) == 0);
  for (const auto& [row, weight] : std::map<std::int64_t, double>{{0, 1}, {2, 3}, {4, 4}}) {
    const double p = weight / 8, sigma = std::sqrt(n * p * (1 - p));
    CHECK(std::abs(shown.at(row) - n * p) < 4 * sigma);
  }
  REQUIRE_ERROR(data::weighted({1, -1}, 1), ValueError, "weight -1 of row 1");
  REQUIRE_ERROR(data::weighted({1, NAN}, 1), ValueError, "weight nan");
  REQUIRE_ERROR(data::weighted({0, 0}, 1), ValueError, "0 weights are positive");
}

TEST_CASE("without replacement no row is drawn twice", "[data][sampler]") {
  Rng rng(3);
  int first = 0;
  const int n = 4'000;
  const data::Sampler sampler = data::weighted_once({1, 0, 3}, 2);
  for (int k = 0; k < n; ++k) {
    const std::vector<std::int64_t> rows = sampler(rng);
    REQUIRE(rows.size() == 2);
    REQUIRE(rows[0] + rows[1] == 2);  // 0 and 2
    first += rows[0] == 2;
  }
  CHECK(std::abs(first - .75 * n) < 4 * std::sqrt(n * .75 * .25));
  REQUIRE_ERROR(data::weighted_once({1, 0, 3}, 3), ValueError, "needs 3");
  const std::vector<std::int64_t> all = data::shuffled(50)(rng);
  CHECK(frequencies(all).size() == 50);
}

TEST_CASE("batches of given rows are those rows", "[data]") {
  const data::Dataset d = numbered(5);
  std::vector<std::int64_t> seen;
  std::vector<std::int64_t> sizes;
  for (auto& [x, labels] : data::batches(d, 3, {4, 0, 0, 2})) {
    sizes.push_back(labels.size());
    for (const std::int64_t l : labels.span<std::int64_t>()) seen.push_back(l);
    CHECK(x.at({0, 1}) == 2 * labels.flat(0) + 1);
  }
  CHECK(seen == std::vector<std::int64_t>{4, 0, 0, 2});
  CHECK(sizes == std::vector<std::int64_t>{3, 1});
  CHECK(data::batches(d, 3, std::vector<std::int64_t>{}).size() == 0);
  REQUIRE_ERROR(data::batches(d, 3, {1, 5}), ValueError, "row 5: there are 5 rows");
}

TEST_CASE("batches gathered ahead are the same in the same order", "[data][prefetch]") {
  const data::Dataset d = numbered(103);
  for (const std::size_t depth : {1U, 2U, 50U}) {
    Rng a(7), b(7);
    data::Prefetch ahead(data::batches(d, 10, b), depth);
    std::vector<data::Batch> kept;
    for (const data::Batch& wanted : data::batches(d, 10, a)) {
      const std::optional<data::Batch> got = ahead.next();
      REQUIRE(got);
      CHECK(identical(got->inputs, wanted.inputs));
      CHECK(identical(got->labels, wanted.labels));
      kept.push_back(*got);
    }
    CHECK_FALSE(ahead.next());
    CHECK_FALSE(ahead.next());
    CHECK(a.position() == b.position());
    // What the caller keeps stays what it was.
    CHECK(kept.front().labels.span<std::int64_t>()[0] == data::shuffled(103)(a = Rng(7))[0]);
  }
  REQUIRE_ERROR(data::Prefetch(data::batches(d, 10), 0), ValueError, "depth 0");
}

TEST_CASE("what a source throws comes in its place", "[data][prefetch]") {
  int made = 0;
  data::Prefetch ahead(
      [&]() -> std::optional<data::Batch> {
        if (++made == 4) throw DataError("disk", "broken");
        return data::Batch{Tensor::full({1}, made), Tensor::full({1}, made, i64)};
      },
      2);
  for (int k = 1; k <= 3; ++k) CHECK(ahead.next().value().inputs.item() == k);
  REQUIRE_ERROR(ahead.next(), DataError, "broken");
  REQUIRE_ERROR(ahead.next(), DataError, "broken");
  CHECK(made == 4);
}

TEST_CASE("no more is made ahead than the depth", "[data][prefetch]") {
  std::atomic<int> made = 0;
  {
    data::Prefetch ahead(
        [&]() -> std::optional<data::Batch> {
          ++made;
          return data::Batch{Tensor::zeros({1}), Tensor::zeros({1})};
        },
        3);
    while (made < 4) std::this_thread::yield();  // three wait, the fourth has no room
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK(made == 4);
    ahead.next();
    while (made < 5) std::this_thread::yield();
  }
  CHECK(made == 5);
}

TEST_CASE("prefetching ends at any batch", "[data][prefetch]") {
  const data::Dataset d = numbered(40);
  for (int taken = 0; taken < 12; ++taken) {
    data::Prefetch ahead(data::batches(d, 4), 2);
    for (int k = 0; k < taken; ++k) ahead.next();
  }
  SUCCEED("no thread is left waiting");
}

}  // namespace xtape
