#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "core/redis/resp.hpp"
#include "core/redis/script.hpp"

namespace wsr::redis {
namespace {

using namespace std::string_literals;

/// A reply as one line, to compare whole trees.
std::string shown(const Reply& reply) {
  if (reply.is_error()) return "error:" + std::string{reply.error()};
  if (reply.is_nil()) return "nil";
  if (!reply.is_array()) return reply.text().empty() ? text_of(reply.integer()) : std::string{reply.text()};
  std::string text = "[";
  for (std::size_t i = 0; i < reply.size(); ++i) text += (i == 0 ? "" : " ") + shown(reply[i]);
  return text + "]";
}

TEST_CASE("a command is encoded with its lengths so that any byte can stand in a word") {
  std::string out;
  const std::string_view words[] = {"SET", "k\r\n", std::string_view{"\0x", 2}};
  append_command(out, words);
  CHECK(out == "*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$2\r\n\0x\r\n"s);
}

TEST_CASE("replies are read the same wherever the bytes are split") {
  const std::string bytes =
      "+OK\r\n:-42\r\n$5\r\nhe\r\no\r\n$-1\r\n*-1\r\n-ERR no\r\n"
      "*3\r\n$7\r\nmessage\r\n*2\r\n:1\r\n$-1\r\n+x\r\n";
  const std::vector<std::string> expected = {
      "OK", "-42", "he\r\no", "nil", "nil", "error:ERR no", "[message [1 nil] x]"};
  for (std::size_t split = 0; split <= bytes.size(); ++split) {
    ReplyReader reader;
    std::vector<std::string> read;
    for (const std::string_view part :
         {std::string_view{bytes}.substr(0, split), std::string_view{bytes}.substr(split)}) {
      reader.feed(part);
      while (const OwnedReply reply = reader.next()) read.push_back(shown(Reply{reply.get()}));
    }
    INFO("split at " << split);
    CHECK(reader.error().empty());
    CHECK(read == expected);
  }
  ReplyReader reader;
  std::vector<std::string> read;
  for (const char byte : bytes) {
    reader.feed({&byte, 1});
    while (const OwnedReply reply = reader.next()) read.push_back(shown(Reply{reply.get()}));
  }
  CHECK(read == expected);
}

TEST_CASE("what is no RESP is a sentence") {
  ReplyReader reader;
  reader.feed("HTTP/1.1 400 Bad Request\r\n");
  CHECK_FALSE(reader.next());
  CHECK_FALSE(reader.error().empty());
}

TEST_CASE("an error reply says nothing about what the store holds, whatever its reason") {
  const auto result = [](std::string_view text) {
    ReplyReader reader;
    reader.feed("-" + std::string{text} + "\r\n");
    const OwnedReply reply = reader.next();
    return Reply{reply.get()}.result();
  };
  for (const char* error : {"OOM command not allowed", "NOPERM no", "MISCONF no", "READONLY no", "MASTERDOWN no",
                            "CLUSTERDOWN no", "BUSY no", "NOSCRIPT no", "MOVED 1 x", "NOREPLICAS no", "ERR anything"}) {
    INFO(error);
    CHECK(result(error) == Errc::unavailable);
  }
  CHECK(result("LOADING Redis is loading") == Errc::unavailable);
  CHECK(Reply{Errc::timeout}.result() == Errc::timeout);
}

TEST_CASE("each script has its own sha of 40 digits") {
  std::vector<std::string> seen;
  for (const Script* script : scripts::all()) {
    CHECK(script->sha.size() == 40);
    CHECK(std::find(seen.begin(), seen.end(), script->sha) == seen.end());
    seen.push_back(script->sha);
  }
  CHECK(Script{"return 1"}.sha == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");  // as SCRIPT LOAD answers
}

}  // namespace
}  // namespace wsr::redis
