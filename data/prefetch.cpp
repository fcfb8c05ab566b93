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
  Shared(Batches b, std::size_t most) : batches(std::move(b)), depth(most) {}

  Batches batches;
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

  void run(Batches::iterator it) {
    std::exception_ptr met;
    try {
      // Moved out: the iterator must not look whether the caller still holds the last one.
      for (; it != std::default_sentinel; ++it) {
        if (!push(std::move(*it))) break;
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

Prefetch::Prefetch(Batches batches, std::size_t depth) {
  if (depth == 0) throw ValueError("Prefetch", "depth 0: must be 1 or more");
  shared_ = std::make_unique<Shared>(std::move(batches), depth);
  shared_->thread = std::thread(
      [s = shared_.get(), it = shared_->batches.begin()]() mutable { s->run(std::move(it)); });
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
