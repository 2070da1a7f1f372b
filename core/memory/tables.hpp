// TableSet: the application's tables and counters as plain state; backend.cpp turns it into the Tables port.
//
// Rows of a table with a ttl stand in a second index by the moment at which they expire, so what has expired is removed
// in passing, without scanning. set, incr and compare_and_set all begin a row's ttl anew.
//
// Thread-safety: none.
// Bounds:        rows of a table: its rows_max, or the store's; counters_max counters; tables_max tables.
// Cost:          O(log rows) a call, plus the rows that have expired since the last one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "core/base/time.hpp"
#include "core/store/tables.hpp"

namespace wsr::memory {

class TableSet {
public:
  static constexpr std::size_t tables_max = 1'024;  // tables are declared by code, not by users: more is a mistake

  TableSet(std::uint64_t rows_max_default, std::uint64_t counters_max)
      : rows_max_default_(rows_max_default), counters_max_(counters_max) {}

  [[nodiscard]] Result<Done> declare(const TableSpec& spec);
  [[nodiscard]] Result<Done> set(std::string_view table, std::string_view key, Row row, StoreTime now);
  [[nodiscard]] Result<Row> get(std::string_view table, std::string_view key, StoreTime now);
  [[nodiscard]] Result<Done> del(std::string_view table, std::string_view key, StoreTime now);
  [[nodiscard]] Result<std::int64_t> incr(std::string_view table, std::string_view key, std::string_view column,
                                          std::int64_t by, StoreTime now);
  [[nodiscard]] Result<Done> compare_and_set(std::string_view table, std::string_view key, std::string_view column,
                                             const Value& expected, Row row, StoreTime now);
  [[nodiscard]] Result<std::uint64_t> count(std::string_view table, StoreTime now);
  [[nodiscard]] Result<RowPage> page(std::string_view table, std::string_view cursor, std::uint32_t count,
                                     StoreTime now);

  [[nodiscard]] Result<std::int64_t> counter_add(std::string_view name, std::int64_t by);
  [[nodiscard]] Result<std::int64_t> counter_get(std::string_view name) const;
  [[nodiscard]] Result<std::int64_t> counter_add_bounded(std::string_view name, std::int64_t by, std::int64_t max);

private:
  struct Entry;
  using Rows = std::map<std::string, Entry, std::less<>>;
  using Expiries = std::multimap<StoreTime, Rows::iterator>;
  struct Entry {
    Row row;
    Expiries::iterator expiry;  // only meaningful in a table with a ttl
  };
  struct Table {
    TableSpec spec;
    Rows rows;
    Expiries expiries;  // one for each row, if the table has a ttl
  };

  [[nodiscard]] static const Column* find_column(const Table& table, std::string_view name);
  /// Checks types, widths and names of `row` and adds the defaults of what it leaves out.
  [[nodiscard]] static Result<Row> complete(const Table& table, Row row);
  [[nodiscard]] Result<Done> put(Table& table, std::string_view key, Row row, StoreTime now);
  /// The table, without what has expired.
  [[nodiscard]] Result<Table*> open(std::string_view name, StoreTime now);
  /// The same for a call that names a key.
  [[nodiscard]] Result<Table*> open(std::string_view name, std::string_view key, StoreTime now);
  static void erase(Table& table, Rows::iterator row);
  [[nodiscard]] std::uint64_t rows_max(const Table& table) const;
  [[nodiscard]] Result<std::int64_t> counter_put(std::string_view name, std::int64_t value);

  std::uint64_t rows_max_default_;
  std::uint64_t counters_max_;
  std::map<std::string, Table, std::less<>> tables_;
  std::map<std::string, std::int64_t, std::less<>> counters_;
};

}  // namespace wsr::memory
