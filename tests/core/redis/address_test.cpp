#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "core/redis/backend.hpp"

namespace wsr::redis {
namespace {

Address parsed(std::string_view url) { return Address::parse(url).value(); }
std::string refusal(std::string_view url) {
  const auto result = Address::parse(url);
  INFO(url);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == Errc::bad_request);
  return result.error().message;
}
bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_CASE("a store's url with host only has Redis' port and database 0") {
  const Address address = parsed("redis://cache.example");
  CHECK(address.kind == Address::Kind::tcp);
  CHECK(address.host == "cache.example");
  CHECK(address.port == 6379);
  CHECK(address.db == 0);
  CHECK(address.user.empty());
}

TEST_CASE("a store's url names user, password, port and database") {
  const Address address = parsed("rediss://ada:p%40ss%3A@10.0.0.1:7000/3");
  CHECK(address.kind == Address::Kind::tls);
  CHECK(address.user == "ada");
  CHECK(address.password == "p@ss:");
  CHECK(address.host == "10.0.0.1");
  CHECK(address.port == 7000);
  CHECK(address.db == 3);
}

TEST_CASE("a password may stand alone and may hold an at sign") {
  CHECK(parsed("redis://:secret@localhost").password == "secret");
  CHECK(parsed("redis://:a@b@localhost").password == "a@b");
  CHECK(parsed("redis://:a@b@localhost").host == "localhost");
}

TEST_CASE("an IPv6 host stands in brackets") {
  CHECK(parsed("redis://[::1]:6400").host == "::1");
  CHECK(parsed("redis://[::1]:6400").port == 6400);
  CHECK(parsed("redis://[::1]").str() == "redis://[::1]:6379");
  CHECK(has(refusal("redis://::1"), "[ ]"));
}

TEST_CASE("a unix socket is an absolute path with an optional database") {
  const Address address = parsed("unix:///run/redis.sock?db=2");
  CHECK(address.kind == Address::Kind::unix_socket);
  CHECK(address.path == "/run/redis.sock");
  CHECK(address.db == 2);
  CHECK(has(refusal("unix://redis.sock"), "absolute"));
  CHECK(has(refusal("unix:///a?x=1"), "?db=n"));
}

TEST_CASE("the url for logs never shows the password") {
  CHECK(parsed("redis://ada:secret@host:1/2").str() == "redis://ada@host:1/2");
  CHECK(parsed("redis://:secret@host").str() == "redis://host:6379");
}

TEST_CASE("a wrong url is refused with a sentence about what is wrong and without the password") {
  CHECK(has(refusal("http://host"), "redis://"));
  CHECK(has(refusal("redis://"), "no host"));
  CHECK(has(refusal("redis://host:"), "port"));
  CHECK(has(refusal("redis://host:0"), "65535"));
  CHECK(has(refusal("redis://host:65536"), "65535"));
  CHECK(has(refusal("redis://host:6x"), "6x"));
  CHECK(has(refusal("redis://host/db"), "not a number"));
  CHECK(has(refusal("redis://host?db=1"), "?"));
  CHECK_FALSE(has(refusal("redis://u:geheim%zz@host"), "geheim"));
}

}  // namespace
}  // namespace wsr::redis
