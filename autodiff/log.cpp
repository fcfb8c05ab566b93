#include <mutex>

#include <xtape/autodiff/log.hpp>

namespace xtape {
namespace {

struct Sink {
  std::mutex mutex;
  LogSink sink = nullptr;
  void* context = nullptr;
};

Sink& current() {
  static Sink* const s = new Sink;
  return *s;
}

}  // namespace

void set_log_sink(LogSink sink, void* context) {
  Sink& s = current();
  const std::lock_guard lock(s.mutex);
  s.sink = sink;
  s.context = context;
}

bool detail::log(const char* message) {
  Sink& s = current();
  LogSink sink = nullptr;
  void* context = nullptr;
  {  // not held during the call: a sink may set another
    const std::lock_guard lock(s.mutex);
    sink = s.sink;
    context = s.context;
  }
  if (!sink) return false;
  sink(context, message);
  return true;
}

}  // namespace xtape
