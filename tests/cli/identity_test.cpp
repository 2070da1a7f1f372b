#include "cli/identity.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "cli/exit_code.hpp"

using namespace wsr;
using namespace wsr::cli;

TEST_CASE("a host's name becomes a server's name") {
  CHECK(sanitised_server_name("web-1.example:80") == "web-1.example:80");
  CHECK(sanitised_server_name("my host~é") == "my-host---");
  CHECK(sanitised_server_name(std::string(100, 'a')).size() == server_name_bytes_max);
}

TEST_CASE("the default name ends in the pid and is a valid name") {
  const auto name = default_server_name();
  CHECK(name.ends_with(":" + std::to_string(::getpid())));
  CHECK(ServerId::make(name, "k3f9").has_value());
}

TEST_CASE("every start has an incarnation of its own") {
  const auto first = new_server_id("web-1");
  const auto second = new_server_id("web-1");
  CHECK(first.name() == "web-1");
  CHECK(first != second);
}

TEST_CASE("a name that no server can have is refused") {
  CHECK_THROWS_AS(new_server_id("web 1"), UsageError);
  CHECK_THROWS_AS(new_server_id(""), UsageError);
  CHECK_THROWS_AS(new_server_id(std::string(65, 'a')), UsageError);
}

TEST_CASE("bus keys are read in their order - a secret may hold colons") {
  const auto keys = parse_bus_keys({"k2:0123456789abcdef", "k1:a:b:0123456789abcdef"});
  REQUIRE(keys.keys.size() == 2);
  CHECK(keys.keys[0].id == "k2");
  CHECK(keys.keys[1].secret == "a:b:0123456789abcdef");
  CHECK(parse_bus_keys({}).keys.empty());
}

TEST_CASE("a bus key that is too short or stands twice is refused without repeating its secret") {
  CHECK_THROWS_AS(parse_bus_keys({"k1"}), UsageError);
  CHECK_THROWS_AS(parse_bus_keys({":0123456789abcdef"}), UsageError);
  CHECK_THROWS_WITH(parse_bus_keys({"k1:hunter2"}), !Catch::Contains("hunter2"));
  CHECK_THROWS_WITH(parse_bus_keys({"k1:0123456789abcdef", "k1:fedcba9876543210"}), Catch::Contains("twice"));
}
