// Lines of the log: one event is one line whatever stands in it, a secret never does, and repeats are counted.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/log_line.hpp"
#include "cli/log_repeats.hpp"

namespace wsr::cli {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::string_view server = "web-1~k3f9";

LogEvent origin(const std::string& who) {
  return {LogLevel::warning, "origin_refused", "pages of " + who + " may not connect here", {{"origin", who}}};
}

json as_json(const LogEvent& event) { return json::parse("{" + json_members(server, event) + "}"); }

LogRepeats::Clock::time_point at(std::chrono::milliseconds time) { return LogRepeats::Clock::time_point{} + time; }

}  // namespace

TEST_CASE("a line of text names server, event, sentence and fields") {
  CHECK(text_line(server, {LogLevel::error, "store_lost", "the store is lost", {{"connection", "commands"}}}) ==
        R"(web-1~k3f9 store_lost "the store is lost" connection=commands)");
}

TEST_CASE("a line of JSON is one object with the same members") {
  const json line = as_json({LogLevel::error, "store_lost", "the store is lost", {{"connection", "commands"}}});
  CHECK(line["server"] == server);
  CHECK(line["event"] == "store_lost");
  CHECK(line["message"] == "the store is lost");
  CHECK(line["connection"] == "commands");
}

TEST_CASE("what others have sent cannot begin a line, end a quotation or move a cursor") {
  const std::string hostile[] = {
      "http://a\n2026-01-01T00:00:00.000Z error web-1 store_lost \"forged\"",
      "a\r\nb",
      "\x1b[2J\x1b[1;1H",
      "a\" level=error b=\"",
      "back\\slash",
      std::string("nul\0nul", 7),
      "\x7f\x9b",
      "right \u202e to left",
      "line\u2028separator",
      "zero\u200bwidth",
      "half \xed\xa0\x80 a pair",
      "over\xc0\xaflong",
      "cut \xe2\x82",
  };
  for (const std::string& who : hostile) {
    const std::string line = text_line(server, origin(who));
    INFO(line);
    for (const char c : line) {
      CHECK(static_cast<unsigned char>(c) >= 0x20);
      CHECK(c != 0x7f);
    }
    CHECK(line.find("\u202e") == std::string::npos);
    CHECK(line.find("\u2028") == std::string::npos);
    CHECK(line.find("\u200b") == std::string::npos);
    // Still one event with one field: every quotation mark of a value is escaped.
    std::size_t marks = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '\\')
        ++i;
      else if (line[i] == '"')
        ++marks;
    }
    CHECK(marks % 2 == 0);
    const std::string members = json_members(server, origin(who));
    CHECK(members.find_first_of(std::string_view("\n\r\x1b\0", 4)) == std::string::npos);
    CHECK(as_json(origin(who)).size() == 4);
  }
}

TEST_CASE("letters of other scripts stay what they are in text") {
  CHECK(text_line(server, {LogLevel::info, "x", "Grüße, 世界 \U0001F600", {}}) ==
        "web-1~k3f9 x \"Grüße, 世界 \U0001F600\"");
}

TEST_CASE("a value is cut at its bound, and not amid a character") {
  const std::string line =
      text_line(server, origin(std::string(value_bytes_max - 1, 'a') + "世界" + std::string(5'000, 'b')));
  CHECK(line.size() < 3 * value_bytes_max);
  CHECK(line.find("\\x") == std::string::npos);
  CHECK(line.find("...") != std::string::npos);
}

TEST_CASE("no secret stands in a line, wherever it came from") {
  const std::vector<std::string> secrets{"hunter2-hunter2", "", "abc"};
  CHECK(without_secrets("ERR unknown command AUTH with args hunter2-hunter2 hunter2-hunter2", secrets) ==
        "ERR unknown command AUTH with args *** ***");
  CHECK(without_secrets("abcdef", secrets) == "abcdef");
  CHECK(without_secrets("nothing here", {}) == "nothing here");
}

TEST_CASE("the first few of a kind are written, and the rest is counted when the window is over") {
  LogRepeats repeats;
  std::uint32_t written = 0;
  for (int i = 0; i < 100; ++i) written += repeats.is_due(origin("http://a"), at(10ms * i)) ? 1 : 0;
  CHECK(written == LogRepeats::burst);
  CHECK(repeats.take_over(at(2s)).empty());
  const auto lines = repeats.take_over(at(LogRepeats::window));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].name == "origin_refused");
  CHECK(lines[0].level == LogLevel::warning);
  CHECK(lines[0].text.starts_with("repeated 95 times in the last 10 s: "));
  CHECK(repeats.take_over(at(LogRepeats::window * 3)).empty());
  CHECK(repeats.is_due(origin("http://a"), at(LogRepeats::window * 3)));
}

TEST_CASE("what happens once in a while is always written") {
  LogRepeats repeats;
  for (int i = 0; i < 50; ++i) CHECK(repeats.is_due(origin("http://a"), at(3s * i)));
}

TEST_CASE("another subject is another kind, and kinds are bounded") {
  LogRepeats repeats;
  for (int i = 0; i < 10; ++i) {
    CHECK(repeats.is_due({LogLevel::warning, "peer_died", "x", {}, std::to_string(i)}, at(0s)));
  }
  std::uint32_t written = 0;
  for (int i = 0; i < 10'000; ++i) {
    written += repeats.is_due({LogLevel::warning, "peer_died", "x", {}, "n" + std::to_string(i)}, at(0s)) ? 1 : 0;
  }
  CHECK(written <= LogRepeats::kinds_max + LogRepeats::burst);
  CHECK(repeats.take_all(at(1s)).size() == 1);
}

}  // namespace wsr::cli
