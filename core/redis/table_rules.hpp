// What a table takes, checked before anything is sent; and how its values look as text in Redis.
//
// Texts of values are canonical (one value, one text), so that Redis can compare them: integers in decimal, reals as
// the shortest text that reads back as the same double.
//
// Errors: bad_request with a sentence that names table and column.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/store/tables.hpp"

namespace wsr::redis {

[[nodiscard]] std::optional<Error> check_spec(const TableSpec& spec);
/// `what` begins the sentence: "a key", "a counter name".
[[nodiscard]] std::optional<Error> check_key(std::string_view what, std::string_view key);
[[nodiscard]] std::optional<Error> check_value(const Column& column, const Value& value);
[[nodiscard]] Result<const Column*> find_column(const TableSpec& spec, std::string_view name);
[[nodiscard]] bool is_same(const TableSpec& a, const TableSpec& b);
/// One text for equal declarations: servers compare theirs with the one that Redis keeps.
[[nodiscard]] std::string text_of(const TableSpec& spec);

[[nodiscard]] std::string text_of(const Value& value);
/// nullopt: the text is none of that type.
[[nodiscard]] std::optional<Value> parse_value(Column::Type type, std::string_view text);
/// The values of all columns in the order of the declaration, with the defaults of what `row` leaves out.
[[nodiscard]] Result<std::vector<std::string>> complete(const TableSpec& spec, const Row& row);

}  // namespace wsr::redis
