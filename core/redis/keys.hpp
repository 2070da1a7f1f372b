// Keys: the names of everything that wsr keeps in Redis. Braces mark the hash tag, so the keys of one client, server,
// room or table share a slot of a Redis Cluster.
//
// Thread-safety: immutable.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/routing/ports.hpp"

namespace wsr::redis {

class Keys {
public:
  explicit Keys(std::string prefix);

  [[nodiscard]] std::string own(const ClientId& client) const;    // HASH attachment -> "epoch claimed_at_us"
  [[nodiscard]] std::string lease(const ServerId& server) const;  // STRING with PX: what the server says of itself
  [[nodiscard]] std::string index(const ServerId& server) const;  // SET of index entries
  [[nodiscard]] std::string sweep(const ServerId& server) const;  // STRING with PX: who sweeps it
  [[nodiscard]] const std::string& servers() const { return servers_; }  // ZSET server -> last renewal in ms

  [[nodiscard]] std::string table(std::string_view name, std::string_view part) const;
  [[nodiscard]] std::string counter(std::string_view name) const;

  [[nodiscard]] std::string channel(const Channel& channel) const;
  /// For PSUBSCRIBE: the prefix literally, then the caller's pattern.
  [[nodiscard]] std::string pattern(const Channel& channel) const;
  /// channel() backwards; nullopt for a name that is not ours.
  [[nodiscard]] std::optional<Channel> channel_of(std::string_view name) const;
  /// pattern() backwards: the caller's own pattern.
  [[nodiscard]] std::optional<Channel> pattern_of(std::string_view name) const;

private:
  std::string prefix_, pattern_prefix_, servers_;
};

/// What a server's index says of one attachment: `shard/conn client`. The server is in the key's name.
[[nodiscard]] std::string index_entry(const ClientId& client, const Attachment& at);
struct IndexEntry {
  ClientId client;
  Attachment at;
};
[[nodiscard]] std::optional<IndexEntry> parse_index_entry(const ServerId& server, std::string_view text);

/// The value of an owner row.
struct RowValue {
  Epoch epoch;
  StoreTime claimed_at{};
};
[[nodiscard]] std::optional<RowValue> parse_row_value(std::string_view text);

}  // namespace wsr::redis
