// `wsr send alice "hi"`: one message to one client or several, and the word it ended in.
#pragma once

#include <CLI/CLI.hpp>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "cli/exit_code.hpp"
#include "cli/fabric_client.hpp"
#include "cli/find.hpp"
#include "cli/payload.hpp"

namespace wsr::cli {

struct SendOptions {
  FabricOptions fabric;
  std::vector<std::string> words;  // recipients, then the text
  std::string from;
  bool raw = false;
  bool json = false;
  bool no_wait = false;
};

CLI::App* add_send(CLI::App& app, SendOptions& options);
[[nodiscard]] ExitCode run_send(const SendOptions& options);

/// What a shell shows of one result: `delivered to alice on web-1 in 0.8 ms`, `dropped: slow_consumer`, `bob: offline`.
enum class Recipients : unsigned char { one, several };
[[nodiscard]] std::string describe(const SendResult& result, Recipients recipients);

/// The worst over the recipients: unknown, dropped, offline, ok.
[[nodiscard]] ExitCode exit_code_of(const std::vector<SendResult>& results);

}  // namespace wsr::cli
