#include <catch2/catch.hpp>

#include "core/redis/keys.hpp"

namespace wsr::redis {
namespace {

const Keys keys{"wsr:"};

TEST_CASE("braces in an id never end the hash tag and no two ids share a key") {
  const auto own = [](std::string_view id) { return keys.own(ClientId::trusted(id)); };
  CHECK(own("ada") == "wsr:{c:ada}:own");
  CHECK(own("a}{b") == "wsr:{c:a%7D%7Bb}:own");
  CHECK(own("a%7D") != own("a}"));
}

TEST_CASE("a channel's name leads back to the channel") {
  for (const Channel& channel : {Channel{ChannelKind::inbox, "s1~x"}, Channel{ChannelKind::app, "news {x} 100%"},
                                 Channel{ChannelKind::room, "a}b{%7Bc"}, Channel{ChannelKind::app, "x}:ch"}}) {
    CHECK(keys.channel_of(keys.channel(channel)) == channel);
  }
  CHECK_FALSE(keys.channel_of("other:in:x"));
  CHECK_FALSE(keys.channel_of("wsr:else"));
}

TEST_CASE("a channel's name carries its database, and no other database knows it") {
  const Keys first{"wsr:", 1};
  const Channel channels[] = {{ChannelKind::inbox, "s1~x"},  {ChannelKind::app, "news"},
                              {ChannelKind::app, "@1:news"}, {ChannelKind::room, "lobby"},
                              {ChannelKind::room, "}:ch@1"}, {ChannelKind::app, "*"}};
  for (const Channel& channel : channels) {
    INFO(channel.name);
    CHECK(first.channel_of(first.channel(channel)) == channel);
    CHECK(first.pattern_of(first.pattern(channel)) == channel);
    for (const Keys& other : {Keys{"wsr:"}, Keys{"wsr:", 10}, Keys{"wsr:", 11}, Keys{"wsr:", 2}}) {
      CHECK_FALSE(other.channel_of(first.channel(channel)));
      CHECK_FALSE(first.channel_of(other.channel(channel)));
      CHECK_FALSE(other.pattern_of(first.pattern(channel)));
    }
  }
  CHECK(keys.channel({ChannelKind::room, "lobby"}) == "wsr:{r:lobby}:ch");  // database 0 is not named
  CHECK(first.channel({ChannelKind::room, "lobby"}) == "wsr:{r:lobby}:ch@1");
}

TEST_CASE("a prefix is literal in a pattern and the pattern leads back") {
  const Keys odd{"a*b:"};
  CHECK(odd.pattern({ChannelKind::app, "n*"}) == "a\\*b:ch:n*");
  CHECK(odd.pattern_of("a\\*b:ch:n*") == Channel{ChannelKind::app, "n*"});
}

TEST_CASE("an index entry leads back to client and attachment") {
  const ServerId server = ServerId::trusted("host:1~abc");
  const Attachment at{server, 3, ConnId::make(7, 9)};
  const ClientId client = ClientId::trusted("a b {c}/d");
  const auto entry = parse_index_entry(server, index_entry(client, at));
  REQUIRE(entry);
  CHECK(entry->client == client);
  CHECK(entry->at == at);
  CHECK_FALSE(parse_index_entry(server, "nonsense"));
  CHECK_FALSE(parse_index_entry(server, "1/2 "));
}

TEST_CASE("an index entry of a room leads back to room, client and attachment") {
  const ServerId server = ServerId::trusted("host:1~abc");
  const Attachment at{server, 3, ConnId::make(7, 9)};
  const RoomName room = RoomName::trusted("a room {r}/1 2");
  const ClientId client = ClientId::trusted("a b {c}/d");
  const auto entry = parse_room_index_entry(server, room_index_entry(room, client, at));
  REQUIRE(entry);
  CHECK(entry->room == room);
  CHECK(entry->client == client);
  CHECK(entry->at == at);
  CHECK_FALSE(parse_room_index_entry(server, index_entry(client, at)));
  CHECK_FALSE(parse_room_index_entry(server, index_entry(client, at) + "\n"));
  CHECK_FALSE(parse_room_index_entry(server, "nonsense\nroom"));
}

TEST_CASE("what a roster says of a client is its attachments, and what is none is passed over") {
  const Attachment one{ServerId::trusted("s1~a"), 0, ConnId::make(1, 1)};
  const Attachment two{ServerId::trusted("s2~b"), 3, ConnId::make(7, 9)};
  using Devices = std::vector<std::pair<Attachment, Epoch>>;
  CHECK(parse_devices("") == Devices{});
  CHECK(parse_devices(one.str() + " 5") == Devices{{one, Epoch{5}}});
  CHECK(parse_devices(one.str() + " 5\n" + two.str() + " 17") == Devices{{one, Epoch{5}}, {two, Epoch{17}}});
  CHECK(parse_devices("x\n" + one.str() + "\n" + one.str() + " y\n\n" + two.str() + " 17") ==
        Devices{{two, Epoch{17}}});
}

TEST_CASE("the keys of one room share its slot and no two rooms share one") {
  const RoomKeys odd = keys.room(RoomName::trusted("a}{b"));
  CHECK(odd.members == "wsr:{r:a%7D%7Bb}:members");
  CHECK(odd.names == "wsr:{r:a%7D%7Bb}:names");
  CHECK(odd.version == "wsr:{r:a%7D%7Bb}:ver");
  CHECK(odd.servers == "wsr:{r:a%7D%7Bb}:servers");
  CHECK(keys.room(RoomName::trusted("a%7D")).members != keys.room(RoomName::trusted("a}")).members);
  CHECK(keys.rate({RateKey::Kind::client, "a}"}) == "wsr:{c:a%7D}:rate");
  CHECK(keys.rate({RateKey::Kind::room, "a}"}) == "wsr:{r:a%7D}:rate");
}

TEST_CASE("a row's value is its epoch and its time") {
  const auto value = parse_row_value("17 42");
  REQUIRE(value);
  CHECK(value->epoch == Epoch{17});
  CHECK(value->claimed_at == StoreTime{std::chrono::microseconds{42}});
  CHECK_FALSE(parse_row_value(""));
  CHECK_FALSE(parse_row_value("17"));
  CHECK_FALSE(parse_row_value("17 x"));
}

}  // namespace
}  // namespace wsr::redis
