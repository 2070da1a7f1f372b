// Another version of the bus' format: who is believed, and when it is over.
#include <catch2/catch.hpp>
#include <string>

#include "core/net/version_skew.hpp"
#include "core/wire/room_envelope.hpp"

namespace wsr::net {
namespace {

using namespace std::chrono_literals;
using News = VersionSkew::News;

Time at(std::chrono::milliseconds time) { return Time{} + 1h + time; }
const ServerId me = ServerId::trusted("a~1"), other = ServerId::trusted("b~1");

Servers listed(std::uint32_t bus_version, ServerRow::Lease lease) {
  return {Errc::ok,
          {},
          {{other, {.url = {}, .bus_version = bus_version}, {}, lease},
           {me, {.url = {}, .bus_version = 0}, {}, ServerRow::Lease::held}}};
}

std::string batch() { return BatchWriter("b~1", 0, 0, 1, 1).finish({}, "a~1", 0ms); }
std::string room_message() {
  return encode_room_message({.from_server = "b~1", .from = "ada", .data = "1"}, {}, "hall", 0ms);
}

}  // namespace

TEST_CASE("batches, room messages and presence of another version are told from our own and from noise") {
  CHECK_FALSE(VersionSkew::foreign(ChannelKind::inbox, batch()));
  CHECK_FALSE(VersionSkew::foreign(ChannelKind::room, room_message()));
  CHECK_FALSE(VersionSkew::foreign(ChannelKind::room, encode_presence({PresenceEvent::Kind::join, 1, 1, "ada"})));
  for (const int version : {0, 3, 0x7F, 0xFF}) {
    std::string newer = batch(), newer_room = room_message();
    if (version == static_cast<std::uint8_t>(newer[1])) continue;
    newer[1] = newer_room[1] = static_cast<char>(version);
    CHECK(VersionSkew::foreign(ChannelKind::inbox, newer) == version);
    CHECK(VersionSkew::foreign(ChannelKind::room, newer_room) == version);
    CHECK_FALSE(VersionSkew::foreign(ChannelKind::app, newer));
  }
  CHECK(VersionSkew::foreign(ChannelKind::room, "P2 join 1 1 ada") == 2);
  for (const char* noise : {"", "W", "R", "P", "P1", "hello", "PX join", "P1 join 1 1 ada"}) {
    CHECK_FALSE(VersionSkew::foreign(ChannelKind::inbox, noise));
    CHECK_FALSE(VersionSkew::foreign(ChannelKind::room, noise));
  }
}

TEST_CASE("a version that is heard is news once, and over when it has not been heard for long enough") {
  VersionSkew skew(VersionSkew::Keys::none);
  CHECK(skew.heard() == 0);
  CHECK(skew.hear(127, at(0ms)) == News::begun);
  CHECK(skew.hear(127, at(10ms)) == News::none);
  CHECK(skew.heard() == 127);
  CHECK_FALSE(skew.on_time(at(29'000ms)));
  CHECK(skew.hear(127, at(29'000ms)) == News::none);
  CHECK_FALSE(skew.on_time(at(31'000ms)));
  CHECK(skew.on_time(at(59'000ms)) == 127);
  CHECK(skew.heard() == 0);
  CHECK(skew.hear(127, at(60'000ms)) == News::begun);
}

TEST_CASE("with keys a stranger who can publish turns nothing red") {
  VersionSkew skew(VersionSkew::Keys::some);
  CHECK(skew.hear(127, at(0ms)) == News::not_believed);
  CHECK(skew.hear(127, at(10ms)) == News::none);
  CHECK(skew.heard() == 0);
  skew.see(listed(batch_version, ServerRow::Lease::held), me);
  CHECK(skew.hear(127, at(31'000ms)) == News::not_believed);
  skew.see(listed(127, ServerRow::Lease::expired), me);
  CHECK(skew.hear(127, at(62'000ms)) == News::not_believed);
  CHECK(skew.heard() == 0);
}

TEST_CASE("with keys a version is believed while a live server of the registry speaks another, or does not say") {
  for (const std::uint32_t version : {0U, 127U}) {
    VersionSkew skew(VersionSkew::Keys::some);
    skew.see(listed(version, ServerRow::Lease::held), me);
    CHECK(skew.hear(127, at(0ms)) == News::begun);
    CHECK(skew.heard() == 127);
  }
}

}  // namespace wsr::net
