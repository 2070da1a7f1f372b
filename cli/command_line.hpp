// CommandLine: from the words after `wsr` to the options of one command, or to a sentence that says what is wrong.
//
//   words ─▶ config file ─▶ variables of the named command ─▶ the command's options
//                                 └──── wrong ────▶ complaint() ─▶ UsageError
//
// A command that has no variables of its own (simulate: a run is what its command line says) reads no WSR_CONFIG
// either.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace wsr::cli {

/// The command that `words` name, such as serve in `--config FILE serve -p 9090`; nullptr if there is none.
[[nodiscard]] const CLI::App* named_command(const CLI::App& app, const std::vector<std::string>& words);

/// Reads the words into the options of `app`, to which every command has been added. Once for an App.
/// Errors: UsageError, whose sentence names what was said and what to say instead; CLI::Success for --help and
/// --version, which App::exit() prints.
void read_command_line(CLI::App& app, const std::vector<std::string>& words);

}  // namespace wsr::cli
