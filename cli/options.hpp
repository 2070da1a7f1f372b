// Options: an option of `wsr` is a flag, an environment variable and a key of the config file under one name.
//
//   --message-max 64KiB   WSR_MESSAGE_MAX=64KiB   message-max = "64KiB" below [serve]
//
// A flag wins over the environment, the environment over the file. Those of `wsr simulate` have no variable: a run is
// what its command line says.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "core/store/rates.hpp"

namespace wsr::cli {

/// Gives an option its environment variable: `--message-max` -> WSR_MESSAGE_MAX. Returns the option.
CLI::Option* with_environment(CLI::Option* option);

/// Options of a duration or a size; the value's default is shown in the help.
CLI::Option* add_duration(CLI::App& app, const std::string& names, std::chrono::milliseconds& value,
                          const std::string& what);
CLI::Option* add_size(CLI::App& app, const std::string& names, std::size_t& value, const std::string& what);

CLI::Option* add_rate(CLI::App& app, const std::string& names, RateLimit& value, const std::string& what);

/// A reader of config files that leaves out what the environment says (CLI11 alone lets the file win), and throws a
/// CLI::FileError with a sentence about the first section or key that `app` does not know.
/// REQUIRES: `app` owns the reader, and its commands are added before a file is read.
[[nodiscard]] std::shared_ptr<CLI::Config> make_config_reader(const CLI::App& app);

/// Makes each option of `app` and its commands that takes a whole number (its help shows N, PORT or 1..1000) refuse
/// what is none. CLI11 alone makes 18446744073709551615 of -1 and of what is too large, and 8 of 010.
void refuse_what_is_no_number(CLI::App& app);

}  // namespace wsr::cli
