// Upgrade: may this HTTP request become a WebSocket, and whose?
//
// A decision without I/O (RFC 6455 section 4.2): the request in, an Upgrade or a Refusal out.
//
// Thread-safety: pure functions. Errors: a Refusal has the status and a sentence that says what to change.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/ids.hpp"

namespace wsr::net {

struct UpgradeRequest {
  std::string_view method;
  std::string_view target;
  unsigned version = 11;  // HTTP/1.1
  std::string_view host;
  std::string_view origin;  // empty: none
  std::string_view connection;
  std::string_view upgrade;
  std::string_view ws_version;
  std::string_view ws_key;
  std::string_view ws_protocol;  // those offered
};

struct UpgradeRules {
  const std::vector<std::string>& origins;
  std::uint16_t own_port = 0;     // that the connection came to; 0: unknown
  bool is_over_loopback = false;  // the connection came over the loopback interface
  bool is_foreign_host = false;   // Host is none of this server's names, see OwnHosts
  bool has_echo = false;
  bool is_draining = false;
  bool is_full = false;  // at connections_max
};

struct Upgrade {
  enum class Kind { chat, echo, watch } kind = Kind::chat;
  std::optional<ClientId> client;  // chat; none: a guest
  RoomName room;                   // watch
  std::string accept;              // Sec-WebSocket-Accept
  bool speaks_v1 = false;          // the subprotocol wsr.v1 was offered
};
struct Refusal {
  unsigned status = 400;
  std::string code;
  std::string message;
  std::chrono::milliseconds retry_after{0};  // Retry-After and "retry_after_ms"; 0: neither
};

/// True if the request asks for a WebSocket at all, or for a path that is nothing else.
[[nodiscard]] bool is_upgrade(const UpgradeRequest& request, const UpgradeRules& rules);
[[nodiscard]] std::variant<Upgrade, Refusal> decide_upgrade(const UpgradeRequest& request, const UpgradeRules& rules);

/// For a request whose Host is not one of this server's names.
[[nodiscard]] Refusal foreign_host(std::string_view host);

/// {"error":{"code":...,"message":...}}, with "retry_after_ms" unless that is 0.
[[nodiscard]] std::string error_json(std::string_view code, std::string_view message,
                                     std::chrono::milliseconds retry_after = {});

}  // namespace wsr::net
