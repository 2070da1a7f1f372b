// Tables: the application's own shared state: named tables with typed columns, and counters.
//
// A table is declared once, with its columns and its mode, by every server that uses it (the same
// declaration twice is fine, a different one is refused). Rows are set whole: columns that are not given take their
// default. Answers come later, through a callback that the driver runs on the caller's thread: never inline.
//
// Thread-safety: none; calls and answers on the backend's thread.
// Errors:        bad_request (unknown table or column, wrong type, too wide), capacity (rows_max reached: the error
//                names the number), not_found, conflict (compare-and-set lost), unavailable, timeout.
// Bounds:        table and column names 1-64 of [A-Za-z0-9_.-]; keys 1-256 bytes; rows_max rows (memory: hard;
//                Redis: hard when set, 0 = no bound); text columns at most `bytes_max` bytes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/errc.hpp"

namespace wsr {

using Value = std::variant<std::int64_t, double, std::string>;
using Row = std::map<std::string, Value>;

struct Column {
  enum class Type : std::uint8_t { integer, real, text } type = Type::text;
  std::string name;
  std::uint32_t bytes_max = 0;  // text only; above it a row is refused, never cut
  auto operator<=>(const Column&) const = default;
};

struct TableSpec {
  std::string name;
  std::vector<Column> columns;
  std::uint64_t rows_max = 0;                    // 0: no bound (memory: 16 384)
  std::optional<std::chrono::milliseconds> ttl;  // rows disappear this long after they were last set
};

struct RowPage {
  std::vector<std::pair<std::string, Row>> rows;  // key, row
  std::string cursor;  // "0" after the last page; a row that stays put while paging is seen at least once
};

template <class T>
using Reply = std::function<void(Result<T>)>;
struct Done {};

class Tables {
public:
  virtual ~Tables() = default;
  virtual void declare(const TableSpec& spec, Reply<Done> reply) = 0;
  virtual void set(std::string_view table, std::string_view key, Row row, Reply<Done> reply) = 0;
  virtual void get(std::string_view table, std::string_view key, Reply<Row> reply) = 0;   // not_found
  virtual void del(std::string_view table, std::string_view key, Reply<Done> reply) = 0;  // not_found
  /// Adds to an integer column of an existing or new row; the new value.
  virtual void incr(std::string_view table, std::string_view key, std::string_view column, std::int64_t by,
                    Reply<std::int64_t> reply) = 0;
  /// Sets the row if `column` holds `expected` now; conflict otherwise (not_found if there is no row).
  virtual void compare_and_set(std::string_view table, std::string_view key, std::string_view column,
                               const Value& expected, Row row, Reply<Done> reply) = 0;
  virtual void count(std::string_view table, Reply<std::uint64_t> reply) = 0;
  virtual void page(std::string_view table, std::string_view cursor, std::uint32_t count, Reply<RowPage> reply) = 0;

  // Counters: a namespace of their own, 64 bits, created at 0.
  virtual void counter_add(std::string_view name, std::int64_t by, Reply<std::int64_t> reply) = 0;
  virtual void counter_get(std::string_view name, Reply<std::int64_t> reply) = 0;
  /// Adds only if the result stays <= max; capacity otherwise, with the counter unchanged.
  virtual void counter_add_bounded(std::string_view name, std::int64_t by, std::int64_t max,
                                   Reply<std::int64_t> reply) = 0;
};

}  // namespace wsr
