#include "core/net/query.hpp"

#include <catch2/catch.hpp>

using namespace wsr::net;

TEST_CASE("percent-encoding is decoded, and what is malformed is refused") {
  CHECK(query_decoded("ada") == "ada");
  CHECK(query_decoded("a%20b+c") == "a b c");
  CHECK(query_decoded("%C3%A9%2b") == "\xC3\xA9+");
  CHECK(query_decoded("%00") == std::string(1, '\0'));
  CHECK_FALSE(query_decoded("%"));
  CHECK_FALSE(query_decoded("%4"));
  CHECK_FALSE(query_decoded("%4g"));
  CHECK_FALSE(query_decoded("a%-1"));
}

TEST_CASE("a target splits at the first question mark and ends at the fragment") {
  CHECK(split_target("/chat?user=a?b").path == "/chat");
  CHECK(split_target("/chat?user=a?b").query == "user=a?b");
  CHECK(split_target("/chat").query.empty());
  CHECK(split_target("/chat?x=1#y").query == "x=1");
}

TEST_CASE("the first value of a name counts - absent, empty and malformed are told apart") {
  using State = QueryValue::State;
  CHECK(query_value("a=1&user=ada&user=bob", "user").value == "ada");
  CHECK(query_value("us%65r=ada", "user").value == "ada");
  CHECK(query_value("a=1", "user").state == State::absent);
  CHECK(query_value("", "user").state == State::absent);
  CHECK(query_value("user=", "user").state == State::found);
  CHECK(query_value("user", "user").state == State::found);
  CHECK(query_value("user=%zz", "user").state == State::malformed);
  CHECK(query_value("x=%zz&user=ada", "user").value == "ada");
  CHECK(query_value("user=a=b", "user").value == "a=b");
}
