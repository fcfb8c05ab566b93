#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include <xtape/data/dataset.hpp>

namespace xtape::data {

/// Batches, made ahead by a thread of its own while the caller computes: the same ones in the same
/// order.
///
///     data::Prefetch ahead(data::batches(train, 64, rng), 2);
///     while (const std::optional<data::Batch> batch = ahead.next()) { … }
///
/// The thread ends with this object, also in the middle of an epoch. One thread may call next().
class Prefetch {
 public:
  /// Makes one batch after the other, and nothing at the end.
  using Source = std::function<std::optional<Batch>()>;
  /// Starts to call `source`; at most `depth` batches wait. @throws ValueError unless depth ≥ 1.
  Prefetch(Source source, std::size_t depth);
  /// The same for one epoch of these; its order is drawn here, in the thread of the caller.
  Prefetch(Batches batches, std::size_t depth);
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;
  /// Waits for the thread.
  ~Prefetch();

  /// The next batch, nothing after the last. @throws what `source` threw, in its place.
  std::optional<Batch> next();

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace xtape::data
