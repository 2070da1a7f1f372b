// Terminal: what the commands that look at things share: names made harmless, columns, Ctrl-C.
#pragma once

#include <chrono>
#include <csignal>
#include <string>
#include <string_view>
#include <vector>

namespace wsr::cli {

/// For a terminal: a name or a text comes from a client and must not steer it.
[[nodiscard]] std::string shown(std::string_view text);

/// Columns as wide as their widest cell.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& lines);

/// Blocks SIGINT and SIGTERM for the rest of the process, so that a watch ends between two looks and not within one.
/// To be made before the threads that inherit the mask.
class Interruption {
public:
  Interruption();
  /// True if a signal came within `wait`.
  [[nodiscard]] bool is_asked_within(std::chrono::milliseconds wait) const;

private:
  sigset_t signals_{};
};

}  // namespace wsr::cli
