#include "core/memory/tables.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <utility>

namespace wsr::memory {
namespace {

constexpr std::size_t table_name_bytes_max = 64;
constexpr std::size_t key_bytes_max = 256;

Error bad(std::string message) { return {Errc::bad_request, std::move(message)}; }
std::string quoted(std::string_view text) { return '"' + std::string{text} + '"'; }

bool is_name(std::string_view name) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  };
  return !name.empty() && name.size() <= table_name_bytes_max && std::all_of(name.begin(), name.end(), is_allowed);
}

std::optional<Error> check_key(std::string_view what, std::string_view key) {
  if (!key.empty() && key.size() <= key_bytes_max) return std::nullopt;
  return bad(std::string{what} + " has " + std::to_string(key.size()) + " bytes: 1 to 256 are allowed");
}

std::string_view type_word(Column::Type type) {
  switch (type) {
    case Column::Type::integer:
      return "an integer";
    case Column::Type::real:
      return "a real";
    case Column::Type::text:
      return "a text";
  }
  return "unknown";
}

bool has_type(const Value& value, Column::Type type) {
  // The alternatives of Value and the enumerators of Type stand in the same order.
  return value.index() == static_cast<std::size_t>(type);
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

std::optional<Error> check_value(const Column& column, const Value& value) {
  if (!has_type(value, column.type)) {
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

std::optional<Error> check_spec(const TableSpec& spec) {
  if (!is_name(spec.name)) return bad("the table name " + quoted(spec.name) + " is not 1 to 64 of A-Z a-z 0-9 _ . -");
  if (spec.columns.empty()) return bad("the table " + quoted(spec.name) + " has no columns: declare at least one");
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

bool is_same(const TableSpec& a, const TableSpec& b) {
  return a.columns == b.columns && a.rows_max == b.rows_max && a.ttl == b.ttl;
}

std::optional<std::int64_t> sum(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

Error no_row(std::string_view table, std::string_view key) {
  return {Errc::not_found, "the table " + quoted(table) + " has no row " + quoted(key)};
}
Error no_column(std::string_view table, std::string_view column) {
  return bad("the table " + quoted(table) + " has no column " + quoted(column));
}
Error overflow(std::string_view what) { return bad("the sum leaves 64 bits: " + std::string{what} + " is unchanged"); }

}  // namespace

Result<Done> TableSet::declare(const TableSpec& spec) {
  if (auto error = check_spec(spec)) return *std::move(error);
  if (const auto found = tables_.find(spec.name); found != tables_.end()) {
    if (is_same(found->second.spec, spec)) return Done{};
    return bad("the table " + quoted(spec.name) + " is already declared in another way");
  }
  if (tables_.size() >= tables_max) {
    return Error{Errc::capacity, "there are " + std::to_string(tables_max) + " tables: no more can be declared"};
  }
  tables_[spec.name].spec = spec;
  return Done{};
}

Result<Done> TableSet::set(std::string_view name, std::string_view key, Row row, StoreTime now) {
  const auto table = open(name, key, now);
  if (!table) return table.error();
  return put(**table, key, std::move(row), now);
}

Result<Row> TableSet::get(std::string_view name, std::string_view key, StoreTime now) {
  const auto table = open(name, key, now);
  if (!table) return table.error();
  const auto found = (*table)->rows.find(key);
  if (found == (*table)->rows.end()) return no_row(name, key);
  return found->second.row;
}

Result<Done> TableSet::del(std::string_view name, std::string_view key, StoreTime now) {
  const auto table = open(name, key, now);
  if (!table) return table.error();
  const auto found = (*table)->rows.find(key);
  if (found == (*table)->rows.end()) return no_row(name, key);
  erase(**table, found);
  return Done{};
}

Result<std::int64_t> TableSet::incr(std::string_view name, std::string_view key, std::string_view column_name,
                                    std::int64_t by, StoreTime now) {
  const auto opened = open(name, key, now);
  if (!opened) return opened.error();
  Table& table = **opened;
  const Column* column = find_column(table, column_name);
  if (column == nullptr) return no_column(name, column_name);
  if (column->type != Column::Type::integer) return bad("the column " + quoted(column_name) + " is not an integer");

  const auto found = table.rows.find(key);
  Row row = found == table.rows.end() ? Row{} : found->second.row;
  auto& cell = row.try_emplace(column->name, std::int64_t{0}).first->second;
  const auto value = sum(std::get<std::int64_t>(cell), by);
  if (!value) return overflow("the row");
  cell = *value;
  const Result<Done> done = put(table, key, std::move(row), now);
  if (!done) return done.error();
  return *value;
}

Result<Done> TableSet::compare_and_set(std::string_view name, std::string_view key, std::string_view column_name,
                                       const Value& expected, Row row, StoreTime now) {
  const auto opened = open(name, key, now);
  if (!opened) return opened.error();
  Table& table = **opened;
  const Column* column = find_column(table, column_name);
  if (column == nullptr) return no_column(name, column_name);
  if (auto error = check_value(*column, expected)) return *std::move(error);
  const auto found = table.rows.find(key);
  if (found == table.rows.end()) return no_row(name, key);
  if (found->second.row.at(column->name) != expected) {
    return Error{Errc::conflict, "the column " + quoted(column_name) + " holds another value now"};
  }
  return put(table, key, std::move(row), now);
}

Result<std::uint64_t> TableSet::count(std::string_view name, StoreTime now) {
  const auto table = open(name, now);
  if (!table) return table.error();
  return std::uint64_t{(*table)->rows.size()};
}

Result<RowPage> TableSet::page(std::string_view name, std::string_view cursor, std::uint32_t count, StoreTime now) {
  const auto table = open(name, now);
  if (!table) return table.error();
  const Rows& rows = (*table)->rows;
  // A cursor is ">" and the last key seen: it stays good whatever comes and goes in between.
  if (cursor != "0" && !cursor.starts_with('>')) return bad("the cursor does not come from a page: begin with \"0\"");
  auto row = cursor == "0" ? rows.begin() : rows.upper_bound(cursor.substr(1));
  RowPage page;
  const std::size_t page_max = std::max<std::size_t>(count, 1);
  for (; row != rows.end() && page.rows.size() < page_max; ++row) page.rows.emplace_back(row->first, row->second.row);
  page.cursor = row == rows.end() ? "0" : '>' + page.rows.back().first;
  return page;
}

Result<std::int64_t> TableSet::counter_add(std::string_view name, std::int64_t by) {
  const Result<std::int64_t> now = counter_get(name);
  if (!now) return now.error();
  const auto value = sum(*now, by);
  if (!value) return overflow("the counter");
  return counter_put(name, *value);
}

Result<std::int64_t> TableSet::counter_get(std::string_view name) const {
  if (auto error = check_key("a counter name", name)) return *std::move(error);
  const auto found = counters_.find(name);
  return found == counters_.end() ? std::int64_t{0} : found->second;
}

Result<std::int64_t> TableSet::counter_add_bounded(std::string_view name, std::int64_t by, std::int64_t max) {
  const Result<std::int64_t> now = counter_get(name);
  if (!now) return now.error();
  const auto value = sum(*now, by);
  if (!value && by < 0) return overflow("the counter");
  if (!value || *value > max) {
    return Error{Errc::capacity, "the counter " + quoted(name) + " stands at " + std::to_string(*now) + ": " +
                                     std::to_string(by) + " more would pass its bound of " + std::to_string(max)};
  }
  return counter_put(name, *value);
}

const Column* TableSet::find_column(const Table& table, std::string_view name) {
  const auto& columns = table.spec.columns;
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const Column& c) { return c.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

Result<Row> TableSet::complete(const Table& table, Row row) {
  for (const auto& [name, value] : row) {
    const Column* column = find_column(table, name);
    if (column == nullptr) return no_column(table.spec.name, name);
    if (auto error = check_value(*column, value)) return *std::move(error);
  }
  for (const Column& column : table.spec.columns) row.try_emplace(column.name, default_of(column.type));
  return row;
}

Result<Done> TableSet::put(Table& table, std::string_view key, Row row, StoreTime now) {
  Result<Row> completed = complete(table, std::move(row));
  if (!completed) return completed.error();
  auto found = table.rows.find(key);
  if (found == table.rows.end()) {
    if (table.rows.size() >= rows_max(table)) {
      return Error{Errc::capacity, "the table " + quoted(table.spec.name) + " is full (" +
                                       std::to_string(rows_max(table)) + " rows): declare it with a larger rows_max"};
    }
    found = table.rows.emplace(key, Entry{}).first;
  } else if (table.spec.ttl) {
    table.expiries.erase(found->second.expiry);
  }
  found->second.row = *std::move(completed);
  if (table.spec.ttl) found->second.expiry = table.expiries.emplace(now + *table.spec.ttl, found);
  return Done{};
}

Result<TableSet::Table*> TableSet::open(std::string_view name, StoreTime now) {
  const auto found = tables_.find(name);
  if (found == tables_.end()) return bad("no table " + quoted(name) + " is declared");
  Table& table = found->second;
  while (!table.expiries.empty() && table.expiries.begin()->first <= now) erase(table, table.expiries.begin()->second);
  return &table;
}

Result<TableSet::Table*> TableSet::open(std::string_view name, std::string_view key, StoreTime now) {
  if (auto error = check_key("a key", key)) return *std::move(error);
  return open(name, now);
}

void TableSet::erase(Table& table, Rows::iterator row) {
  if (table.spec.ttl) table.expiries.erase(row->second.expiry);
  table.rows.erase(row);
}

std::uint64_t TableSet::rows_max(const Table& table) const {
  return table.spec.rows_max == 0 ? rows_max_default_ : table.spec.rows_max;
}

Result<std::int64_t> TableSet::counter_put(std::string_view name, std::int64_t value) {
  const auto found = counters_.find(name);
  if (found != counters_.end()) {
    found->second = value;
    return value;
  }
  if (counters_.size() >= counters_max_) {
    return Error{Errc::capacity, "there are " + std::to_string(counters_max_) +
                                     " counters: raise counters_max of the memory backend or use fewer names"};
  }
  counters_.emplace(name, value);
  return value;
}

}  // namespace wsr::memory
