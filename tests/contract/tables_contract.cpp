// Tables and counters, as every backend must keep them.
#include <limits>
#include <set>

#include "tests/contract/harness.hpp"

namespace wsr::contract {
namespace {

TableSpec people() {
  return {"people",
          {{Column::Type::integer, "age", 0}, {Column::Type::real, "score", 0}, {Column::Type::text, "city", 8}},
          0,
          std::nullopt};
}

Row row(std::int64_t age, double score, const std::string& city) {
  return {{"age", age}, {"score", score}, {"city", city}};
}

Errc code(const auto& result) { return result ? Errc::ok : result.error().code; }

Result<Done> declare(Harness& h, int n, const TableSpec& spec) {
  return h.ask_tables<Done>(n, [&](Tables& t, auto reply) { t.declare(spec, reply); });
}
Result<Done> set(Harness& h, int n, std::string_view table, std::string_view key, const Row& value) {
  return h.ask_tables<Done>(n, [&](Tables& t, auto reply) { t.set(table, key, value, reply); });
}
Result<Row> get(Harness& h, int n, std::string_view table, std::string_view key) {
  return h.ask_tables<Row>(n, [&](Tables& t, auto reply) { t.get(table, key, reply); });
}
Result<Done> del(Harness& h, int n, std::string_view table, std::string_view key) {
  return h.ask_tables<Done>(n, [&](Tables& t, auto reply) { t.del(table, key, reply); });
}
Result<std::int64_t> incr(Harness& h, int n, std::string_view table, std::string_view key, std::string_view column,
                          std::int64_t by) {
  return h.ask_tables<std::int64_t>(n, [&](Tables& t, auto reply) { t.incr(table, key, column, by, reply); });
}
Result<Done> compare_and_set(Harness& h, std::string_view key, std::string_view column, const Value& expected,
                             const Row& value) {
  return h.ask_tables<Done>(
      1, [&](Tables& t, auto reply) { t.compare_and_set("people", key, column, expected, value, reply); });
}
Result<std::uint64_t> count(Harness& h, int n, std::string_view table) {
  return h.ask_tables<std::uint64_t>(n, [&](Tables& t, auto reply) { t.count(table, reply); });
}
Result<RowPage> page(Harness& h, int n, std::string_view table, const std::string& cursor, std::uint32_t rows) {
  return h.ask_tables<RowPage>(n, [&](Tables& t, auto reply) { t.page(table, cursor, rows, reply); });
}
Result<std::int64_t> counter_add(Harness& h, int n, std::string_view name, std::int64_t by) {
  return h.ask_tables<std::int64_t>(n, [&](Tables& t, auto reply) { t.counter_add(name, by, reply); });
}
Result<std::int64_t> counter_get(Harness& h, int n, std::string_view name) {
  return h.ask_tables<std::int64_t>(n, [&](Tables& t, auto reply) { t.counter_get(name, reply); });
}
Result<std::int64_t> counter_add_bounded(Harness& h, std::string_view name, std::int64_t by, std::int64_t max) {
  return h.ask_tables<std::int64_t>(1, [&](Tables& t, auto reply) { t.counter_add_bounded(name, by, max, reply); });
}

void begin(Harness& h) {
  REQUIRE(code(declare(h, 1, people())) == Errc::ok);
  REQUIRE(code(declare(h, 2, people())) == Errc::ok);
}

constexpr std::int64_t int_max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t int_min = std::numeric_limits<std::int64_t>::min();

// ---------------------------------------------------------------- declarations

SENTENCE("the same declaration twice is fine and a different one is refused") {
  CONTRACT_HARNESS(h);
  begin(h);
  CHECK(code(declare(h, 1, people())) == Errc::ok);
  TableSpec wider = people();
  wider.columns[2].bytes_max = 9;
  TableSpec renamed = people();
  renamed.columns[0].name = "years";
  TableSpec bounded = people();
  bounded.rows_max = 10;
  TableSpec expiring = people();
  expiring.ttl = 1s;
  for (const int n : {1, 2, 3}) {
    CHECK(code(declare(h, n, wider)) == Errc::bad_request);
    CHECK(code(declare(h, n, renamed)) == Errc::bad_request);
    CHECK(code(declare(h, n, bounded)) == Errc::bad_request);
    CHECK(code(declare(h, n, expiring)) == Errc::bad_request);
  }
  CHECK(declare(h, 1, wider).error().message.find("people") != std::string::npos);
}

SENTENCE("a declaration with a bad name or twice the same column is refused") {
  CONTRACT_HARNESS(h);
  TableSpec spec = people();
  for (const std::string& name : {std::string{}, std::string{"a b"}, std::string(65, 'x'), std::string{"a\n"}}) {
    spec.name = name;
    CHECK(code(declare(h, 1, spec)) == Errc::bad_request);
  }
  spec = people();
  spec.columns[1].name = "no way";
  CHECK(code(declare(h, 1, spec)) == Errc::bad_request);
  spec = people();
  spec.columns[1].name = "age";
  CHECK(code(declare(h, 1, spec)) == Errc::bad_request);
}

SENTENCE("a table that was never declared is refused by name") {
  CONTRACT_HARNESS(h);
  CHECK(code(get(h, 1, "ghosts", "ada")) == Errc::bad_request);
  CHECK(code(count(h, 1, "ghosts")) == Errc::bad_request);
  CHECK(code(page(h, 1, "ghosts", "0", 10)) == Errc::bad_request);
  const auto refused = set(h, 1, "ghosts", "ada", {});
  CHECK(code(refused) == Errc::bad_request);
  CHECK(refused.error().message.find("ghosts") != std::string::npos);
}

// ---------------------------------------------------------------- rows

SENTENCE("a row set on one server is read on another") {
  CONTRACT_HARNESS(h);
  begin(h);
  const Row ada = row(int_min, 0.1, std::string("\0\xFF\r\n a", 6));
  REQUIRE(code(set(h, 1, "people", "ada \"1\"", ada)) == Errc::ok);
  const auto got = get(h, 2, "people", "ada \"1\"");
  REQUIRE(code(got) == Errc::ok);
  CHECK(*got == ada);
}

SENTENCE("reals come back as the very same number") {
  CONTRACT_HARNESS(h);
  begin(h);
  for (const double number : {0.1, 1.0 / 3, 1e300, 5e-324, -12345.678901234567, 2.0}) {
    REQUIRE(code(set(h, 1, "people", "ada", {{"score", number}})) == Errc::ok);
    CHECK(std::get<double>(get(h, 2, "people", "ada")->at("score")) == number);
  }
}

SENTENCE("a row is set whole so columns that are not given take their default") {
  CONTRACT_HARNESS(h);
  begin(h);
  REQUIRE(code(set(h, 1, "people", "ada", row(36, 9.5, "London"))) == Errc::ok);
  REQUIRE(code(set(h, 1, "people", "ada", {{"city", std::string{"Paris"}}})) == Errc::ok);
  CHECK(*get(h, 1, "people", "ada") == row(0, 0.0, "Paris"));
}

SENTENCE("a row that is not there is not found") {
  CONTRACT_HARNESS(h);
  begin(h);
  CHECK(code(get(h, 1, "people", "ada")) == Errc::not_found);
  CHECK(code(del(h, 1, "people", "ada")) == Errc::not_found);
}

SENTENCE("a deleted row is gone and no longer counted") {
  CONTRACT_HARNESS(h);
  begin(h);
  set(h, 1, "people", "ada", row(36, 0, ""));
  set(h, 1, "people", "bob", row(41, 0, ""));
  CHECK(*count(h, 2, "people") == 2);
  CHECK(code(del(h, 2, "people", "ada")) == Errc::ok);
  CHECK(code(get(h, 1, "people", "ada")) == Errc::not_found);
  CHECK(*count(h, 1, "people") == 1);
}

SENTENCE("a value of another type and a column that is not there are refused and change nothing") {
  CONTRACT_HARNESS(h);
  begin(h);
  set(h, 1, "people", "ada", row(36, 1.5, "Rome"));
  CHECK(code(set(h, 1, "people", "ada", {{"age", std::string{"36"}}})) == Errc::bad_request);
  CHECK(code(set(h, 1, "people", "ada", {{"age", 36.0}})) == Errc::bad_request);
  CHECK(code(set(h, 1, "people", "ada", {{"score", std::int64_t{1}}})) == Errc::bad_request);
  CHECK(code(set(h, 1, "people", "ada", {{"city", std::int64_t{1}}})) == Errc::bad_request);
  CHECK(code(set(h, 1, "people", "ada", {{"shoe", std::int64_t{43}}})) == Errc::bad_request);
  CHECK(code(set(h, 1, "people", "bob", {{"shoe", std::int64_t{43}}})) == Errc::bad_request);
  CHECK(*get(h, 1, "people", "ada") == row(36, 1.5, "Rome"));
  CHECK(*count(h, 1, "people") == 1);
}

SENTENCE("a text wider than its column is refused and never cut") {
  CONTRACT_HARNESS(h);
  begin(h);
  CHECK(code(set(h, 1, "people", "ada", {{"city", std::string{"12345678"}}})) == Errc::ok);
  const auto refused = set(h, 1, "people", "ada", {{"city", std::string{"123456789"}}});
  CHECK(code(refused) == Errc::bad_request);
  CHECK(refused.error().message.find('8') != std::string::npos);
  CHECK(std::get<std::string>(get(h, 1, "people", "ada")->at("city")) == "12345678");
}

SENTENCE("a key has 1 to 256 bytes") {
  CONTRACT_HARNESS(h);
  begin(h);
  CHECK(code(set(h, 1, "people", std::string(256, 'k'), {})) == Errc::ok);
  CHECK(code(get(h, 1, "people", std::string(256, 'k'))) == Errc::ok);
  CHECK(code(set(h, 1, "people", std::string(257, 'k'), {})) == Errc::bad_request);
  CHECK(code(set(h, 1, "people", "", {})) == Errc::bad_request);
}

SENTENCE("a full table refuses a new row by number and still takes changes") {
  CONTRACT_HARNESS(h);
  TableSpec spec = people();
  spec.rows_max = 3;
  REQUIRE(code(declare(h, 1, spec)) == Errc::ok);
  for (const char* key : {"a", "b", "c"}) REQUIRE(code(set(h, 1, "people", key, {})) == Errc::ok);
  const auto refused = set(h, 1, "people", "d", {});
  CHECK(code(refused) == Errc::capacity);
  CHECK(refused.error().message.find('3') != std::string::npos);
  CHECK(code(incr(h, 1, "people", "d", "age", 1)) == Errc::capacity);
  CHECK(*count(h, 1, "people") == 3);
  CHECK(code(set(h, 1, "people", "a", row(1, 0, ""))) == Errc::ok);
  CHECK(*incr(h, 1, "people", "b", "age", 1) == 1);
  REQUIRE(code(del(h, 1, "people", "c")) == Errc::ok);
  CHECK(code(set(h, 1, "people", "d", {})) == Errc::ok);
}

SENTENCE("incr adds to a row or begins a new one") {
  CONTRACT_HARNESS(h);
  begin(h);
  set(h, 1, "people", "ada", row(36, 1.5, "Rome"));
  CHECK(*incr(h, 1, "people", "ada", "age", 2) == 38);
  CHECK(*incr(h, 2, "people", "ada", "age", -40) == -2);
  CHECK(*get(h, 1, "people", "ada") == row(-2, 1.5, "Rome"));
  CHECK(*incr(h, 1, "people", "new", "age", 5) == 5);
  CHECK(*get(h, 2, "people", "new") == row(5, 0.0, ""));
}

SENTENCE("incr of a column that is no integer is refused") {
  CONTRACT_HARNESS(h);
  begin(h);
  CHECK(code(incr(h, 1, "people", "ada", "city", 1)) == Errc::bad_request);
  CHECK(code(incr(h, 1, "people", "ada", "score", 1)) == Errc::bad_request);
  CHECK(code(incr(h, 1, "people", "ada", "shoe", 1)) == Errc::bad_request);
  CHECK(*count(h, 1, "people") == 0);
}

SENTENCE("incr that leaves 64 bits is refused and changes nothing") {
  CONTRACT_HARNESS(h);
  begin(h);
  set(h, 1, "people", "ada", row(int_max, 0, ""));
  CHECK(code(incr(h, 1, "people", "ada", "age", 1)) == Errc::bad_request);
  CHECK(std::get<std::int64_t>(get(h, 1, "people", "ada")->at("age")) == int_max);
}

SENTENCE("compare and set wins only against the value that it expects") {
  CONTRACT_HARNESS(h);
  begin(h);
  CHECK(code(compare_and_set(h, "ada", "age", std::int64_t{0}, row(1, 0, ""))) == Errc::not_found);
  set(h, 1, "people", "ada", row(36, 0.5, "Rome"));
  CHECK(code(compare_and_set(h, "ada", "age", std::int64_t{35}, row(1, 0, ""))) == Errc::conflict);
  CHECK(*get(h, 1, "people", "ada") == row(36, 0.5, "Rome"));
  CHECK(code(compare_and_set(h, "ada", "age", std::int64_t{36}, row(37, 0.5, "Oslo"))) == Errc::ok);
  CHECK(*get(h, 2, "people", "ada") == row(37, 0.5, "Oslo"));
  CHECK(code(compare_and_set(h, "ada", "city", std::string{"Oslo"}, row(38, 0.5, "Bern"))) == Errc::ok);
  CHECK(code(compare_and_set(h, "ada", "score", 0.5, row(39, 0.25, "Bern"))) == Errc::ok);
  CHECK(code(compare_and_set(h, "ada", "age", std::string{"39"}, row(1, 0, ""))) == Errc::bad_request);
  CHECK(code(compare_and_set(h, "ada", "shoe", std::int64_t{1}, row(1, 0, ""))) == Errc::bad_request);
  CHECK(code(compare_and_set(h, "ada", "age", std::int64_t{39}, {{"city", std::string{"much too wide"}}})) ==
        Errc::bad_request);
  CHECK(*get(h, 2, "people", "ada") == row(39, 0.25, "Bern"));
}

SENTENCE("rows disappear their ttl after they were last set") {
  CONTRACT_HARNESS(h);
  TableSpec spec = people();
  spec.ttl = 400ms;
  REQUIRE(code(declare(h, 1, spec)) == Errc::ok);
  set(h, 1, "people", "once", row(1, 0, ""));
  set(h, 1, "people", "again", row(1, 0, ""));
  h.run_for(250ms);
  CHECK(*count(h, 1, "people") == 2);
  set(h, 1, "people", "again", row(2, 0, ""));
  h.run_for(250ms);
  CHECK(code(get(h, 1, "people", "once")) == Errc::not_found);
  CHECK(code(get(h, 1, "people", "again")) == Errc::ok);
  const auto left = page(h, 1, "people", "0", 100);
  REQUIRE(left->rows.size() == 1);
  CHECK(left->rows[0].first == "again");
  CHECK(*count(h, 1, "people") == 1);
  h.run_for(400ms);
  CHECK(*count(h, 1, "people") == 0);
}

SENTENCE("an expired row makes room in a full table") {
  CONTRACT_HARNESS(h);
  TableSpec spec = people();
  spec.ttl = 200ms;
  spec.rows_max = 1;
  REQUIRE(code(declare(h, 1, spec)) == Errc::ok);
  REQUIRE(code(set(h, 1, "people", "a", {})) == Errc::ok);
  h.run_for(300ms);
  CHECK(code(set(h, 1, "people", "b", {})) == Errc::ok);
  CHECK(*count(h, 1, "people") == 1);
}

SENTENCE("pages bring every row that stays also while others come and go") {
  CONTRACT_HARNESS(h);
  begin(h);
  const auto key = [](int i) { return "k" + std::to_string(i); };
  for (int i = 1; i <= 60; ++i) REQUIRE(code(set(h, 1, "people", key(i), row(i, 0, ""))) == Errc::ok);
  std::set<std::string> seen;
  std::string cursor = "0";
  int step = 0;
  do {
    const auto rows = page(h, 2, "people", cursor, 7);
    REQUIRE(code(rows) == Errc::ok);
    for (const auto& [name, value] : rows->rows) {
      seen.insert(name);
      CHECK(value.size() == 3);
    }
    cursor = rows->cursor;
    ++step;
    del(h, 1, "people", key(2 * step));
    set(h, 1, "people", key(100 + step), {});
    REQUIRE(step < 1'000);
  } while (cursor != "0");
  for (int i = 1; i <= 60; i += 2) CHECK(seen.contains(key(i)));
}

SENTENCE("an empty table is one empty page") {
  CONTRACT_HARNESS(h);
  begin(h);
  const auto rows = page(h, 1, "people", "0", 10);
  REQUIRE(code(rows) == Errc::ok);
  CHECK(rows->rows.empty());
  CHECK(rows->cursor == "0");
}

// ---------------------------------------------------------------- counters

SENTENCE("a counter begins at 0 and is one for all servers") {
  CONTRACT_HARNESS(h);
  CHECK(*counter_get(h, 1, "hits") == 0);
  CHECK(*counter_add(h, 1, "hits", 5) == 5);
  CHECK(*counter_add(h, 2, "hits", -7) == -2);
  CHECK(*counter_get(h, 1, "hits") == -2);
  CHECK(*counter_get(h, 1, "other") == 0);
}

SENTENCE("counters and tables do not share their names") {
  CONTRACT_HARNESS(h);
  begin(h);
  CHECK(*counter_add(h, 1, "people", 3) == 3);
  CHECK(*count(h, 1, "people") == 0);
}

SENTENCE("a counter that would leave 64 bits is refused and unchanged") {
  CONTRACT_HARNESS(h);
  REQUIRE(*counter_add(h, 1, "hits", int_max) == int_max);
  CHECK(code(counter_add(h, 1, "hits", 1)) == Errc::bad_request);
  CHECK(*counter_get(h, 1, "hits") == int_max);
}

SENTENCE("a bounded counter takes what fits and refuses the rest unchanged") {
  CONTRACT_HARNESS(h);
  CHECK(*counter_add_bounded(h, "seats", 2, 3) == 2);
  CHECK(*counter_add_bounded(h, "seats", 1, 3) == 3);
  const auto refused = counter_add_bounded(h, "seats", 1, 3);
  CHECK(code(refused) == Errc::capacity);
  CHECK_FALSE(refused.error().message.empty());
  CHECK(*counter_get(h, 1, "seats") == 3);
  CHECK(*counter_add_bounded(h, "seats", -1, 3) == 2);
}

SENTENCE("replies come in the order of the calls") {
  CONTRACT_HARNESS(h);
  std::vector<std::int64_t> replies;
  for (int i = 0; i < 50; ++i) {
    h.tables(1).counter_add("hits", 1, [&](Result<std::int64_t> value) { replies.push_back(value ? *value : -1); });
  }
  CHECK(replies.empty());
  h.server(1).end_turn();
  REQUIRE(h.wait_until([&] { return replies.size() == 50; }));
  for (std::size_t i = 0; i < 50; ++i) CHECK(replies[i] == static_cast<std::int64_t>(i) + 1);
}

}  // namespace
}  // namespace wsr::contract
