// FabricClient: what the commands ask of the fabric, whichever way they reach it.
//
// Two ways: over a server's HTTP API (http_fabric), or as a guest of the shared store (store_fabric).
//
// Thread-safety: none; every call waits for its answer. Errors: std::runtime_error with a sentence.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.hpp"
#include "core/routing/ports.hpp"
#include "core/routing/router.hpp"

namespace wsr::cli {

struct SendResult {
  ClientId to;
  std::string state;   // delivered | queued | offline | dropped | unknown; accepted when nobody waited
  std::string reason;  // of dropped
  ServerId server;     // who delivered it
  double ms = 0;
};

class FabricClient {
public:
  virtual ~FabricClient() = default;
  /// `data` is one JSON value. One result for each recipient, in their order.
  [[nodiscard]] virtual std::vector<SendResult> send(const ClientId& from, const std::vector<ClientId>& to,
                                                     std::string_view data, Wait wait) = 0;
  /// No rows: offline.
  [[nodiscard]] virtual std::vector<OwnerRow> lookup(const ClientId& client) = 0;
  [[nodiscard]] virtual OwnerPage page(std::string_view cursor, std::uint32_t count) = 0;
  [[nodiscard]] virtual OwnerCounts counts() = 0;
  [[nodiscard]] virtual Servers servers() = 0;
  /// Closes every connection of the client; how many there were.
  [[nodiscard]] virtual std::uint64_t kick(const ClientId& client) = 0;

  // ---- rooms
  [[nodiscard]] virtual RoomPage rooms(std::string_view cursor, std::uint32_t count) = 0;
  [[nodiscard]] virtual RoomInfo room_info(const RoomName& room) = 0;
  [[nodiscard]] virtual RosterPage room_members(const RoomName& room, std::string_view cursor, std::uint32_t count) = 0;
  [[nodiscard]] virtual bool is_member(const RoomName& room, const ClientId& client) = 0;
  /// offline, not_found, capacity and forbidden are answers; a store that is away is an exception.
  [[nodiscard]] virtual RoomDone join(const RoomName& room, const ClientId& client) = 0;
  [[nodiscard]] virtual RoomDone leave(const RoomName& room, const ClientId& client) = 0;
  /// `data` is one JSON value. rate_limited and too_big are answers.
  [[nodiscard]] virtual RoomPushed push(const RoomName& room, const ClientId& from, std::string_view data,
                                        Echo echo) = 0;
  /// Hears the room until `interruption`. `on_frame` gets what a member would read (wsr.v1: room, presence), first of
  /// all {"op":"watching"}; it may be called on another thread, never twice at once.
  virtual void watch(const RoomName& room, const std::function<void(std::string_view frame)>& on_frame,
                     const Interruption& interruption) = 0;
};

}  // namespace wsr::cli
