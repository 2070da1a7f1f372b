#include "core/net/own_hosts.hpp"

#include <catch2/catch.hpp>

using wsr::net::OwnHosts;

TEST_CASE("loopback names and addresses are always ours, whatever their port and case") {
  const OwnHosts hosts("127.0.0.1", "", {});
  for (const char* host : {"localhost", "LocalHost:1234", "localhost.", "app.localhost", "127.0.0.1", "127.0.0.1:80",
                           "127.1.2.3", "[::1]:9090", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]"}) {
    INFO(host);
    CHECK(hosts.is_ours(host));
  }
}

TEST_CASE("another name is not ours, however like ours it looks") {
  const OwnHosts hosts("127.0.0.1", "", {"chat.example.org"});
  for (const char* host : {"evil.example", "evil.example:9090", "localhost.evil.example", "127.0.0.1.evil.example",
                           "xlocalhost", "chat.example.org.evil.example", "a.chat.example.org", "10.0.0.1", "[::2]",
                           "0.0.0.0", "", "a b", "localhost@evil.example"}) {
    INFO(host);
    CHECK_FALSE(hosts.is_ours(host));
  }
}

TEST_CASE("the bind address, the url's host, the names given and the address connected to are ours") {
  const OwnHosts hosts("10.0.0.7", "https://Chat.example.org:8443/ws?x", {"other.example:80", "[fe80::1]"});
  CHECK(hosts.is_ours("10.0.0.7:9090"));
  CHECK(hosts.is_ours("chat.example.org"));
  CHECK(hosts.is_ours("OTHER.example:9999"));
  CHECK(hosts.is_ours("[FE80::1]:1"));
  CHECK_FALSE(hosts.is_ours("10.0.0.8"));
  CHECK(hosts.is_ours("10.0.0.8", "10.0.0.8"));
  CHECK_FALSE(hosts.is_ours("evil.example", "evil.example."));
}

TEST_CASE("a server on all addresses answers to any address, and to no other name") {
  const OwnHosts hosts("0.0.0.0", "", {});
  CHECK(hosts.is_ours("192.168.1.5:8080"));
  CHECK(hosts.is_ours("[2001:db8::1]"));
  CHECK_FALSE(hosts.is_ours("evil.example:8080"));
  CHECK(OwnHosts("::", "", {}).is_ours("192.168.1.5"));
}

TEST_CASE("a star takes any name, but nothing that is no name") {
  const OwnHosts hosts("127.0.0.1", "", {"*"});
  CHECK(hosts.is_ours("evil.example"));
  CHECK_FALSE(hosts.is_ours("a b"));
}
