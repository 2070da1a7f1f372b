#include "core/net/origin.hpp"

#include <catch2/catch.hpp>

using wsr::net::is_origin_allowed;

TEST_CASE("a program without an Origin may connect") { CHECK(is_origin_allowed("", "localhost:9090", {})); }

TEST_CASE("the server's own page may connect, whatever its scheme, case and default port") {
  CHECK(is_origin_allowed("http://localhost:9090", "localhost:9090", {}));
  CHECK(is_origin_allowed("https://chat.example", "chat.example", {}));
  CHECK(is_origin_allowed("https://Chat.Example", "chat.example:443", {}));
  CHECK(is_origin_allowed("http://chat.example:80", "chat.example", {}));
}

TEST_CASE("another page may not") {
  CHECK_FALSE(is_origin_allowed("http://evil.example", "localhost:9090", {}));
  CHECK_FALSE(is_origin_allowed("http://localhost:9091", "localhost:9090", {}));
  CHECK_FALSE(is_origin_allowed("http://localhost:9090.evil.example", "localhost:9090", {}));
  CHECK_FALSE(is_origin_allowed("null", "localhost:9090", {}));
  CHECK_FALSE(is_origin_allowed("http://", "", {}));
}

TEST_CASE("a listed page may, and * lists all") {
  CHECK(is_origin_allowed("https://app.example", "localhost:9090", {"https://app.example"}));
  CHECK(is_origin_allowed("https://app.example", "localhost:9090", {"https://APP.example/"}));
  CHECK_FALSE(is_origin_allowed("http://app.example", "localhost:9090", {"https://app.example"}));
  CHECK(is_origin_allowed("null", "localhost:9090", {"*"}));
}
