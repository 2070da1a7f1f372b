#include "sim/server.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace wsr::sim {

VirtualServer::VirtualServer(Parts& parts, std::uint32_t number, std::uint32_t life, Nanos clock_offset)
    : parts_(parts),
      number_(number),
      life_(life),
      clock_offset_(clock_offset),
      id_(ServerId::trusted(fmt::format("s{}~{}", number, life))),
      session_(parts.kernel, parts.network, *parts.store, number, *this, *this) {}

VirtualServer::~VirtualServer() = default;

void VirtualServer::pause(bool is_paused) {
  if (std::exchange(is_paused_, is_paused) == is_paused) return;
  parts_.kernel.tell(is_paused ? Fact::Kind::server_asleep : Fact::Kind::server_awake, number_);
  if (is_paused) return;
  Nanos at = parts_.kernel.now();
  for (const Event& event : std::exchange(delayed_, {})) parts_.kernel.push(event, ++at);
}

bool VirtualServer::is_delayed(const Event& event) {
  if (is_paused_) delayed_.push_back(event);
  return is_paused_;
}

VirtualServer* living(const Parts& parts, const ServerId& id) {
  std::uint32_t number = 0, life = 0;  // s7~2
  const std::string_view name = id.name(), incarnation = id.incarnation();
  if (name.size() > 1) std::from_chars(name.data() + 1, name.data() + name.size(), number);
  std::from_chars(incarnation.data(), incarnation.data() + incarnation.size(), life);
  VirtualServer* server = parts.server(number);
  return server != nullptr && server->life() == life ? server : nullptr;
}

}  // namespace wsr::sim
