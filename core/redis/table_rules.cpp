#include "core/redis/table_rules.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "core/redis/resp.hpp"

namespace wsr::redis {
namespace {

constexpr std::size_t name_max = 64;
constexpr std::size_t key_bytes_max = 256;
constexpr std::size_t columns_max = 1'000;  // a row travels through one Lua unpack(), whose stack ends at 8 000

Error bad(std::string message) { return {Errc::bad_request, std::move(message)}; }
std::string quoted(std::string_view text) { return '"' + std::string{text} + '"'; }

bool is_name(std::string_view name) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  };
  return !name.empty() && name.size() <= name_max && std::all_of(name.begin(), name.end(), is_allowed);
}

std::string_view type_word(Column::Type type) {
  switch (type) {
    case Column::Type::integer:
      return "an integer";
    case Column::Type::real:
      return "a real";
    case Column::Type::text:
      break;
  }
  return "a text";
}

Value default_of(Column::Type type) {
  switch (type) {
    case Column::Type::integer:
      return std::int64_t{0};
    case Column::Type::real:
      return 0.0;
    case Column::Type::text:
      break;
  }
  return std::string{};
}

}  // namespace

std::optional<Error> check_spec(const TableSpec& spec) {
  if (!is_name(spec.name)) return bad("the table name " + quoted(spec.name) + " is not 1 to 64 of A-Z a-z 0-9 _ . -");
  if (spec.columns.empty()) return bad("the table " + quoted(spec.name) + " has no columns: declare at least one");
  if (spec.columns.size() > columns_max) {
    return bad("the table " + quoted(spec.name) + " has " + std::to_string(spec.columns.size()) + " columns: at most " +
               std::to_string(columns_max) + " are allowed");
  }
  if (spec.ttl && spec.ttl->count() <= 0) return bad("the ttl of table " + quoted(spec.name) + " is not above 0 ms");
  std::set<std::string_view> seen;
  for (const Column& column : spec.columns) {
    if (!is_name(column.name)) {
      return bad("the column name " + quoted(column.name) + " is not 1 to 64 of A-Z a-z 0-9 _ . -");
    }
    if (!seen.insert(column.name).second) return bad("the column " + quoted(column.name) + " is declared twice");
  }
  return std::nullopt;
}

std::optional<Error> check_key(std::string_view what, std::string_view key) {
  if (!key.empty() && key.size() <= key_bytes_max) return std::nullopt;
  return bad(std::string{what} + " has " + std::to_string(key.size()) + " bytes: 1 to 256 are allowed");
}

std::optional<Error> check_value(const Column& column, const Value& value) {
  // The alternatives of Value and the enumerators of Type stand in the same order.
  if (value.index() != static_cast<std::size_t>(column.type)) {
    return bad("the column " + quoted(column.name) + " holds " + std::string{type_word(column.type)} +
               ": the value has another type");
  }
  if (const auto* real = std::get_if<double>(&value); real != nullptr && !std::isfinite(*real)) {
    return bad("the column " + quoted(column.name) + " takes finite numbers only");
  }
  if (const auto* text = std::get_if<std::string>(&value);
      text != nullptr && column.bytes_max != 0 && text->size() > column.bytes_max) {
    return bad("the column " + quoted(column.name) + " takes at most " + std::to_string(column.bytes_max) +
               " bytes: the value has " + std::to_string(text->size()));
  }
  return std::nullopt;
}

Result<const Column*> find_column(const TableSpec& spec, std::string_view name) {
  const auto found = std::find_if(spec.columns.begin(), spec.columns.end(),
                                  [name](const Column& column) { return column.name == name; });
  if (found == spec.columns.end()) return bad("the table " + quoted(spec.name) + " has no column " + quoted(name));
  return &*found;
}

bool is_same(const TableSpec& a, const TableSpec& b) {
  return a.columns == b.columns && a.rows_max == b.rows_max && a.ttl == b.ttl;
}

std::string text_of(const TableSpec& spec) {
  std::string text = "rows_max=" + text_of(spec.rows_max) +
                     " ttl_ms=" + (spec.ttl ? text_of(std::int64_t{spec.ttl->count()}) : std::string{"none"});
  for (const Column& column : spec.columns) {
    text += ' ' + column.name + ':' + text_of(static_cast<std::uint64_t>(column.type)) + ':' +
            text_of(std::uint64_t{column.bytes_max});
  }
  return text;
}

std::string text_of(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return text_of(*integer);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  const double real = std::get<double>(value);
  if (real == 0.0) return "0";  // also -0.0, which is equal to it
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, real).ptr};
}

std::optional<Value> parse_value(Column::Type type, std::string_view text) {
  if (type == Column::Type::text) return Value{std::string{text}};
  if (type == Column::Type::integer) {
    const auto integer = parse_i64(text);
    return integer ? std::optional<Value>{*integer} : std::nullopt;
  }
  double real = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), real);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return Value{real};
}

Result<std::vector<std::string>> complete(const TableSpec& spec, const Row& row) {
  for (const auto& [name, value] : row) {
    const auto column = find_column(spec, name);
    if (!column) return column.error();
    if (auto error = check_value(**column, value)) return *std::move(error);
  }
  std::vector<std::string> values;
  for (const Column& column : spec.columns) {
    const auto given = row.find(column.name);
    values.push_back(text_of(given == row.end() ? default_of(column.type) : given->second));
  }
  return values;
}

}  // namespace wsr::redis
