#include "cli/send.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"

namespace wsr::cli {
namespace {

std::string json_line(const SendResult& result) {
  nlohmann::ordered_json line = {{"to", result.to.view()}, {"state", result.state}};
  if (!result.reason.empty()) line["reason"] = result.reason;
  if (!result.server.is_empty()) line["server"] = result.server.view();
  if (result.state != "accepted") line["ms"] = result.ms;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

CLI::App* add_send(CLI::App& app, SendOptions& options) {
  auto* command = app.add_subcommand("send", "Send a message to one client or several");
  command->footer(
      "Examples:\n"
      "  wsr send alice \"hi\"                    the text becomes a JSON string\n"
      "  wsr send alice bob carol \"hi\"          one message each\n"
      "  wsr send alice --raw '{\"n\":1}'         the text is JSON already, sent byte for byte\n"
      "  date | wsr send alice -                the text comes from standard input\n\n"
      "Exit code: 0 delivered, 3 offline, 4 dropped, 5 unknown (the worst of several), 2 usage, 1 anything "
      "else.");
  // CLI11 takes a text such as [1,2] apart unless extra arguments are off, and then a positional takes only as many
  // words as it needs at least: so it "needs" all of them, and run_send() counts them.
  command->add_option("CLIENT... TEXT", options.words, "The clients, then the text ('-': standard input)")
      ->required()
      ->expected(CLI::detail::expected_max_vector_size, CLI::detail::expected_max_vector_size)
      ->allow_extra_args(false)
      ->take_all()
      ->configurable(false)
      ->option_text(" ");
  with_environment(command->add_option("--from", options.from, "Who the recipient sees as sender (default: nobody)"))
      ->type_name("CLIENT");
  with_environment(command->add_flag("--raw", options.raw, "The text is one JSON value: send it as it is"));
  with_environment(command->add_flag("--json", options.json, "Print one JSON object per recipient"));
  with_environment(command->add_flag("--no-wait", options.no_wait,
                                     "Do not wait for the outcome; exit 0 once the message is handed over"));
  add_fabric_options(*command, options.fabric);
  return command;
}

std::string describe(const SendResult& result, Recipients recipients) {
  if (result.state == "delivered") {
    return fmt::format("delivered to {} on {} in {:.1f} ms", result.to.view(), result.server.name(), result.ms);
  }
  if (result.state == "queued") return fmt::format("queued for {}", result.to.view());
  if (result.state == "accepted") return fmt::format("sent to {}", result.to.view());
  const auto word = result.reason.empty() ? result.state : fmt::format("{}: {}", result.state, result.reason);
  return recipients == Recipients::one ? word : fmt::format("{}: {}", result.to.view(), word);
}

ExitCode exit_code_of(const std::vector<SendResult>& results) {
  auto worst = ExitCode::ok;
  for (const auto& result : results) {
    auto code = ExitCode::unknown;
    if (result.state == "delivered" || result.state == "queued" || result.state == "accepted") code = ExitCode::ok;
    if (result.state == "offline") code = ExitCode::offline;
    if (result.state == "dropped") code = ExitCode::dropped;
    worst = std::max(worst, code);
  }
  return worst;
}

ExitCode run_send(const SendOptions& options) {
  if (options.words.size() < 2) throw UsageError("name the clients, then give the text: wsr send alice \"hi\"");
  std::vector<ClientId> to;
  for (std::size_t i = 0; i + 1 < options.words.size(); ++i)
    to.push_back(client_named(options.words[i], options.words[i]));
  const auto from = options.from.empty() ? ClientId() : client_named(options.from, "--from");
  const auto text = text_of_word(options.words.back());
  const auto data = payload_of(text, options.raw ? TextIs::json : TextIs::text);

  const auto fabric = find_fabric(options.fabric);
  const auto results = fabric->send(from, to, data, options.no_wait ? Wait::not_at_all : Wait::for_word);
  const auto recipients = results.size() == 1 ? Recipients::one : Recipients::several;
  for (const auto& result : results) {
    std::cout << (options.json ? json_line(result) : describe(result, recipients)) << '\n';
  }
  return exit_code_of(results);
}

}  // namespace wsr::cli
