#include "core/wire/room_envelope.hpp"

#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "core/wire/codec.hpp"
#include "core/wire/signature.hpp"

namespace wsr {
namespace {

constexpr char magic = 'R';
constexpr std::uint8_t version = room_version;
constexpr std::uint8_t signed_flag = 1;
constexpr std::uint8_t skips_client_flag = 2;
constexpr std::string_view presence_head = "P1 ";  // the version of presence events is their own

std::string_view word_of(PresenceEvent::Kind kind) {
  switch (kind) {
    case PresenceEvent::Kind::join:
      return "join";
    case PresenceEvent::Kind::leave:
      return "leave";
    case PresenceEvent::Kind::swept:
      break;
  }
  return "swept";
}

RoomEventError wrong(std::string_view what) { return RoomEventError{std::string(what)}; }

/// Takes the text up to the next space, and the space.
std::string_view take_word(std::string_view& rest) {
  const auto space = rest.find(' ');
  if (space == std::string_view::npos) return {};
  const auto word = rest.substr(0, space);
  rest.remove_prefix(space + 1);
  return word;
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

RoomEvent decode_presence(std::string_view rest) {
  rest.remove_prefix(presence_head.size());
  const auto kind = take_word(rest);
  const auto roster_version = number_of(take_word(rest));
  const auto size = number_of(take_word(rest));
  PresenceEvent event;
  bool is_known = false;
  for (const auto each : {PresenceEvent::Kind::join, PresenceEvent::Kind::leave, PresenceEvent::Kind::swept}) {
    if (word_of(each) != kind) continue;
    event.kind = each;
    is_known = true;
  }
  if (!is_known || !roster_version || !size || rest.empty()) return wrong("the presence event is not readable");
  event.version = *roster_version;
  event.size = *size;
  event.client = rest;
  return event;
}

}  // namespace

std::string encode_room_message(const RoomMessage& message, const BatchKeys& keys, std::string_view channel,
                                std::chrono::milliseconds time) {
  const BatchKey* const key = codec::signer(keys);
  std::string out;
  out.reserve(message.from_server.size() + message.from.size() + message.data.size() + 128);
  out.push_back(magic);
  codec::put_byte(out, version);
  codec::put_byte(out, static_cast<std::uint8_t>((key == nullptr ? 0 : signed_flag) |
                                                 (message.skips_client ? skips_client_flag : 0)));
  if (key != nullptr) codec::put_signer(out, *key, time);
  codec::put_text(out, message.from_server);
  codec::put_number(out, message.from_shard);
  codec::put_number(out, message.skip_conn);
  codec::put_number(out, message.receipt);
  codec::put_number(out, message.deadline);
  codec::put_number(out, message.base);
  codec::put_number(out, message.seq);
  codec::put_text(out, message.from);
  codec::put_text(out, message.data);
  if (key != nullptr) codec::put_mac(out, *key, channel);
  return out;
}

std::string encode_presence(const PresenceEvent& event) {
  std::string out(presence_head);
  out.append(word_of(event.kind)).append(1, ' ');
  out.append(std::to_string(event.version)).append(1, ' ');
  out.append(std::to_string(event.size)).append(1, ' ');
  return out.append(event.client);
}

std::optional<std::uint8_t> foreign_room_version(std::string_view bytes) {
  if (bytes.size() >= 2 && bytes.front() == magic) {
    const auto spoken = static_cast<std::uint8_t>(bytes[1]);
    return spoken == version ? std::nullopt : std::optional(spoken);
  }
  const bool is_presence = bytes.size() >= 3 && bytes[0] == presence_head[0] && bytes[2] == presence_head[2];
  if (!is_presence || bytes[1] < '0' || bytes[1] > '9' || bytes[1] == presence_head[1]) return std::nullopt;
  return static_cast<std::uint8_t>(bytes[1] - '0');
}

RoomEvent decode_room_event(std::string_view bytes, const BatchKeys& keys, std::string_view channel,
                            std::chrono::milliseconds now) {
  if (bytes.size() > batch_bytes_limit) return wrong("a room's message is above the limit of a batch");
  if (bytes.starts_with(presence_head)) return decode_presence(bytes);
  codec::Reader reader(bytes);
  if (reader.byte() != static_cast<std::uint8_t>(magic)) return wrong("this is no message of a room");
  if (const auto spoken = reader.byte(); !reader.has_failed() && spoken != version) {
    return wrong("a room's message of version " + std::to_string(spoken) + ": this server speaks version " +
                 std::to_string(version));
  }
  const std::uint8_t flags = reader.byte();
  if (reader.has_failed() || (flags & ~(signed_flag | skips_client_flag)) != 0) {
    return wrong("the message's head is not readable");
  }
  const bool is_signed = (flags & signed_flag) != 0;
  if (is_signed && keys.keys.empty()) return wrong("the message is signed, but this server has no --bus-key");
  if (!is_signed && !keys.keys.empty()) return wrong("the message is not signed, but this server has a --bus-key");
  std::chrono::milliseconds signed_at{0};
  if (is_signed) {
    codec::Reader head = reader;
    (void)head.text();  // the key's id
    signed_at = std::chrono::milliseconds{head.number(std::numeric_limits<std::int64_t>::max())};
    if (auto error = codec::verify("the message", bytes, reader, keys, channel, now)) {
      return RoomEventError{std::move(*error)};
    }
  }
  RoomMessage message;
  message.time = signed_at;
  message.skips_client = (flags & skips_client_flag) != 0;
  message.from_server = reader.text();
  message.from_shard = reader.number_of<std::uint16_t>();
  message.skip_conn = reader.number();
  message.receipt = reader.number();
  message.deadline = reader.number();
  message.base = reader.number();
  message.seq = reader.number();
  message.from = reader.text();
  message.data = reader.text();
  if (reader.has_failed() || reader.left() != 0) return wrong("the message is not readable");
  if (message.seq < message.base) return wrong("the message's number is below its base");
  return message;
}

}  // namespace wsr
