// Complaint: what is wrong with a command line, for somebody who sees `wsr` for the first time: the word that was said,
// what it should have been, and the nearest that exists.
//
//   there is no option '--portt' for wsr serve: did you mean '--port'?
//   WSR_LEASE '6' is not a duration: write a whole number and its unit, such as 250ms, 6s or 1m (at most 30 days)
//
// CLI11 tells what it found only as a text; here that text is taken apart and the App, which still holds all that was
// read, is asked for the rest. A text of a form that is not known here is passed on as it is.
//
// Thread-safety: pure, but for a look at the environment and at the config file that cannot be read.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace wsr::cli {

struct ConfigFile {
  std::string path;     // empty: none
  std::string said_by;  // --config or WSR_CONFIG
};

/// REQUIRES: `app` has thrown `error` while it read `words`.
[[nodiscard]] std::string complaint(const CLI::App& app, const std::vector<std::string>& words,
                                    const ConfigFile& config, const CLI::ParseError& error);

/// `wsr room push`: how a command is called.
[[nodiscard]] std::string path_of(const CLI::App& command);

/// `command` and those above it have no option `word`: --portt on a command line, portt in a file.
[[nodiscard]] std::string no_such_option(const CLI::App& command, const std::string& word);

/// There is no command `word` below `command`.
[[nodiscard]] std::string no_such_command(const CLI::App& command, const std::string& word);

}  // namespace wsr::cli
