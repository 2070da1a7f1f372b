#include "cli/options.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "cli/units.hpp"

namespace wsr::cli {
namespace {

std::string variable_of(const std::string& option) {
  std::string name = "WSR_" + option;
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

class ConfigReader : public CLI::ConfigTOML {
public:
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    auto found = CLI::ConfigTOML::from_config(input);
    std::erase_if(found, [](const CLI::ConfigItem& item) {
      const char* value = std::getenv(variable_of(item.name).c_str());
      return value != nullptr && *value != '\0';
    });
    return found;
  }
};

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

std::shared_ptr<CLI::Config> make_config_reader() { return std::make_shared<ConfigReader>(); }

}  // namespace wsr::cli
