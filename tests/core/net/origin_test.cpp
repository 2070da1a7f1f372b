#include "core/net/origin.hpp"

#include <catch2/catch.hpp>

using wsr::net::came_through_proxy;
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

TEST_CASE("a proxy that drops the port of Host leaves the name to compare") {
  CHECK(is_origin_allowed("http://chat.example:8443", "chat.example", {}, 9090));
  CHECK(is_origin_allowed("http://chat.example:8443", "chat.example:8443", {}, 9090));
  CHECK_FALSE(is_origin_allowed("http://chat.example:8443", "chat.example:9000", {}, 9090));
  CHECK_FALSE(is_origin_allowed("http://evil.example:8443", "chat.example", {}, 9090));
  CHECK_FALSE(is_origin_allowed("http://chat.example.evil.example:8443", "chat.example", {}, 9090));
  // On port 80 a browser itself leaves it out: another port is another page.
  CHECK_FALSE(is_origin_allowed("http://chat.example:8443", "chat.example", {}, 80));
  CHECK(is_origin_allowed("http://chat.example", "chat.example", {}, 80));
}

TEST_CASE("an Origin that is no page is none that may connect") {
  for (const char* origin :
       {"http://", "http://a b", "http://user@localhost:9090", "http://localhost:9090/path", "http://localhost:99999",
        "file://", "chrome-extension://localhost:9090", "localhost:9090"}) {
    INFO(origin);
    CHECK_FALSE(is_origin_allowed(origin, "localhost:9090", {}, 9090));
  }
}

TEST_CASE("what a browser cannot have written by itself came through a proxy") {
  for (const std::uint16_t loopback_port : {0, 9090}) {
    CHECK(came_through_proxy("https://chat.example", "chat.example", loopback_port));
    CHECK(came_through_proxy("http://chat.example:8443", "chat.example", loopback_port));
    // What a page whose name was made to mean our address sends.
    CHECK_FALSE(came_through_proxy("http://evil.example:9090", "evil.example:9090", loopback_port));
    CHECK_FALSE(came_through_proxy("http://evil.example", "evil.example", loopback_port));
    CHECK_FALSE(came_through_proxy("null", "evil.example", loopback_port));
  }
  // Over loopback the browser would name our port, if it had come by itself; from elsewhere the port may be forwarded.
  CHECK(came_through_proxy("http://chat.example:8443", "chat.example:8443", 9090));
  CHECK_FALSE(came_through_proxy("http://evil.example:8443", "evil.example:8443", 0));
}
