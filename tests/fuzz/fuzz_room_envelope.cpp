// What comes over a room's channel from anyone, and the way there and back: what is decoded and encoded again has the
// same bytes, signed and unsigned, and nobody guesses a MAC.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/wire/room_envelope.hpp"
#include "tests/fuzz/require.hpp"

using namespace wsr;

namespace {

const BatchKeys keys{{{"k1", "0123456789abcdef"}}, std::chrono::milliseconds{1000}};
constexpr std::string_view room = "chat:room:42";

void check_arbitrary(const std::string& bytes) {
  const auto event = decode_room_event(bytes, {}, room, {});
  if (const auto* message = std::get_if<RoomMessage>(&event)) {
    WSR_REQUIRE(encode_room_message(*message, {}, room, {}) == bytes);
    WSR_REQUIRE(std::holds_alternative<RoomEventError>(decode_room_event(bytes, keys, room, {})));
  } else if (const auto* presence = std::get_if<PresenceEvent>(&event)) {
    const auto back = encode_presence(*presence);
    const auto again = decode_room_event(back, {}, room, {});
    const auto* same = std::get_if<PresenceEvent>(&again);
    WSR_REQUIRE(same != nullptr && same->kind == presence->kind && same->version == presence->version);
    WSR_REQUIRE(same->size == presence->size && same->client == presence->client);
  } else {
    WSR_REQUIRE(!std::get<RoomEventError>(event).message.empty());
  }
}

void check_round_trip(FuzzedDataProvider& data) {
  const std::string server = data.ConsumeRandomLengthString(80), from = data.ConsumeRandomLengthString(130),
                    payload = data.ConsumeRandomLengthString(400);
  RoomMessage message;
  message.from_server = server;
  message.from_shard = data.ConsumeIntegral<std::uint16_t>();
  message.skip_conn = data.ConsumeIntegral<std::uint64_t>();
  message.skips_client = data.ConsumeBool();
  message.receipt = data.ConsumeIntegral<std::uint64_t>();
  message.base = data.ConsumeIntegral<std::uint32_t>();
  message.seq = message.base + data.ConsumeIntegral<std::uint32_t>();
  message.from = from;
  message.data = payload;
  for (const auto& with : {BatchKeys{}, keys}) {
    auto bytes = encode_room_message(message, with, room, {});
    const auto decoded = decode_room_event(bytes, with, room, {});
    const auto* back = std::get_if<RoomMessage>(&decoded);
    WSR_REQUIRE(back != nullptr);
    WSR_REQUIRE(encode_room_message(*back, with, room, {}) == bytes);
    if (with.keys.empty()) continue;
    const auto at = data.ConsumeIntegralInRange<std::size_t>(0, bytes.size() - 1);
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << data.ConsumeIntegralInRange(0, 7)));
    WSR_REQUIRE(!std::holds_alternative<RoomMessage>(decode_room_event(bytes, with, room, {})));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size != 0 && (data[0] == 'R' || data[0] == 'P')) {
    check_arbitrary(std::string(reinterpret_cast<const char*>(data), size));
  } else {
    FuzzedDataProvider provider(data, size);
    check_round_trip(provider);
  }
  return 0;
}
