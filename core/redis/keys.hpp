// Keys: the names of everything that wsr keeps in Redis. Braces mark the hash tag, so the keys of one client, server,
// room or table share a slot of a Redis Cluster.
//
// Keys live in a numbered database, channels do not: SELECT has no effect on pub/sub. So a channel's name carries the
// number of its database (`wsr:in@1:web-1`), and two fabrics on one Redis never hear each other. Database 0 adds
// nothing.
//
// Thread-safety: immutable.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/store/store.hpp"

namespace wsr::redis {

/// The keys of one room's roster, in the order in which its scripts take them.
struct RoomKeys {
  std::string members;  // HASH client -> "attachment epoch" lines
  std::string names;    // ZSET clients, by name
  std::string version;  // STRING
  std::string servers;  // HASH server -> attachments
};

class Keys {
public:
  explicit Keys(std::string prefix, unsigned db = 0);

  [[nodiscard]] std::string own(const ClientId& client) const;     // HASH attachment -> "epoch claimed_at_us"
  [[nodiscard]] std::string lease(const ServerId& server) const;   // STRING with PX: what the server says of itself
  [[nodiscard]] std::string index(const ServerId& server) const;   // SET of index entries
  [[nodiscard]] std::string sweep(const ServerId& server) const;   // STRING with PX: who sweeps it
  [[nodiscard]] const std::string& none() const { return none_; }  // never there: for writes that change nothing
  [[nodiscard]] const std::string& servers() const { return servers_; }  // ZSET server -> last renewal in ms

  [[nodiscard]] RoomKeys room(const RoomName& room) const;
  [[nodiscard]] std::string room_left(const RoomName& room,
                                      const ClientId& client) const;     // STRING with PX: "version at_us" of a leave
  [[nodiscard]] std::string client_rooms(const ClientId& client) const;  // HASH "attachment room" -> epoch
  [[nodiscard]] std::string room_index(const ServerId& server) const;    // SET of room index entries
  [[nodiscard]] const std::string& rooms() const { return rooms_; }      // ZSET rooms, by name
  [[nodiscard]] std::string rate(const RateKey& key) const;              // STRING with PX: "level at_us"

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
  std::string prefix_, pattern_prefix_, servers_, rooms_, none_;
  std::string db_mark_;  // of every channel: "@1"; empty for database 0
};

/// What a server's index says of one attachment: `shard/conn client`. The server is in the key's name.
[[nodiscard]] std::string index_entry(const ClientId& client, const Attachment& at);
struct IndexEntry {
  ClientId client;
  Attachment at;
};
[[nodiscard]] std::optional<IndexEntry> parse_index_entry(const ServerId& server, std::string_view text);

/// The same of an attachment in a room: `shard/conn client`, a newline, the room. No name contains one.
[[nodiscard]] std::string room_index_entry(const RoomName& room, const ClientId& client, const Attachment& at);
struct RoomIndexEntry {
  RoomName room;
  ClientId client;
  Attachment at;
};
[[nodiscard]] std::optional<RoomIndexEntry> parse_room_index_entry(const ServerId& server, std::string_view text);

/// What a client notes of one of its attachments in a room: the field's name.
[[nodiscard]] std::string client_room(const RoomName& room, const Attachment& at);

/// What a roster says of one client: its attachments with their epochs.
[[nodiscard]] std::vector<std::pair<Attachment, Epoch>> parse_devices(std::string_view text);

/// The value of an owner row.
struct RowValue {
  Epoch epoch;
  StoreTime claimed_at{};
};
[[nodiscard]] std::optional<RowValue> parse_row_value(std::string_view text);

}  // namespace wsr::redis
