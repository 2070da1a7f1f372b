#include "core/net/upgrade.hpp"

#include <catch2/catch.hpp>

using namespace wsr::net;

namespace {

const std::vector<std::string> no_origins;

UpgradeRequest good() {
  return {.method = "GET",
          .target = "/chat?user=ada",
          .version = 11,
          .host = "localhost:9090",
          .origin = "",
          .connection = "keep-alive, Upgrade",
          .upgrade = "websocket",
          .ws_version = "13",
          .ws_key = "dGhlIHNhbXBsZSBub25jZQ==",
          .ws_protocol = ""};
}

unsigned status(const UpgradeRequest& request, const UpgradeRules& rules = {.origins = no_origins}) {
  const auto decision = decide_upgrade(request, rules);
  const auto* refusal = std::get_if<Refusal>(&decision);
  return refusal == nullptr ? 101 : refusal->status;
}

}  // namespace

TEST_CASE("a well-formed upgrade names its client and gets the accept key of RFC 6455") {
  const auto decision = decide_upgrade(good(), {.origins = no_origins});
  const auto& upgrade = std::get<Upgrade>(decision);
  CHECK(upgrade.client->view() == "ada");
  CHECK(upgrade.accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK_FALSE(upgrade.speaks_v1);
}

TEST_CASE("without a user a client is a guest - with a bad one it is refused") {
  auto request = good();
  request.target = "/chat";
  CHECK_FALSE(std::get<Upgrade>(decide_upgrade(request, {.origins = no_origins})).client);
  request.target = "/chat?user=";
  CHECK(status(request) == 400);
  request.target = "/chat?user=%zz";
  CHECK(status(request) == 400);
  request.target = "/chat?user=%0a";
  CHECK(status(request) == 400);
}

TEST_CASE("the subprotocol is spoken if it was offered") {
  auto request = good();
  request.ws_protocol = "other, wsr.v1";
  CHECK(std::get<Upgrade>(decide_upgrade(request, {.origins = no_origins})).speaks_v1);
}

TEST_CASE("each thing wrong with an upgrade has its status") {
  auto request = good();
  request.ws_version = "12";
  CHECK(status(request) == 426);
  request = good();
  request.upgrade = "";
  CHECK(status(request) == 426);
  request = good();
  request.ws_key = "";
  CHECK(status(request) == 400);
  request.ws_key = "short==";
  CHECK(status(request) == 400);
  request = good();
  request.target = "/nowhere";
  CHECK(status(request) == 404);
  request = good();
  request.method = "POST";
  CHECK(status(request) == 405);
  request = good();
  request.version = 10;
  CHECK(status(request) == 400);
  request = good();
  request.origin = "http://evil.example";
  CHECK(status(request) == 403);
  CHECK(status(good(), {.origins = no_origins, .is_draining = true}) == 503);
  CHECK(status(good(), {.origins = no_origins, .is_full = true}) == 503);
}

TEST_CASE("echo exists only where it was asked for") {
  auto request = good();
  request.target = "/echo";
  CHECK(status(request) == 404);
  CHECK(status(request, {.origins = no_origins, .has_echo = true}) == 101);
}

TEST_CASE("whoever comes by a foreign name reads what to write behind --host, of an IPv6 address, too") {
  const auto advice = [](std::string_view host) {
    const auto message = foreign_host(host).message;
    return message.substr(message.find("--host "));
  };
  CHECK(advice("evil.example:9090") == "--host evil.example");
  CHECK(advice("evil.example") == "--host evil.example");
  CHECK(advice("[2001:db8::1]:9090") == "--host [2001:db8::1]");
  CHECK(advice("[2001:db8::1]") == "--host [2001:db8::1]");
}

TEST_CASE("for a foreign Host only pages come in that are listed, or that a proxy stands before") {
  const std::vector<std::string> app{"https://app.example"};
  const auto with = [](std::string host, std::string origin, const std::vector<std::string>& origins) {
    auto request = good();
    request.host = host;
    request.origin = origin;
    return status(request, {.origins = origins, .own_port = 9090, .is_over_loopback = true, .is_foreign_host = true});
  };
  CHECK(with("chat.example:8443", "http://chat.example:8443", no_origins) == 101);
  {
    auto forwarded = good();
    forwarded.host = "evil.example:8443";
    forwarded.origin = "http://evil.example:8443";
    CHECK(status(forwarded, {.origins = no_origins, .own_port = 9090, .is_foreign_host = true}) == 403);
  }
  CHECK(with("evil.example:9090", "http://evil.example:9090", no_origins) == 403);
  CHECK(with("evil.example", "http://evil.example", no_origins) == 403);
  CHECK(with("evil.example:9090", "", no_origins) == 403);
  CHECK(with("evil.example:9090", "null", no_origins) == 403);
  CHECK(with("chat.example", "http://chat.example:8443", no_origins) == 101);
  CHECK(with("chat.example", "https://chat.example", no_origins) == 101);
  CHECK(with("chat.example", "https://app.example", app) == 101);
  CHECK(with("evil.example:9090", "http://evil.example:9090", app) == 403);
}
