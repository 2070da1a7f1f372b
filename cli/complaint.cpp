#include "cli/complaint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>

#include "sim/scenario_text.hpp"

namespace wsr::cli {
namespace {

using Words = std::vector<std::string>;

const CLI::App& deepest(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : deepest(*parsed.front());
}

bool is_option(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && (word[1] < '0' || word[1] > '9') && word != "--";
}

/// `port` of --port, --port=1 and -port.
std::string bare(const std::string& word) {
  const auto begin = word.find_first_not_of('-');
  return begin == std::string::npos ? "" : word.substr(begin, word.find('=') - begin);
}

/// True for what CLI11 takes, and for -port where there is --port.
bool has_option(const CLI::App& command, const std::string& word) {
  const auto name = bare(word);
  const bool is_short = !word.starts_with("--") && name.size() == 1;
  return command.get_option_no_throw((is_short ? "-" : "--") + name) != nullptr;
}

bool is_long_with_one_dash(const std::string& word) { return !word.starts_with("--") && bare(word).size() > 1; }

/// The long names, without dashes, that a command and those above it understand.
Words option_names(const CLI::App& command) {
  Words names;
  for (const auto* each = &command; each != nullptr; each = each->get_parent()) {
    for (const auto* option : each->get_options()) {
      const auto& own = option->get_lnames();
      names.insert(names.end(), own.begin(), own.end());
    }
  }
  return names;
}

/// Empty if none is near.
std::string did_you_mean(const std::string& word, const Words& known, std::string_view dashes = "") {
  const auto near = sim::nearest(word, known);
  return near.empty() ? near : fmt::format("did you mean '{}{}'?", dashes, near);
}

std::string listed(const Words& words, std::string_view last) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 < words.size() ? ", " : fmt::format(" {} ", last);
    text += words[i];
  }
  return text;
}

// ---------------------------------------------------------------- what a command takes

/// ROOM, CLIENT... TEXT: the words that a command takes without dashes.
std::string placeholder(const CLI::Option& positional) {
  auto name = positional.get_name(true);
  const bool is_list = positional.get_items_expected_max() > 1 && name.find("...") == std::string::npos;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return is_list ? name + "..." : name;
}

Words placeholders(const CLI::App& command) {
  Words all;
  for (const auto* option : command.get_options()) {
    if (option->get_positional()) all.push_back(placeholder(*option));
  }
  return all;
}

std::string usage(const CLI::App& command) {
  auto line = path_of(command);
  for (const auto& each : placeholders(command)) line += " " + each;
  return line + " [OPTIONS]";
}

std::string example(const CLI::App& command) {
  static const std::map<std::string, std::string> samples = {{"CLIENT", "alice"},
                                                             {"ROOM", "lobby"},
                                                             {"TEXT", "\"hi\""},
                                                             {"CLIENT... TEXT", "alice \"hi\""},
                                                             {"FILE...", "scenarios/"}};
  auto line = path_of(command);
  for (const auto& each : placeholders(command)) {
    const auto found = samples.find(each);
    line += " " + (found == samples.end() ? each : found->second);
  }
  return line;
}

std::string no_command(const CLI::App& app) {
  std::string text = "a command is missing: wsr COMMAND [OPTIONS]\n";
  for (const auto* each : app.get_subcommands({}))
    text += fmt::format("  {:10}{}\n", each->get_name(), each->get_description());
  return text + "wsr --help says more, with examples";
}

std::string missing_words(const CLI::App& command) {
  Words missing;
  for (const auto* option : command.get_options()) {
    if (option->get_required() && option->count() == 0) missing.push_back(placeholder(*option));
  }
  return fmt::format("{} needs {}\n  usage:    {}\n  example:  {}", path_of(command), listed(missing, "and"),
                     usage(command), example(command));
}

// ---------------------------------------------------------------- words that nothing takes

