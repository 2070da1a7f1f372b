#include "cli/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "cli/complaint.hpp"
#include "cli/units.hpp"

namespace wsr::cli {
namespace {

std::string variable_of(const std::string& option) {
  std::string name = "WSR_" + option;
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

/// The command of an item's section.
const CLI::App& section_of(const CLI::App& app, const CLI::ConfigItem& item) {
  const auto* command = &app;
  for (const auto& name : item.parents) {
    const auto below = command->get_subcommands([&](const CLI::App* each) { return each->check_name(name); });
    if (below.empty()) {
      throw CLI::FileError(fmt::format("[{}]: {}", fmt::join(item.parents, "."), no_such_command(*command, name)));
    }
    command = below.front();
  }
  return *command;
}

/// The option of an item as CLI11 finds it. nullptr: it is a section's begin or end.
const CLI::Option* option_of(const CLI::App& command, const CLI::ConfigItem& item) {
  if (item.name == "++" || item.name == "--") return nullptr;
  for (const auto* dashes : {"--", "-", ""}) {
    const auto* option = command.get_option_no_throw(dashes + item.name);
    if (option != nullptr && option->get_configurable()) return option;
    if (option != nullptr) throw CLI::FileError(fmt::format("'{}' is for the command line only", item.name));
  }
  if (item.parents.empty()) {
    throw CLI::FileError(
        fmt::format("'{}' is in no section: put it below the section of its command, such as [serve]", item.name));
  }
  throw CLI::FileError(no_such_option(command, item.name));
}

/// Every key is checked here, where its section is known. CLI11 keeps a FileError until it knows that no --help was
/// asked for, so that a file that is wrong does not hide the help that would say why.
class ConfigReader : public CLI::ConfigTOML {
public:
  explicit ConfigReader(const CLI::App& app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    auto found = CLI::ConfigTOML::from_config(input);
    std::erase_if(found, [this](const CLI::ConfigItem& item) {
      const auto* option = option_of(section_of(app_, item), item);
      const auto* value = option == nullptr ? nullptr : std::getenv(option->get_envname().c_str());
      return value != nullptr && *value != '\0';
    });
    return found;
  }

private:
  const CLI::App& app_;  // that owns this reader
};

bool is_number(const CLI::Option& option) {
  const auto type = option.get_type_name();
  const auto shown = std::string_view(type).substr(0, type.find(':'));
  const bool is_range = !shown.empty() && std::isdigit(static_cast<unsigned char>(shown[0])) != 0;  // 1..1000
  return is_range || shown == "N" || shown == "PORT" || shown == "UINT" || shown == "INT";
}

/// Empty if `text` is a number; then it is one without leading zeros, which CLI11 takes for octal digits.
std::string what_is_wrong_with_number(std::string& text) {
  std::string_view digits = text;
  if (text.starts_with('-')) digits.remove_prefix(1);
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos)
    return fmt::format("'{}' is not a number: use digits only", text);
  if (text.starts_with('-')) return fmt::format("'{}' is below 0", text);
  std::uint64_t number = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec != std::errc{})
    return fmt::format("'{}' is above {}", text, std::numeric_limits<std::uint64_t>::max());
  text = std::to_string(number);
  return {};
}

/// An option whose text is checked by `parse` and shown in the help as `shown`.
template <class Value, class Parse>
CLI::Option* add_parsed(CLI::App& app, const std::string& names, Value& value, const std::string& what, Parse parse,
                        const std::string& type, const std::string& shown) {
  auto* option = app.add_option_function<std::string>(
      names, [&value, parse](const std::string& text) { value = static_cast<Value>(parse(text).value()); }, what);
  option->check(CLI::Validator(
      [parse](std::string& text) {
        const auto parsed = parse(text);
        return parsed.has_value() ? std::string() : parsed.error().message;
      },
      ""));
  option->type_name(type)->default_str(shown);
  return with_environment(option);
}

}  // namespace

CLI::Option* with_environment(CLI::Option* option) {
  return option->envname(variable_of(option->get_lnames().front()));
}

CLI::Option* add_duration(CLI::App& app, const std::string& names, std::chrono::milliseconds& value,
                          const std::string& what) {
  return add_parsed(app, names, value, what, parse_duration, "DURATION", format_duration(value));
}

CLI::Option* add_size(CLI::App& app, const std::string& names, std::size_t& value, const std::string& what) {
  return add_parsed(app, names, value, what, parse_size, "SIZE", format_size(value));
}

CLI::Option* add_rate(CLI::App& app, const std::string& names, RateLimit& value, const std::string& what) {
  return add_parsed(app, names, value, what, parse_rate, "COUNT/TIME", format_rate(value));
}

std::shared_ptr<CLI::Config> make_config_reader(const CLI::App& app) { return std::make_shared<ConfigReader>(app); }

void refuse_what_is_no_number(CLI::App& app) {
  for (auto* option : app.get_options()) {
    // transform() puts it before the range checks, which read the number as CLI11 does.
    if (is_number(*option)) option->transform(CLI::Validator(what_is_wrong_with_number, ""));
  }
  for (auto* command : app.get_subcommands({})) refuse_what_is_no_number(*command);
}

}  // namespace wsr::cli
