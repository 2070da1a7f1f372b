// Channel: where a message is published. The bus carries it at most once, in each publisher's order.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace wsr {

enum class ChannelKind : std::uint8_t {
  inbox,  // one server's; name = ServerId text
  app,    // the application's own (broadcast and subscribe); name = anything of 1-256 bytes
  room,   // name = room name
};

struct Channel {
  ChannelKind kind = ChannelKind::app;
  std::string name;
  auto operator<=>(const Channel&) const = default;
};

enum class Match : std::uint8_t { exact, pattern };  // pattern: glob of Redis' PSUBSCRIBE (* ? [])

}  // namespace wsr
