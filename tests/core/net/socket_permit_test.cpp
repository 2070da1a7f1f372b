#include "core/net/socket_permit.hpp"

#include <catch2/catch.hpp>
#include <utility>
#include <vector>

using namespace wsr::net;

namespace {

boost::asio::ip::address address(const char* text) { return boost::asio::ip::make_address(text); }

}  // namespace

TEST_CASE("a permit counts its socket until it ends, however often it moves") {
  SocketCounts counts;
  counts.bound_addresses(2);
  auto first = counts.admit(address("192.0.2.1"));
  REQUIRE(first.has_value());
  CHECK(counts.open() == 1);
  SocketPermit moved = std::move(*first);
  first.reset();
  CHECK(counts.open() == 1);
  {
    const auto second = counts.admit(address("192.0.2.1"));
    CHECK(second.has_value());
    CHECK_FALSE(counts.admit(address("192.0.2.1")).has_value());
    CHECK(counts.admit(address("192.0.2.2")).has_value());
    CHECK(counts.open() == 2);
  }
  CHECK(counts.admit(address("192.0.2.1")).has_value());
  moved.end();
  moved.end();
  CHECK(counts.open() == 0);
}

TEST_CASE("who is only told why it may not stay counts as a socket, not as one of its address") {
  SocketCounts counts;
  counts.bound_addresses(1);
  const auto one = counts.admit(address("192.0.2.1"));
  const auto refused = counts.admit_briefly();
  CHECK(counts.open() == 2);
  CHECK_FALSE(counts.admit(address("192.0.2.1")).has_value());
}

TEST_CASE("an address at its bound has some sockets more for probes, and no others") {
  SocketCounts counts;
  counts.bound_addresses(1);
  auto one = counts.admit(address("192.0.2.1"));
  std::vector<SocketPermit> probes;
  for (std::size_t n = 0; n < SocketCounts::probes_max; ++n) {
    probes.push_back(std::move(counts.admit_probe(address("192.0.2.1")).value()));
  }
  CHECK_FALSE(counts.admit_probe(address("192.0.2.1")).has_value());
  CHECK(counts.admit_probe(address("192.0.2.2")).has_value());
  CHECK(counts.open() == 1 + SocketCounts::probes_max);
  // Probes take no place of others, and the other way round, however they end.
  one.reset();
  one = counts.admit(address("192.0.2.1"));
  CHECK(one.has_value());
  probes.pop_back();
  CHECK_FALSE(counts.admit(address("192.0.2.1")).has_value());
  SocketPermit moved = std::move(counts.admit_probe(address("192.0.2.1")).value());
  probes.clear();
  moved.end();
  one.reset();
  CHECK(counts.open() == 0);
}

TEST_CASE("loopback peers are exempt where they are a proxy's, and counted where nobody else can come from") {
  SocketCounts open_to_all;
  open_to_all.bound_addresses(1, Loopback::exempt);
  std::vector<SocketPermit> permits;
  for (const char* peer : {"127.0.0.1", "127.0.0.1", "::1", "::1", "::ffff:127.0.0.1", "127.9.9.9"}) {
    INFO(peer);
    permits.push_back(std::move(open_to_all.admit(address(peer)).value()));
  }
  const auto one = open_to_all.admit(address("192.0.2.1"));
  CHECK_FALSE(open_to_all.admit(address("192.0.2.1")).has_value());

  SocketCounts local;
  local.bound_addresses(1, Loopback::counted);
  const auto first = local.admit(address("127.0.0.1"));
  CHECK_FALSE(local.admit(address("::ffff:127.0.0.1")).has_value());
}

TEST_CASE("without a bound of addresses only sockets are counted") {
  SocketCounts counts;
  std::vector<SocketPermit> permits;
  for (int n = 0; n < 100; ++n) permits.push_back(std::move(counts.admit(address("192.0.2.1")).value()));
  CHECK(counts.open() == 100);
  permits.clear();
  CHECK(counts.open() == 0);
}

TEST_CASE("an IPv4 address is one peer however it is written, and so is a /64 of IPv6") {
  CHECK(peer_of(address("::ffff:192.0.2.1")) == address("192.0.2.1"));
  CHECK(peer_of(address("2001:db8:0:1:aaaa::1")) == peer_of(address("2001:db8:0:1::2")));
  CHECK(peer_of(address("2001:db8:0:2::1")) != peer_of(address("2001:db8:0:1::1")));
}
