#include "core/net/socket_bounds.hpp"

#include <catch2/catch.hpp>

using namespace wsr::net;

TEST_CASE("the descriptors that are kept grow with the shards: each has a loop, a listener, and one in its hand") {
  for (const unsigned shards : {1U, 16U, 128U}) {
    CHECK(descriptors_kept(shards) == 64 + 5 * shards);
    const auto bounds = socket_bounds(20'000, shards, 0);
    CHECK(bounds.sockets_max == 20'000 - descriptors_kept(shards));
    CHECK(bounds.sockets_max - bounds.connections_max == http_sockets);
  }
}

TEST_CASE(
    "who asks for fewer connections gets them, and sockets for HTTP besides: more than there can be nobody gets") {
  CHECK(socket_bounds(20'000, 1, 100).connections_max == 100);
  CHECK(socket_bounds(20'000, 1, 100).sockets_max == 100 + http_sockets);
  CHECK(socket_bounds(1'024, 1, 1'000'000).sockets_max == 1'024 - descriptors_kept(1));
}

TEST_CASE("with few descriptors a quarter of them is for sockets, and some of those for HTTP") {
  for (const std::size_t descriptors : {64U, 256U, 700U}) {
    const auto bounds = socket_bounds(descriptors, 128, 0);
    CHECK(bounds.sockets_max == descriptors / 4);
    CHECK(bounds.connections_max > 0);
    CHECK(bounds.connections_max < bounds.sockets_max);
  }
}
