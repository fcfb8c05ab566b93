#pragma once

namespace xtape {

/// Takes what the library has to say, one line without its end; `context` is what set_log_sink was
/// given. Called from any thread that uses the library.
using LogSink = void (*)(void* context, const char* message);

/// Sets who takes messages from now on; nullptr for nobody, as at first. The library says nothing
/// in any other way.
void set_log_sink(LogSink sink, void* context = nullptr);

namespace detail {
/// Hands a message on. False when nobody took it.
bool log(const char* message);
}  // namespace detail
}  // namespace xtape
