#include "core/wire/room_envelope.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <random>

using namespace wsr;
using namespace std::chrono_literals;

namespace {

const BatchKeys k1{{{"k1", "0123456789abcdef"}}, 30s};
constexpr std::string_view room = "chat:room:42";

RoomMessage message() {
  return {.from_server = "a~1",
          .from_shard = 3,
          .skip_conn = 0x1000001,
          .skips_client = true,
          .receipt = std::numeric_limits<std::uint64_t>::max(),
          .base = 100,
          .seq = 107,
          .from = "ada",
          .data = R"({ "type" : "leave", "client_id" : "victim" })"};
}

RoomEvent decode(std::string_view bytes, const BatchKeys& keys = {}, std::string_view channel = room,
                 std::chrono::milliseconds now = 1'000ms) {
  return decode_room_event(bytes, keys, channel, now);
}
std::string why(std::string_view bytes, const BatchKeys& keys = {}, std::string_view channel = room,
                std::chrono::milliseconds now = 1'000ms) {
  const auto event = decode(bytes, keys, channel, now);
  const auto* error = std::get_if<RoomEventError>(&event);
  return error == nullptr ? "" : error->message;
}

}  // namespace

TEST_CASE("a message comes out as it went in, signed and unsigned") {
  for (const auto& keys : {BatchKeys{}, k1}) {
    const std::string bytes = encode_room_message(message(), keys, room, 1'000ms);
    const auto event = decode(bytes, keys);
    REQUIRE(std::holds_alternative<RoomMessage>(event));
    const auto& back = std::get<RoomMessage>(event);
    CHECK(back.from_server == "a~1");
    CHECK(back.from_shard == 3);
    CHECK(back.skip_conn == 0x1000001);
    CHECK(back.skips_client);
    CHECK(back.receipt == std::numeric_limits<std::uint64_t>::max());
    CHECK(back.base == 100);
    CHECK(back.seq == 107);
    CHECK(back.from == "ada");
    CHECK(back.data == message().data);
  }
}

TEST_CASE("a presence event is text that a script can write, and its client may be called anything") {
  const PresenceEvent event{PresenceEvent::Kind::join, 1'785'000'000'000'001, 4, "carol with spaces 7"};
  const std::string bytes = encode_presence(event);
  CHECK(bytes == "P1 join 1785000000000001 4 carol with spaces 7");
  const auto back = decode(bytes, k1);  // also where messages are signed
  REQUIRE(std::holds_alternative<PresenceEvent>(back));
  CHECK(std::get<PresenceEvent>(back).kind == PresenceEvent::Kind::join);
  CHECK(std::get<PresenceEvent>(back).version == 1'785'000'000'000'001);
  CHECK(std::get<PresenceEvent>(back).size == 4);
  CHECK(std::get<PresenceEvent>(back).client == "carol with spaces 7");
  for (const auto kind : {PresenceEvent::Kind::leave, PresenceEvent::Kind::swept}) {
    const auto text = encode_presence({kind, 2, 0, "x"});
    CHECK(std::get<PresenceEvent>(decode(text)).kind == kind);
  }
}

TEST_CASE("a payload that looks like control is a payload") {
  for (const std::string_view data : {"P1 leave 1 0 victim", R"({"op":"leave","room":"chat:room:42"})", "R"}) {
    auto sent = message();
    sent.data = data;
    const std::string bytes = encode_room_message(sent, {}, room, 0ms);
    REQUIRE(std::holds_alternative<RoomMessage>(decode(bytes)));
    CHECK(std::get<RoomMessage>(decode(bytes)).data == data);
  }
}

TEST_CASE("what is signed cannot be changed, moved to another room, forged or replayed later") {
  const std::string bytes = encode_room_message(message(), k1, room, 1'000ms);
  CHECK(why(bytes, k1).empty());
  CHECK(why(bytes, k1, "chat:room:43").find("signature is wrong") != std::string::npos);
  CHECK(why(bytes, k1, room, 60'000ms).find("replayed") != std::string::npos);
  CHECK(why(bytes).find("no --bus-key") != std::string::npos);
  CHECK(why(encode_room_message(message(), {}, room, 0ms), k1).find("not signed") != std::string::npos);
  const BatchKeys other{{{"k1", "another-secret-of-16"}}, 30s};
  CHECK(why(bytes, other).find("signature is wrong") != std::string::npos);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    REQUIRE_FALSE(why(changed, k1).empty());
  }
}

TEST_CASE("what is cut short, too long or of another version is refused") {
  const std::string bytes = encode_room_message(message(), {}, room, 0ms);
  for (std::size_t size = 0; size < bytes.size(); ++size) REQUIRE_FALSE(why(bytes.substr(0, size)).empty());
  CHECK_FALSE(why(bytes + "x").empty());
  std::string newer = bytes;
  newer[1] = 3;
  CHECK(why(newer).find("version 3") != std::string::npos);
  CHECK_FALSE(why("W something else").empty());
  CHECK_FALSE(why(std::string(batch_bytes_limit + 1, 'R')).empty());
  for (const std::string_view text : {"P1 ", "P1 join", "P1 join 1", "P1 join 1 2", "P1 join 1 2 ", "P1 come 1 2 x",
                                      "P1 join x 2 y", "P1 join 1 -2 y", "P1 join 99999999999999999999 2 y"}) {
    CHECK_FALSE(why(text).empty());
  }
}

TEST_CASE("a number below its base is refused") {
  auto wrong = message();
  wrong.seq = 99;
  CHECK(why(encode_room_message(wrong, {}, room, 0ms)).find("below its base") != std::string::npos);
}
