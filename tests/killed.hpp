#pragma once

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "catch.hpp"

namespace xtape::test {

/// Starts the program of resumable.cpp and kills it some time after its first save. True unless it
/// ended by itself.
inline bool train_and_kill(const std::string& mode, const std::string& place,
                           std::chrono::microseconds after) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::string program = XTAPE_RESUMABLE, first = mode, second = place;
  char* arguments[] = {program.data(), first.data(), second.data(), nullptr};
  pid_t child = 0;
  REQUIRE(::posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  char byte = 0;
  const bool trains = ::read(ends[0], &byte, 1) == 1;
  ::close(ends[0]);
  std::this_thread::sleep_for(after);
  ::kill(child, SIGKILL);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return trains && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

}  // namespace xtape::test
