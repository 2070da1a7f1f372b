#include "core/redis/tables.hpp"

#include <algorithm>
#include <utility>

#include "core/redis/table_rules.hpp"

namespace wsr::redis {
namespace {

std::string quoted(std::string_view text) { return '"' + std::string{text} + '"'; }
Error bad(std::string message) { return {Errc::bad_request, std::move(message)}; }
Error failure(const Reply& reply) { return {reply.result(), "the store refused: " + std::string{reply.error()}}; }
Error no_row(std::string_view table, std::string_view key) {
  return {Errc::not_found, "the table " + quoted(table) + " has no row " + quoted(key)};
}
Error full(const TableSpec& spec) {
  return {Errc::capacity, "the table " + quoted(spec.name) + " is full (" + text_of(spec.rows_max) +
                              " rows): declare it with a larger rows_max"};
}
Error foreign(const TableSpec& spec) {
  return {Errc::internal, "the table " + quoted(spec.name) + " holds values in the store that wsr has not written"};
}

/// `at`: where the values begin in the reply.
std::optional<Row> read_row(const TableSpec& spec, const Reply& reply, std::size_t at) {
  Row row;
  for (std::size_t i = 0; i < spec.columns.size(); ++i) {
    auto value = parse_value(spec.columns[i].type, reply[at + i].text());
    if (!value) return std::nullopt;
    row.emplace(spec.columns[i].name, std::move(*value));
  }
  return row;
}

}  // namespace

template <class T>
void Tables::refuse(wsr::Reply<T> reply, Error error) {
  connection_.later([reply = std::move(reply), error = std::move(error)] { reply(error); });
}

Result<const TableSpec*> Tables::find(std::string_view name) const {
  const auto found = tables_.find(name);
  if (found == tables_.end()) return bad("no table " + quoted(name) + " is declared");
  return &found->second.spec;
}

Result<const TableSpec*> Tables::find(std::string_view name, std::string_view key) const {
  if (auto error = check_key("a key", key)) return *std::move(error);
  return find(name);
}

void Tables::call(const Script& script, const TableSpec& spec, const std::vector<std::string>& args,
                  Callback callback) {
  const std::string rows = keys_.table(spec.name, "rows"), index = keys_.table(spec.name, "idx"),
                    expiries = keys_.table(spec.name, "exp");
  const std::string ttl = text_of(spec.ttl ? std::int64_t{spec.ttl->count()} : std::int64_t{0});
  const std::string rows_max = text_of(spec.rows_max), columns = text_of(std::uint64_t{spec.columns.size()});
  const std::vector<std::string_view> keys{rows, index, expiries};
  std::vector<std::string_view> all{ttl, rows_max, columns};
  for (const Column& column : spec.columns) all.push_back(column.name);
  all.insert(all.end(), args.begin(), args.end());
  connection_.eval(script, keys, all, std::move(callback));
}

void Tables::declare(const TableSpec& spec, wsr::Reply<Done> reply) {
  if (auto error = check_spec(spec)) return refuse(std::move(reply), *std::move(error));
  const auto different = [](const std::string& name) {
    return bad("the table " + quoted(name) + " is already declared in another way");
  };
  const auto found = tables_.find(spec.name);
  if (found != tables_.end() && !is_same(found->second.spec, spec)) {
    return refuse(std::move(reply), different(spec.name));
  }
  if (found == tables_.end() && tables_.size() >= tables_max) {
    return refuse(std::move(reply), Error{Errc::capacity, "there are " + std::to_string(tables_max) +
                                                              " tables: no more can be declared"});
  }
  tables_.try_emplace(spec.name, Table{spec, false});
  connection_.eval(scripts::table_declare, {keys_.table(spec.name, "spec")}, {text_of(spec)},
                   [this, name = spec.name, different, reply = std::move(reply)](const Reply& answer) {
                     const auto table = tables_.find(name);
                     const bool is_refused = answer.result() == Errc::ok && answer.integer() != 1;
                     if (answer.result() == Errc::ok && !is_refused) {
                       if (table != tables_.end()) table->second.is_confirmed = true;
                       return reply(Done{});
                     }
                     // Not known to stand: the application declares it again.
                     if (table != tables_.end() && !table->second.is_confirmed) tables_.erase(table);
                     reply(is_refused ? different(name) : failure(answer));
                   });
}

void Tables::set(std::string_view name, std::string_view key, Row row, wsr::Reply<Done> reply) {
  const auto spec = find(name, key);
  if (!spec) return refuse(std::move(reply), spec.error());
  const auto values = complete(**spec, row);
  if (!values) return refuse(std::move(reply), values.error());
  std::vector<std::string> args{std::string{key}};
  args.insert(args.end(), values->begin(), values->end());
  call(scripts::table_set, **spec, args, [error = full(**spec), reply = std::move(reply)](const Reply& answer) {
    if (answer.result() != Errc::ok) return reply(failure(answer));
    if (answer.integer() != 1) return reply(error);
    reply(Done{});
  });
}

void Tables::get(std::string_view name, std::string_view key, wsr::Reply<Row> reply) {
  const auto spec = find(name, key);
  if (!spec) return refuse(std::move(reply), spec.error());
  call(scripts::table_get, **spec, {std::string{key}},
       [spec = **spec, key = std::string{key}, reply = std::move(reply)](const Reply& answer) {
         if (answer.result() != Errc::ok) return reply(failure(answer));
         if (answer.is_nil()) return reply(no_row(spec.name, key));
         auto row = read_row(spec, answer, 0);
         if (!row) return reply(foreign(spec));
         reply(std::move(*row));
       });
}

void Tables::del(std::string_view name, std::string_view key, wsr::Reply<Done> reply) {
  const auto spec = find(name, key);
  if (!spec) return refuse(std::move(reply), spec.error());
  call(scripts::table_del, **spec, {std::string{key}},
       [error = no_row(name, key), reply = std::move(reply)](const Reply& answer) {
         if (answer.result() != Errc::ok) return reply(failure(answer));
         if (answer.integer() != 1) return reply(error);
         reply(Done{});
       });
}

void Tables::incr(std::string_view name, std::string_view key, std::string_view column_name, std::int64_t by,
                  wsr::Reply<std::int64_t> reply) {
  const auto spec = find(name, key);
  if (!spec) return refuse(std::move(reply), spec.error());
  const auto column = find_column(**spec, column_name);
  if (!column) return refuse(std::move(reply), column.error());
  if ((*column)->type != Column::Type::integer) {
    return refuse(std::move(reply), bad("the column " + quoted(column_name) + " is not an integer"));
  }
  std::vector<std::string> args{std::string{key}, std::string{column_name}, text_of(by)};
  const auto defaults = complete(**spec, {});
  args.insert(args.end(), defaults->begin(), defaults->end());
  call(scripts::table_incr, **spec, args, [spec = **spec, reply = std::move(reply)](const Reply& answer) {
    if (answer.result() != Errc::ok) return reply(failure(answer));
    const auto word = answer[0].text();
    if (word == "full") return reply(full(spec));
    if (word == "overflow") return reply(bad("the sum leaves 64 bits: the row is unchanged"));
    reply(answer[1].integer());
  });
}

void Tables::compare_and_set(std::string_view name, std::string_view key, std::string_view column_name,
                             const Value& expected, Row row, wsr::Reply<Done> reply) {
  const auto spec = find(name, key);
  if (!spec) return refuse(std::move(reply), spec.error());
  const auto column = find_column(**spec, column_name);
  if (!column) return refuse(std::move(reply), column.error());
  if (auto error = check_value(**column, expected)) return refuse(std::move(reply), *std::move(error));
  const auto values = complete(**spec, row);
  if (!values) return refuse(std::move(reply), values.error());
  std::vector<std::string> args{std::string{key}, std::string{column_name}, text_of(expected)};
  args.insert(args.end(), values->begin(), values->end());
  call(scripts::table_compare_and_set, **spec, args,
       [missing = no_row(name, key),
        conflict = Error{Errc::conflict, "the column " + quoted(column_name) + " holds another value now"},
        reply = std::move(reply)](const Reply& answer) {
         if (answer.result() != Errc::ok) return reply(failure(answer));
         if (answer.text() == "missing") return reply(missing);
         if (answer.text() == "conflict") return reply(conflict);
         reply(Done{});
       });
}

void Tables::count(std::string_view name, wsr::Reply<std::uint64_t> reply) {
  const auto spec = find(name);
  if (!spec) return refuse(std::move(reply), spec.error());
  call(scripts::table_count, **spec, {}, [reply = std::move(reply)](const Reply& answer) {
    if (answer.result() != Errc::ok) return reply(failure(answer));
    reply(static_cast<std::uint64_t>(answer.integer()));
  });
}

void Tables::page(std::string_view name, std::string_view cursor, std::uint32_t count, wsr::Reply<RowPage> reply) {
  const auto spec = find(name);
  if (!spec) return refuse(std::move(reply), spec.error());
  // A cursor is ">" and the last key seen: it stays good whatever comes and goes in between.
  if (cursor != "0" && !cursor.starts_with('>')) {
    return refuse(std::move(reply), bad("the cursor does not come from a page: begin with \"0\""));
  }
  std::string from = "-";
  if (cursor != "0") from = '(' + std::string{cursor.substr(1)};
  const std::uint64_t rows = std::clamp<std::uint32_t>(count, 1, page_rows_max);
  call(scripts::table_page, **spec, {from, text_of(rows)},
       [spec = **spec, reply = std::move(reply)](const Reply& answer) {
         if (answer.result() != Errc::ok) return reply(failure(answer));
         RowPage page;
         page.cursor = answer[0].is_nil() ? "0" : '>' + std::string{answer[0].text()};
         for (std::size_t i = 1; i < answer.size(); i += 1 + spec.columns.size()) {
           auto row = read_row(spec, answer, i + 1);
           if (!row) return reply(foreign(spec));
           page.rows.emplace_back(answer[i].text(), std::move(*row));
         }
         reply(std::move(page));
       });
}

// ---------------------------------------------------------------- counters

void Tables::counter_add(std::string_view name, std::int64_t by, wsr::Reply<std::int64_t> reply) {
  if (auto error = check_key("a counter name", name)) return refuse(std::move(reply), *std::move(error));
  connection_.send({"INCRBY", keys_.counter(name), text_of(by)}, [reply = std::move(reply)](const Reply& answer) {
    if (answer.is_error("ERR increment")) return reply(bad("the sum leaves 64 bits: the counter is unchanged"));
    if (answer.result() != Errc::ok) return reply(failure(answer));
    reply(answer.integer());
  });
}

void Tables::counter_get(std::string_view name, wsr::Reply<std::int64_t> reply) {
  if (auto error = check_key("a counter name", name)) return refuse(std::move(reply), *std::move(error));
  connection_.send({"GET", keys_.counter(name)}, [reply = std::move(reply)](const Reply& answer) {
    if (answer.result() != Errc::ok) return reply(failure(answer));
    reply(answer.integer());
  });
}

void Tables::counter_add_bounded(std::string_view name, std::int64_t by, std::int64_t max,
                                 wsr::Reply<std::int64_t> reply) {
  if (auto error = check_key("a counter name", name)) return refuse(std::move(reply), *std::move(error));
  connection_.eval(scripts::counter_add_bounded, {keys_.counter(name)}, {text_of(by), text_of(max)},
                   [name = std::string{name}, by, max, reply = std::move(reply)](const Reply& answer) {
                     if (answer.result() != Errc::ok) return reply(failure(answer));
                     const auto word = answer[0].text();
                     if (word == "overflow") return reply(bad("the sum leaves 64 bits: the counter is unchanged"));
                     if (word == "capacity") {
                       return reply(Error{Errc::capacity, "the counter " + quoted(name) + " stands at " +
                                                              std::string{answer[1].text()} + ": " + text_of(by) +
                                                              " more would pass its bound of " + text_of(max)});
                     }
                     reply(answer[1].integer());
                   });
}

}  // namespace wsr::redis
