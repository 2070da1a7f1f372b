#include "core/net/upgrade.hpp"

#include <algorithm>

#include "core/net/origin.hpp"
#include "core/net/query.hpp"
#include "core/wire/client_protocol.hpp"
#include "core/wire/ws_frame.hpp"

namespace wsr::net {
namespace {

bool is_same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

/// True if the comma-separated header `list` holds `token`.
bool has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    auto item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(item.size() + 1, list.size()));
    while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
    while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
    if (is_same_word(item, token)) return true;
  }
  return false;
}

/// Base64 of 16 bytes: 22 digits and two pads (RFC 6455 section 4.1).
bool is_key(std::string_view key) {
  const auto is_digit = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  };
  return key.size() == 24 && key.ends_with("==") && std::all_of(key.begin(), key.end() - 2, is_digit);
}

/// ROOM of /api/rooms/ROOM/watch, still percent-encoded.
std::optional<std::string_view> watched_room(std::string_view path) {
  static constexpr std::string_view head = "/api/rooms/", tail = "/watch";
  if (!path.starts_with(head) || !path.ends_with(tail) || path.size() <= head.size() + tail.size()) {
    return std::nullopt;
  }
  path.remove_prefix(head.size());
  path.remove_suffix(tail.size());
  if (path.find('/') != std::string_view::npos) return std::nullopt;
  return path;
}

std::optional<Upgrade::Kind> kind_of(std::string_view path, const UpgradeRules& rules) {
  if (path == "/chat") return Upgrade::Kind::chat;
  if (path == "/echo" && rules.has_echo) return Upgrade::Kind::echo;
  if (watched_room(path)) return Upgrade::Kind::watch;
  return std::nullopt;
}

/// A page that may connect whatever Host says: it is listed, or Host is the page's own and a proxy wrote it.
bool is_let_in(const UpgradeRequest& request, const UpgradeRules& rules) {
  if (request.origin.empty()) return false;
  if (is_origin_listed(request.origin, rules.origins)) return true;
  return is_origin_allowed(request.origin, request.host, {}, rules.own_port) &&
         came_through_proxy(request.origin, request.host, rules.is_over_loopback ? rules.own_port : 0);
}

}  // namespace

Refusal foreign_host(std::string_view host) {
  const std::string name(host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':')));
  return {
      403, "forbidden",
      "this server does not go by the name " + name + ": connect to its own address, or start it with --host " + name};
}

bool is_upgrade(const UpgradeRequest& request, const UpgradeRules& rules) {
  return has_token(request.upgrade, "websocket") || kind_of(split_target(request.target).path, rules).has_value();
}

std::variant<Upgrade, Refusal> decide_upgrade(const UpgradeRequest& request, const UpgradeRules& rules) {
  const auto target = split_target(request.target);
  const auto kind = kind_of(target.path, rules);
  if (!kind) return Refusal{404, "not_found", "no WebSocket is served here: connect to /chat?user=ID"};
  if (request.method != "GET") return Refusal{405, "method_not_allowed", "a WebSocket upgrade must be a GET request"};
  if (rules.is_draining) return Refusal{503, "draining", "this server is stopping: reconnect to another one"};
  if (request.version < 11) return Refusal{400, "bad_request", "a WebSocket needs HTTP/1.1"};
  if (!has_token(request.upgrade, "websocket") || !has_token(request.connection, "upgrade")) {
    return Refusal{426, "upgrade_required",
                   "this path speaks WebSocket: send Upgrade: websocket and Connection: Upgrade"};
  }
  if (request.ws_version != "13") return Refusal{426, "upgrade_required", "Sec-WebSocket-Version must be 13"};
  if (!is_key(request.ws_key)) return Refusal{400, "bad_request", "Sec-WebSocket-Key must be 16 bytes in base64"};
  if (rules.is_foreign_host && !is_let_in(request, rules)) return foreign_host(request.host);
  if (!is_origin_allowed(request.origin, request.host, rules.origins, rules.own_port)) {
    return Refusal{403, "forbidden",
                   "pages of " + std::string(request.origin) +
                       " may not connect here: start the server with --origin " + std::string(request.origin)};
  }
  if (rules.is_full) {
    return Refusal{503, "capacity", "this server holds as many connections as it may: raise --connections-max"};
  }
  Upgrade upgrade{*kind, std::nullopt, {}, ws_accept_key(request.ws_key), has_token(request.ws_protocol, "wsr.v1")};
  if (*kind == Upgrade::Kind::echo) return upgrade;
  if (*kind == Upgrade::Kind::watch) {
    const auto name = path_decoded(*watched_room(target.path));
    if (!name) return Refusal{400, "bad_request", "the room's name holds a % without two hexadecimal digits"};
    auto room = RoomName::parse(*name);
    if (!room) return Refusal{400, "bad_request", room.error().message};
    upgrade.room = std::move(*room);
    return upgrade;
  }
  const auto user = query_value(target.query, "user");
  if (user.state == QueryValue::State::malformed) {
    return Refusal{400, "bad_request", "user= holds a % that is not followed by two hexadecimal digits"};
  }
  if (user.state == QueryValue::State::found) {
    auto client = ClientId::parse(user.value);
    if (!client) return Refusal{400, "bad_request", "user: " + client.error().message};
    upgrade.client = std::move(*client);
  }
  return upgrade;
}

std::string error_json(std::string_view code, std::string_view message, std::chrono::milliseconds retry_after) {
  std::string out = R"({"error":{"code":)";
  append_json_string(out, code);
  out += R"(,"message":)";
  append_json_string(out, message);
  if (retry_after.count() > 0) out += ",\"retry_after_ms\":" + std::to_string(retry_after.count());
  out += "}}";
  return out;
}

}  // namespace wsr::net
