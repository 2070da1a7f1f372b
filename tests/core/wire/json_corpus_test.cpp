// What is JSON (y) and what is not (n), in the manner of JSON test suites: one line a case.
#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "core/wire/client_protocol.hpp"

using namespace wsr;
using namespace std::string_view_literals;

namespace {

constexpr std::string_view y[] = {
    // structure
    "[]"sv, "{}"sv, " [] "sv, "[[]]"sv, "[[],[[]]]"sv, "[{}]"sv, "{\"a\":[]}"sv, "[ ]"sv, "{ }"sv,
    "\t\r\n[\t\r\n]\t\r\n"sv, "[1,2]"sv, "[1 , 2]"sv, "[null,true,false]"sv, "{\"a\":1,\"b\":2}"sv,
    "{\"a\" : 1 , \"b\" : 2}"sv, "{\"\":0}"sv, "{\"a\":1,\"a\":1}"sv, "{\"a\":{\"b\":{\"c\":[{}]}}}"sv, "[1\n]"sv,
    "{\"a\\u0000b\":1}"sv, "[[[[]]],{\"x\":[{}]}]"sv,
    // scalars at the top
    "1"sv, "-1"sv, "\"\""sv, "true"sv, "false"sv, "null"sv, " null "sv, "\"text\""sv,
    // numbers
    "0"sv, "-0"sv, "10"sv, "123456789012345678901234567890"sv, "0.0"sv, "-0.5"sv, "1.25"sv, "1e1"sv, "1E1"sv, "1e+1"sv,
    "1e-1"sv, "1E+01"sv, "0e0"sv, "0e+1"sv, "-1.5e-10"sv, "1e999999"sv, "0.00000000000000000000000000000000000001"sv,
    // strings
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""sv, "\"\\u0000\""sv, "\"\\uABCD\\uabcd\""sv, "\"\\ud83d\\ude00\""sv,
    "\"\\ud800\""sv, "\"\\udc00\\ud800\""sv, "\"/\""sv, "\"\x7F\""sv, "\"\xC3\xA9\""sv, "\"\xF4\x8F\xBF\xBF\""sv,
    "\"\xE2\x80\xA8\""sv, "\"\xEF\xBB\xBF\""sv, "\"a/*b*/c//d\""sv, "\"\\\\\""sv, "\"\\\\\\\\\""sv,
    "[\"a\",\"b\\\\\"]"sv};

constexpr std::string_view n[] = {
    // nothing, or not all of it
    ""sv, " "sv, "["sv, "]"sv, "{"sv, "}"sv, "[["sv, "[]]"sv, "{}}"sv, "[1"sv, "[1,"sv, "{\"a\""sv, "{\"a\":"sv,
    "{\"a\":1"sv, "{\"a\":1,"sv, "[}"sv, "{]"sv, "[1}"sv, "{\"a\":1]"sv, "[{]}"sv, "[] []"sv, "1 2"sv, "[]x"sv, "x[]"sv,
    "[],"sv, ","sv, ":"sv,
    // commas and colons
    "[,]"sv, "[1,]"sv, "[,1]"sv, "[1,,2]"sv, "[1 2]"sv, "[1;2]"sv, "[1:2]"sv, "{,}"sv, "{\"a\":1,}"sv, "{,\"a\":1}"sv,
    "{\"a\":1,,\"b\":2}"sv, "{\"a\" 1}"sv, "{\"a\"::1}"sv, "{\"a\",1}"sv, "{\"a\":}"sv, "{:1}"sv, "{\"a\":1 \"b\":2}"sv,
    "{\"a\"}"sv,
    // names
    "{a:1}"sv, "{'a':1}"sv, "{1:1}"sv, "{null:1}"sv, "{[]:1}"sv, "{\"a:1}"sv,
    // words
    "nul"sv, "nulll"sv, "Null"sv, "TRUE"sv, "tru"sv, "truee"sv, "fals"sv, "undefined"sv, "NaN"sv, "Infinity"sv,
    "-Infinity"sv, "[nulla]"sv, "[true false]"sv, "yes"sv,
    // numbers
    "-"sv, "+"sv, "+1"sv, "--1"sv, "-+1"sv, "01"sv, "-01"sv, "00"sv, "1."sv, ".1"sv, "-.1"sv, "1.e1"sv, "1e"sv, "1e+"sv,
    "1e-"sv, "1E"sv, "1ee1"sv, "1e1.5"sv, "1.2.3"sv, "0x10"sv, "1_000"sv, "1 000"sv, "1a"sv, "-a"sv, "1-"sv, "- 1"sv,
    "0e"sv, "1,5"sv, "\xEF\xBC\x91"sv, "[1.]"sv, "[-]"sv, "[01]"sv, "[1e]"sv, "[1+2]"sv,
    // strings
    "\""sv, "\"a"sv, "'a'"sv, "a"sv, "\"a\"b\""sv, "\"\\\""sv, "\"\\"sv, "\"\\x41\""sv, "\"\\a\""sv, "\"\\0\""sv,
    "\"\\'\""sv, "\"\\u\""sv, "\"\\u1\""sv, "\"\\u12\""sv, "\"\\u123\""sv, "\"\\u123g\""sv, "\"\\u 123\""sv,
    "\"\\U0041\""sv, "\"\\u{41}\""sv, "\"\\u12"sv, "\"\n\""sv, "\"\t\""sv, "\"\r\""sv, "\"\0\""sv, "\"\x1F\""sv,
    "\"abcdefgh\x01\""sv, "\"\\\n\""sv,
    // bytes and space that are none
    "\0"sv, "[]\0"sv, "\xEF\xBB\xBF[]"sv, "[\x0B]"sv, "[\x0C]"sv, "[\xC2\xA0]"sv, "[\xE2\x80\xA8]"sv, "\xFF"sv,
    "\"\xFF\""sv, "\"\xC3\""sv, "\"\xED\xA0\x80\""sv, "\"\xC0\x80\""sv, "\"\xF4\x90\x80\x80\""sv, "[\xC3]"sv,
    // comments
    "/* */1"sv, "1//"sv, "[1/**/]"sv, "#1"sv, "<1>"sv, "(1)"sv};

}  // namespace

