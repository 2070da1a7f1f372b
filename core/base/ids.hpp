// Names of clients, servers, connections: distinct types, checked once at the edge.
//
// Swapping two of them does not compile. Inside the core every id is already valid.
//
// Bounds: client and room names 1-128 bytes of UTF-8 without control characters; server names 1-64 of
//         [A-Za-z0-9._:-]; an incarnation is 1-16 of [a-z0-9].
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/errc.hpp"
#include "core/base/keyed_hash.hpp"

namespace wsr {

inline constexpr std::size_t name_bytes_max = 128;        // client ids and room names
inline constexpr std::size_t server_name_bytes_max = 64;  // host:pid fits; it becomes part of key names

/// A client: a stable id chosen by the application (account, session, device group).
class ClientId {
public:
  ClientId() = default;  // empty: nobody
  [[nodiscard]] static Result<ClientId> parse(std::string_view text);
  /// parse() without the copy: Errc::ok, or what is wrong.
  [[nodiscard]] static Error check(std::string_view text);
  /// For text that is known to be valid (read back from our own state).
  [[nodiscard]] static ClientId trusted(std::string_view text);
  [[nodiscard]] std::string_view view() const { return text_; }
  [[nodiscard]] const std::string& str() const { return text_; }
  [[nodiscard]] bool is_empty() const { return text_.empty(); }
  auto operator<=>(const ClientId&) const = default;

private:
  std::string text_;
};

/// A room: a name chosen by the application; `chat:room:42` is fine.
class RoomName {
public:
  RoomName() = default;  // empty: no room
  [[nodiscard]] static Result<RoomName> parse(std::string_view text);
  /// parse() without the copy: Errc::ok, or what is wrong.
  [[nodiscard]] static Error check(std::string_view text);
  /// For text that is known to be valid (read back from our own state).
  [[nodiscard]] static RoomName trusted(std::string_view text);
  [[nodiscard]] std::string_view view() const { return text_; }
  [[nodiscard]] const std::string& str() const { return text_; }
  [[nodiscard]] bool is_empty() const { return text_.empty(); }
  auto operator<=>(const RoomName&) const = default;

private:
  std::string text_;
};

/// A server: `name~incarnation`. The incarnation is new at every start, so a name can be used again.
class ServerId {
public:
  ServerId() = default;  // empty: no server
  [[nodiscard]] static Result<ServerId> parse(std::string_view text);
  [[nodiscard]] static Result<ServerId> make(std::string_view name, std::string_view incarnation);
  [[nodiscard]] static ServerId trusted(std::string_view text);
  [[nodiscard]] std::string_view view() const { return text_; }
  [[nodiscard]] const std::string& str() const { return text_; }
  [[nodiscard]] std::string_view name() const;  // the part before '~'
  [[nodiscard]] std::string_view incarnation() const;
  [[nodiscard]] bool is_empty() const { return text_.empty(); }
  auto operator<=>(const ServerId&) const = default;

private:
  std::string text_;
};

/// Twelve random base-36 characters, from 64 random bits: the incarnation of a server.
[[nodiscard]] std::string make_incarnation(std::uint64_t random_bits);

using ShardIndex = std::uint16_t;

/// One connection within one shard of one incarnation of a server. Never reused:
/// the upper 40 bits count up, the lower 24 name a slot.
struct ConnId {
  std::uint64_t value = 0;  // 0: no connection
  [[nodiscard]] static constexpr ConnId make(std::uint64_t serial, std::uint32_t slot) {
    return ConnId{(serial << 24) | slot};
  }
  [[nodiscard]] constexpr std::uint32_t slot() const { return static_cast<std::uint32_t>(value & 0xFFFFFF); }
  [[nodiscard]] constexpr std::uint64_t serial() const { return value >> 24; }
  auto operator<=>(const ConnId&) const = default;
};

/// Grows with every claim of a client, also over failovers: at least the store's time in microseconds.
struct Epoch {
  std::uint64_t value = 0;  // 0: never claimed
  auto operator<=>(const Epoch&) const = default;
};

/// One shard of one server: where batches go.
struct ShardAddress {
  ServerId server;
  ShardIndex shard = 0;
  auto operator<=>(const ShardAddress&) const = default;
};

/// Where exactly a client is attached. As text: `server/shard/conn`, conn in hexadecimal.
struct Attachment {
  ServerId server;
  ShardIndex shard = 0;
  ConnId conn;
  [[nodiscard]] static std::optional<Attachment> parse(std::string_view text);
  [[nodiscard]] std::string str() const;
  [[nodiscard]] ShardAddress address() const { return {server, shard}; }
  auto operator<=>(const Attachment&) const = default;
};

}  // namespace wsr

// Keyed: all of these come from outside. A table keeps the key that it was made with.
template <>
struct std::hash<wsr::ClientId> {
  wsr::KeyedHash keyed{};
  std::size_t operator()(const wsr::ClientId& id) const noexcept { return keyed(id.view()); }
};
template <>
struct std::hash<wsr::ServerId> {
  wsr::KeyedHash keyed{};
  std::size_t operator()(const wsr::ServerId& id) const noexcept { return keyed(id.view()); }
};
template <>
struct std::hash<wsr::ShardAddress> {
  wsr::KeyedHash keyed{};
  std::size_t operator()(const wsr::ShardAddress& a) const noexcept { return keyed(a.server.view()) + a.shard; }
};
