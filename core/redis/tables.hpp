// redis::Tables: the application's tables and counters, one script an operation.
//
// A table is one hash of cells (column:key), one sorted set of keys in byte order, and with a ttl a second one by
// expiry, all in one slot: count and page never scan the keyspace, and what has expired is removed in passing.
// set, incr and compare_and_set begin a row's ttl anew.
//
// A table must be declared on this server; the declaration that came first stands in Redis, and a different one is
// refused. Until the store has answered, calls go by what was declared here.
//
// Thread-safety: none.
// Bounds:        rows_max rows, hard when it is set; tables_max tables; pages of page_rows_max rows.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/redis/connection.hpp"
#include "core/redis/keys.hpp"
#include "core/store/tables.hpp"

namespace wsr::redis {

class Tables final : public wsr::Tables {
public:
  static constexpr std::size_t tables_max = 1'024;       // declared by code, not by users: more is a mistake
  static constexpr std::uint32_t page_rows_max = 1'000;  // what one script may read

  Tables(Connection& connection, const Keys& keys) : connection_(connection), keys_(keys) {}

  void declare(const TableSpec& spec, wsr::Reply<Done> reply) override;
  void set(std::string_view table, std::string_view key, Row row, wsr::Reply<Done> reply) override;
  void get(std::string_view table, std::string_view key, wsr::Reply<Row> reply) override;
  void del(std::string_view table, std::string_view key, wsr::Reply<Done> reply) override;
  void incr(std::string_view table, std::string_view key, std::string_view column, std::int64_t by,
            wsr::Reply<std::int64_t> reply) override;
  void compare_and_set(std::string_view table, std::string_view key, std::string_view column, const Value& expected,
                       Row row, wsr::Reply<Done> reply) override;
  void count(std::string_view table, wsr::Reply<std::uint64_t> reply) override;
  void page(std::string_view table, std::string_view cursor, std::uint32_t count, wsr::Reply<RowPage> reply) override;

  void counter_add(std::string_view name, std::int64_t by, wsr::Reply<std::int64_t> reply) override;
  void counter_get(std::string_view name, wsr::Reply<std::int64_t> reply) override;
  void counter_add_bounded(std::string_view name, std::int64_t by, std::int64_t max,
                           wsr::Reply<std::int64_t> reply) override;

private:
  struct Table {
    TableSpec spec;
    bool is_confirmed = false;  // the store has accepted this declaration
  };

  [[nodiscard]] Result<const TableSpec*> find(std::string_view name) const;
  [[nodiscard]] Result<const TableSpec*> find(std::string_view name, std::string_view key) const;
  void call(const Script& script, const TableSpec& spec, const std::vector<std::string>& args, Callback callback);
  template <class T>
  void refuse(wsr::Reply<T> reply, Error error);

  Connection& connection_;
  const Keys& keys_;
  std::map<std::string, Table, std::less<>> tables_;
};

}  // namespace wsr::redis