/// An option that its command does not know, or that stands where its command is not known yet.
std::string unknown_option(const CLI::App& app, const CLI::App& command, const std::string& word) {
  const auto said = word.substr(0, word.find('='));
  const auto misplaced = [&](const CLI::App& its) {
    return fmt::format("put {0} after its command: {1} {0}", said, path_of(its));
  };
  if (!is_long_with_one_dash(word)) {
    if (has_option(command, word)) return misplaced(command);
    for (const auto* each : app.get_subcommands({})) {
      if (&command == &app && has_option(*each, word)) return misplaced(*each);
    }
  }
  return no_such_option(command, said);
}

std::string unknown_word(const CLI::App& command, const std::string& word) {
  if (!command.get_subcommands({}).empty()) return no_such_command(command, word);
  return fmt::format("'{}' is one argument too many; usage: {}", word, usage(command));
}

std::optional<std::string> left_over(const CLI::App& app) {
  const auto words = app.remaining(true);
  const auto& command = deepest(app);
  const auto options_end = std::find(words.begin(), words.end(), "--");
  const auto option = std::find_if(words.begin(), options_end, is_option);
  if (option != options_end) return unknown_option(app, command, *option);
  const auto word = std::find_if(words.begin(), words.end(), [](const auto& each) { return each != "--"; });
  if (word != words.end()) return unknown_word(command, *word);
  return std::nullopt;
}

/// `-port 1` is -p with the value "ort" for CLI11, which is not what was meant.
std::optional<std::string> one_dash(const CLI::App& app, const Words& words) {
  const auto& command = deepest(app);
  for (const auto& word : words) {
    if (is_option(word) && is_long_with_one_dash(word) && has_option(command, word))
      return unknown_option(app, command, word);
  }
  return std::nullopt;
}

// ---------------------------------------------------------------- values

void collect(const CLI::App& app, const std::string& name, std::vector<const CLI::Option*>& found) {
  if (const auto* option = app.get_option_no_throw(name)) found.push_back(option);
  for (const auto* each : app.get_subcommands({})) collect(*each, name, found);
}

/// The option that CLI11 calls `name`. Several commands may have one of that name: the one that was given a value.
const CLI::Option* option_named(const CLI::App& app, const std::string& name) {
  std::vector<const CLI::Option*> found;
  for (const auto* command = &deepest(app); command != nullptr; command = command->get_parent()) {
    if (const auto* option = command->get_option_no_throw(name)) found.push_back(option);
  }
  collect(app, name, found);
  const auto given = std::find_if(found.begin(), found.end(), [](const auto* each) { return each->count() > 0; });
  if (given != found.end()) return *given;
  return found.empty() ? nullptr : found.front();
}

/// How its value was said: `--seed`, `WSR_SEED`, or `wsr.toml: seed`.
std::string said_as(const CLI::Option& option, const Words& words, const ConfigFile& config) {
  auto name = option.get_name();
  const bool is_word = !name.starts_with("-") || std::any_of(words.begin(), words.end(), [&](const auto& word) {
    if (word.starts_with("--")) return option.check_lname(bare(word));
    return is_option(word) && option.check_sname(word.substr(1, 1));
  });
  if (is_word) return name;
  const char* variable = option.get_envname().empty() ? nullptr : std::getenv(option.get_envname().c_str());
  if (variable != nullptr && *variable != '\0') return option.get_envname();
  return config.path.empty() ? name : fmt::format("{}: {}", config.path, bare(name));
}

/// What a validator says about `value`: one of ours begins with the value, those of CLI11 are put into other words.
std::string wrong_value(const std::string& said, const std::string& value, const std::string& text) {
  const auto range = fmt::format("Value {} not in range ", value);
  if (text.starts_with(range))
    return fmt::format("{} '{}' is out of range: {}", said, value, text.substr(range.size()));
  const auto choice = value + " not in {";
  if (text.starts_with(choice) && text.ends_with("}")) {
    const auto known = CLI::detail::split(text.substr(choice.size(), text.size() - choice.size() - 1), ',');
    const auto lead = fmt::format("{} '{}' is not valid: use {}", said, value, listed(known, "or"));
    const auto near = did_you_mean(value, known);
    return near.empty() ? lead : lead + "; " + near;
  }
  return fmt::format("{}{} {}", said, text.starts_with("'") ? "" : ":", text);
}

