#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <xtape/autodiff/error.hpp>
#include <xtape/data/prefetch.hpp>

namespace xtape::data {

struct Prefetch::Shared {
  Shared(Source s, std::size_t most) : source(std::move(s)), depth(most) {}

  Source source;
  std::size_t depth;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Batch> ready;
  std::exception_ptr error;
  bool ended = false;    // the thread: nothing more will come
  bool stopped = false;  // the caller: nothing more is wanted
  std::thread thread;

  // False when nothing more is wanted.
  bool push(Batch batch) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return stopped || ready.size() < depth; });
    if (stopped) return false;
    ready.push_back(std::move(batch));
    changed.notify_all();
    return true;
  }

  void run() {
    std::exception_ptr met;
    try {
      for (bool wanted = true; wanted;) {
        std::optional<Batch> batch = source();
        wanted = batch && push(std::move(*batch));
      }
    } catch (...) {
      met = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    error = met;
    ended = true;
    changed.notify_all();
  }
};

namespace {

Prefetch::Source source_of(Batches batches) {
  auto owner = std::make_shared<Batches>(std::move(batches));
  return [owner, it = owner->begin(), begun = false]() mutable -> std::optional<Batch> {
    if (begun) ++it;
    begun = true;
    if (it == std::default_sentinel) return std::nullopt;
    // Moved out: the iterator must not look whether the caller still holds the last one.
    return std::move(*it);
  };
}

}  // namespace

Prefetch::Prefetch(Batches batches, std::size_t depth)
    : Prefetch(source_of(std::move(batches)), depth) {}

Prefetch::Prefetch(Source source, std::size_t depth) {
  if (depth == 0) throw ValueError("Prefetch", "depth 0: must be 1 or more");
  shared_ = std::make_unique<Shared>(std::move(source), depth);
  shared_->thread = std::thread([s = shared_.get()] { s->run(); });
}

Prefetch::~Prefetch() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopped = true;
    shared_->changed.notify_all();
  }
  shared_->thread.join();
}

std::optional<Batch> Prefetch::next() {
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait(lock, [&] { return shared_->ended || !shared_->ready.empty(); });
  if (!shared_->ready.empty()) {
    Batch batch = std::move(shared_->ready.front());
    shared_->ready.pop_front();
    shared_->changed.notify_all();
    return batch;
  }
  if (shared_->error) std::rethrow_exception(shared_->error);
  return std::nullopt;
}

}  // namespace xtape::data
