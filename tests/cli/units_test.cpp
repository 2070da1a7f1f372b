#include "cli/units.hpp"

#include <catch2/catch.hpp>

using namespace wsr::cli;
using std::chrono::milliseconds;

TEST_CASE("a duration is a whole number with its unit") {
  CHECK(parse_duration("250ms").value() == milliseconds(250));
  CHECK(parse_duration("6s").value() == milliseconds(6'000));
  CHECK(parse_duration("1m").value() == milliseconds(60'000));
  CHECK(parse_duration("2h").value() == milliseconds(7'200'000));
  CHECK(parse_duration("0").value() == milliseconds(0));
  CHECK(parse_duration("0s").value() == milliseconds(0));
}

TEST_CASE("a duration written otherwise is refused with an example") {
  for (const auto* text :
       {"", "6", "s", "-6s", "+6s", "6 s", "6S", "1.5s", "6sec", "99999999999999999999s", "31m6s", "721h"}) {
    INFO(text);
    const auto parsed = parse_duration(text);
    REQUIRE(parsed.has_error());
    CHECK(parsed.error().message.find("such as 250ms") != std::string::npos);
  }
  CHECK(parse_duration("720h").has_value());
}

TEST_CASE("a size is a whole number of bytes or with its binary unit") {
  CHECK(parse_size("900").value() == 900);
  CHECK(parse_size("900B").value() == 900);
  CHECK(parse_size("64KiB").value() == 64 * 1024);
  CHECK(parse_size("4MiB").value() == 4 * 1024 * 1024);
  CHECK(parse_size("1GiB").value() == 1ull << 30);
  CHECK(parse_size("0").value() == 0);
}

TEST_CASE("a size written otherwise is refused with an example") {
  for (const auto* text : {"", "KiB", "64KB", "64k", "64 KiB", "-1", "1.5MiB", "2000GiB", "99999999999999999999"}) {
    INFO(text);
    const auto parsed = parse_size(text);
    REQUIRE(parsed.has_error());
    CHECK(parsed.error().message.find("such as 900B") != std::string::npos);
  }
}

TEST_CASE("durations and sizes are written the short way and read back") {
  CHECK(format_duration(milliseconds(6'000)) == "6s");
  CHECK(format_duration(milliseconds(1'500)) == "1500ms");
  CHECK(format_duration(milliseconds(60'000)) == "1m");
  CHECK(format_duration(milliseconds(0)) == "0");
  CHECK(format_size(64 * 1024) == "64KiB");
  CHECK(format_size(1'000) == "1000B");
  CHECK(parse_duration(format_duration(milliseconds(90'000))).value() == milliseconds(90'000));
}
