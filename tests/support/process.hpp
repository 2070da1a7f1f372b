// Process: one real program under a test: spawned, watched, signalled by its pid, never left behind.
//
// The child dies with the thread that started it (PR_SET_PDEATHSIG), so start it from the test's main thread.
// Its environment is ours without WSR_*, plus what is given: a developer's settings do not reach the tests.
//
// Errors: std::runtime_error with a sentence and the program's output.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/wait.hpp"

namespace wsr::test {

/// A directory of the test's own, removed with everything in it.
class TempDir {
public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

using Environment = std::vector<std::pair<std::string, std::string>>;

class Process {
public:
  struct End {
    std::optional<int> exit_code;  // empty: ended by `signal`
    int signal = 0;
  };

  Process(const std::vector<std::string>& command, const Environment& environment = {}, std::string input = {});
  ~Process();  // SIGKILL if it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number);
  /// How it ended; nullopt if it still runs after `within`.
  [[nodiscard]] std::optional<End> wait(milliseconds within);
  [[nodiscard]] bool is_running() { return !wait(milliseconds{0}); }
  [[nodiscard]] std::string out() const;  // stdout so far
  [[nodiscard]] std::string err() const;

private:
  TempDir dir_;
  pid_t pid_ = -1;
  std::optional<End> end_;
};

/// Runs a command to its end. Throws if it takes longer than `within`.
struct Ran {
  int exit_code = -1;
  std::string out;
  std::string err;
};
[[nodiscard]] Ran run(const std::vector<std::string>& command, const Environment& environment = {},
                      std::string input = {}, milliseconds within = milliseconds{20'000});

/// What /proc says of a running process.
[[nodiscard]] std::size_t open_descriptors(pid_t pid);
[[nodiscard]] std::size_t resident_bytes(pid_t pid);
[[nodiscard]] std::size_t peak_resident_bytes(pid_t pid);  // the most that it ever had

}  // namespace wsr::test
