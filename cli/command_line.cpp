#include "cli/command_line.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "cli/complaint.hpp"
#include "cli/exit_code.hpp"
#include "cli/options.hpp"

namespace wsr::cli {
namespace {

using Words = std::vector<std::string>;

bool has_variables(const CLI::App& command) {
  const auto options = command.get_options();
  const auto verbs = command.get_subcommands({});
  return std::any_of(options.begin(), options.end(), [](const auto* each) { return !each->get_envname().empty(); }) ||
         std::any_of(verbs.begin(), verbs.end(), [](const auto* each) { return has_variables(*each); });
}

void forget_variables(CLI::App& command) {
  for (auto* option : command.get_options()) option->envname("");
  for (auto* verb : command.get_subcommands({})) forget_variables(*verb);
}

/// CLI11 asks for the variables of all commands: WSR_COUNT of `wsr owners` could then end `wsr serve`.
void forget_variables_of_others(CLI::App& app, const CLI::App& named) {
  for (auto* command : app.get_subcommands({})) {
    if (command != &named) forget_variables(*command);
  }
}

/// CLI11 (2.1) reads the variable of --config only after the file would have been read: so it is read here.
ConfigFile config_file(const Words& words, const CLI::App* command) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--config") return {i + 1 < words.size() ? words[i + 1] : "", "--config"};
    if (words[i].starts_with("--config=")) return {words[i].substr(std::string_view("--config=").size()), "--config"};
  }
  const char* path = std::getenv("WSR_CONFIG");
  if (path == nullptr || command == nullptr || !has_variables(*command)) return {};
  return {path, "WSR_CONFIG"};
}

bool asks_for_help(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return app.get_help_ptr()->count() > 0 ||
         std::any_of(parsed.begin(), parsed.end(), [](const auto* each) { return asks_for_help(*each); });
}

}  // namespace

const CLI::App* named_command(const CLI::App& app, const Words& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--config") {
      ++i;  // its file may have the name of a command
      continue;
    }
    const auto named = app.get_subcommands([&](const CLI::App* each) { return each->check_name(words[i]); });
    if (!named.empty()) return named.front();
  }
  return nullptr;
}

void read_command_line(CLI::App& app, const Words& words) {
  const auto* command = named_command(app, words);
  if (command != nullptr) forget_variables_of_others(app, *command);
  refuse_what_is_no_number(app);
  const auto config = config_file(words, command);
  if (command != nullptr && !has_variables(*command)) app.get_config_ptr()->envname("");

  auto last_first = words;  // as CLI11 takes them
  std::reverse(last_first.begin(), last_first.end());
  if (config.said_by == "WSR_CONFIG" && !config.path.empty()) {
    last_first.push_back(config.path);
    last_first.emplace_back("--config");
  }
  try {
    app.parse(std::move(last_first));
  } catch (const CLI::Success&) {
    throw;
  } catch (const CLI::ParseError& error) {
    if (asks_for_help(app)) throw CLI::CallForHelp();  // it tells what should have been said
    throw UsageError(complaint(app, words, config, error));
  }
}

}  // namespace wsr::cli
