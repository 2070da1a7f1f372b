#include "cli/units.hpp"

#include <catch2/catch.hpp>

using namespace wsr;
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

TEST_CASE("a rate is a count and its time, a minute if none is said") {
  CHECK(parse_rate("20/1s").value() == RateLimit{20, milliseconds(1'000)});
  CHECK(parse_rate("600/1m").value() == RateLimit{600, milliseconds(60'000)});
  CHECK(parse_rate("600").value() == RateLimit{600, milliseconds(60'000)});
  CHECK(parse_rate("1/1ms").value() == RateLimit{1, milliseconds(1)});
  CHECK(parse_rate("1000000/1h").value() == RateLimit{1'000'000, milliseconds(3'600'000)});
  CHECK_FALSE(parse_rate("0").value().is_on());
  CHECK_FALSE(parse_rate("0/1s").value().is_on());
}

TEST_CASE("a rate written otherwise, or outside its bounds, is refused with an example") {
  for (const auto* text : {"", "/", "20/", "/1s", "20/1", "20/s", "20 / 1s", "-1/1s", "+1/1s", "1.5/1s", "20/0",
                           "20/0s", "20/1s/1s", "20/61m", "20/2h", "1000001/1s", "99999999999/1s", "many"}) {
    INFO(text);
    const auto parsed = parse_rate(text);
    REQUIRE(parsed.has_error());
    CHECK(parsed.error().message.find("such as 20/1s") != std::string::npos);
  }
}

TEST_CASE("durations, sizes and rates are written the short way and read back") {
  CHECK(format_duration(milliseconds(6'000)) == "6s");
  CHECK(format_duration(milliseconds(1'500)) == "1500ms");
  CHECK(format_duration(milliseconds(60'000)) == "1m");
  CHECK(format_duration(milliseconds(0)) == "0");
  CHECK(format_size(64 * 1024) == "64KiB");
  CHECK(format_size(1'000) == "1000B");
  CHECK(format_rate(RateLimit{20, milliseconds(1'000)}) == "20/1s");
  CHECK(format_rate(RateLimit{600}) == "600/1m");
  CHECK(format_rate(RateLimit{}) == "0");
  CHECK(parse_duration(format_duration(milliseconds(90'000))).value() == milliseconds(90'000));
}