std::string unconvertible(const CLI::Option& option, const std::string& said, const std::string& value) {
  if (option.get_items_expected_max() == 0) return fmt::format("{} '{}' is neither true nor false", said, value);
  return fmt::format("{} '{}' is too large", said, value);  // refuse_what_is_no_number() has seen the rest
}

/// `NAME: text` of CLI11, its conversion errors aside.
std::optional<std::string> value_complaint(const CLI::App& app, const Words& words, const ConfigFile& config,
                                           const CLI::ParseError& error) {
  constexpr std::string_view conversion = "Could not convert: ";
  const std::string text = error.what();
  const bool is_conversion = text.starts_with(conversion);
  const auto begin = is_conversion ? conversion.size() : 0;
  const auto end = text.find(is_conversion ? " = " : ": ", begin);
  if (end == std::string::npos) return std::nullopt;
  const auto* option = option_named(app, text.substr(begin, end - begin));
  if (option == nullptr) return std::nullopt;
  const auto said = said_as(*option, words, config);
  const auto values = option->results();
  const auto value = values.empty() ? std::string() : values.back();
  if (is_conversion) return unconvertible(*option, said, value);
  if (dynamic_cast<const CLI::ValidationError*>(&error) != nullptr)
    return wrong_value(said, value, text.substr(end + 2));
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) == nullptr) return std::nullopt;
  if (values.size() > 1) return fmt::format("{} has {} values: give one", said, values.size());
  const auto type = option->get_type_name();
  return fmt::format("{0} needs a value: {0} {1}", said, type.substr(0, type.find(":INT")));
}

// ---------------------------------------------------------------- the config file

std::string file_complaint(const ConfigFile& config, const CLI::ParseError& error) {
  std::error_code failed;
  const auto status = std::filesystem::status(config.path, failed);
  if (!std::filesystem::exists(status)) return fmt::format("{}: there is no file '{}'", config.said_by, config.path);
  if (std::filesystem::is_directory(status))
    return fmt::format("{}: '{}' is a folder, not a file", config.said_by, config.path);
  errno = 0;
  if (!std::ifstream(config.path))
    return fmt::format("{}: cannot read '{}': {}", config.said_by, config.path, std::generic_category().message(errno));
  return fmt::format("{}: {}", config.path, error.what());
}

}  // namespace

std::string path_of(const CLI::App& command) {
  const auto* above = command.get_parent();
  return above == nullptr ? "wsr" : path_of(*above) + " " + command.get_name();
}

std::string no_such_option(const CLI::App& command, const std::string& word) {
  const auto lead = fmt::format("there is no option '{}' for {}", word, path_of(command));
  const auto near = did_you_mean(bare(word), option_names(command), word.starts_with("-") ? "--" : "");
  return near.empty() ? fmt::format("{}; {} --help lists them", lead, path_of(command)) : lead + ": " + near;
}

std::string no_such_command(const CLI::App& command, const std::string& word) {
  Words known;
  for (const auto* each : command.get_subcommands({})) known.push_back(each->get_name());
  const bool is_top = command.get_parent() == nullptr;
  const auto lead = fmt::format("there is no command '{}'{}", word, is_top ? "" : " for " + path_of(command));
  const auto near = did_you_mean(word, known);
  return fmt::format("{}: {} ({} --help says more)",
                     near.empty() ? lead + "; there are" : lead + ": " + near + " There are", listed(known, "and"),
                     path_of(command));
}

std::string complaint(const CLI::App& app, const Words& words, const ConfigFile& config, const CLI::ParseError& error) {
  // First what was said and cannot be meant: what is missing may be what was misspelt.
  if (auto text = one_dash(app, words)) return *text;
  if (auto text = left_over(app)) return *text;
  if (dynamic_cast<const CLI::FileError*>(&error) != nullptr) return file_complaint(config, error);
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    const auto& command = deepest(app);
    return &command == &app ? no_command(app) : missing_words(command);
  }
  return value_complaint(app, words, config, error).value_or(error.what());
}

}  // namespace wsr::cli
