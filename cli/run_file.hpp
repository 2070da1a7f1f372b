// Run files: how `wsr send` finds the servers that this user runs on this machine.
//
// Each server writes DIR/PID.json when it listens and removes it when it ends. DIR is $XDG_RUNTIME_DIR/wsr, else
// /tmp/wsr-UID; it must be ours alone (0700): somebody else's file could send our messages to their server.
// A file is believed while its process runs: same pid and same start time, so that a reused pid is noticed.
//
// Thread-safety: none. Errors: std::runtime_error with a sentence.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace wsr::cli {

struct RunRecord {
  pid_t pid = 0;
  std::string started;  // of the process, in clock ticks since boot (/proc/PID/stat, field 22)
  std::string url;      // its HTTP API
  std::string store;    // `memory`, or what names the shared store; never with a password
  std::string name;     // name~incarnation
};

/// When the process was started; empty if there is none.
[[nodiscard]] std::string process_start(pid_t pid);

/// The folder, made if `Make::yes` and missing. Throws if it is not ours alone.
enum class Make : unsigned char { yes, no };
[[nodiscard]] std::filesystem::path run_directory(Make make);

/// This process's run file: there from construction to destruction.
class RunFile {
public:
  RunFile(const std::filesystem::path& directory, const RunRecord& record);
  ~RunFile();
  RunFile(const RunFile&) = delete;
  RunFile& operator=(const RunFile&) = delete;

private:
  std::filesystem::path path_;
};

/// The record of this process.
[[nodiscard]] RunRecord own_record(std::string url, std::string store, std::string name);

/// The servers that run now, by pid; files of processes that are gone are deleted on the way.
[[nodiscard]] std::vector<RunRecord> running_servers(const std::filesystem::path& directory);

}  // namespace wsr::cli
