#include "cli/terminal.hpp"

#include <catch2/catch.hpp>

using namespace wsr::cli;

TEST_CASE("what a client wrote cannot steer the terminal that shows it") {
  CHECK(shown("a\x1b[2J") == "a?[2J");
  CHECK(shown("two\nlines\x7f") == "two?lines?");
  CHECK(shown("a\xC2\x9B"
              "2J") == "a?2J");
  CHECK(shown("\xC2\x80\xC2\x9F\xC2") == "??\xC2");
}

TEST_CASE("names in other scripts are shown as they are") {
  CHECK(shown("é ü \xC2\xA0 名前 🙂") == "é ü \xC2\xA0 名前 🙂");
}