TEST_CASE("what is JSON is taken as a value, alone and as data") {
  for (const auto text : y) {
    CAPTURE(text);
    CHECK(is_json_value(text));
    const std::string frame = "{\"op\":\"send\",\"to\":\"b\",\"data\":" + std::string(text) + "}";
    CHECK(std::holds_alternative<Command>(parse_command(frame)));
  }
}

TEST_CASE("what is not JSON is refused, alone and in an array") {
  for (const auto text : n) {
    CAPTURE(text);
    CHECK_FALSE(is_json_value(text));
    // Alone it may end too early; inside brackets something always follows. Empty and "1,5" are fine there.
    if (text.find_first_not_of(' ') != std::string_view::npos && text != "1,5") {
      CHECK_FALSE(is_json_value("[" + std::string(text) + "]"));
    }
  }
}

TEST_CASE("a value of 64 levels is taken, one of 65 is not, whatever the brackets") {
  const auto nested = [](std::string_view open, std::string_view close, int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += open;
    text += "0";
    for (int i = 0; i < depth; ++i) text += close;
    return text;
  };
  CHECK(is_json_value(nested("[", "]", 64)));
  CHECK_FALSE(is_json_value(nested("[", "]", 65)));
  CHECK(is_json_value(nested("{\"a\":", "}", 64)));
  CHECK_FALSE(is_json_value(nested("{\"a\":", "}", 65)));
  CHECK(is_json_value(nested("[{\"a\":", "}]", 32)));
  CHECK_FALSE(is_json_value(nested("[", "]", 1'000'000)));
  CHECK_FALSE(is_json_value(std::string(1'000'000, '[')));
  // Levels that have closed leave nothing behind: objects and arrays take turns on the same level.
  CHECK(is_json_value(R"([{"a":[{}]},[[{"b":{}}],{"c":[1,{"d":2}]}]])"));
  CHECK_FALSE(is_json_value(R"([{"a":[{}]},[[{"b":{}}],{"c":[1,{"d":2}]}}])"));
}

TEST_CASE("a quote, a backslash or a control character is found at every place of a string") {
  for (std::size_t size = 1; size < 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      CHECK(is_json_value("\"" + text + "\""));
      for (const char c : {'"', '\\', '\x1F', '\0'}) {
        text[at] = c;
        // followed by 'a' or the closing quote, a backslash makes a bad escape or an open string
        CHECK_FALSE(is_json_value("\"" + text + "\""));
      }
      text[at] = '\x20';
      CHECK(is_json_value("\"" + text + "\""));
      text[at] = '!';  // one above the space, one below the quote
      CHECK(is_json_value("\"" + text + "\""));
    }
  }
}
