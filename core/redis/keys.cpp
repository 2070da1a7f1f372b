#include "core/redis/keys.hpp"

#include <algorithm>
#include <utility>

#include "core/redis/resp.hpp"

namespace wsr::redis {
namespace {

/// A brace in a name would end the hash tag early; % itself is escaped so that two names never share a key.
std::string escaped(std::string_view name) {
  std::string out;
  out.reserve(name.size());
  for (const char c : name) {
    if (c == '{') {
      out.append("%7B");
    } else if (c == '}') {
      out.append("%7D");
    } else if (c == '%') {
      out.append("%25");
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string unescaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto code = text.substr(i, 3);
    if (code == "%7B" || code == "%7D" || code == "%25") {
      out.push_back(code == "%7B" ? '{' : code == "%7D" ? '}' : '%');
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

/// For the front of a glob pattern.
std::string glob_literal(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view{"*?[]\\^-"}.find(c) != std::string_view::npos) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

// The mark stands before the separator, and behind the brace of a room, where no name can write one.
std::string with_kind(const std::string& prefix, const std::string& db_mark, const Channel& channel) {
  switch (channel.kind) {
    case ChannelKind::inbox:
      return prefix + "in" + db_mark + ":" + channel.name;
    case ChannelKind::app:
      return prefix + "ch" + db_mark + ":" + channel.name;
    case ChannelKind::room:
      break;
  }
  return prefix + "{r:" + escaped(channel.name) + "}:ch" + db_mark;
}

std::optional<Channel> without_kind(std::string_view prefix, std::string_view db_mark, std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  constexpr std::string_view room_head = "{r:", room_tail = "}:ch";
  if (name.starts_with(room_head)) {
    if (!name.ends_with(db_mark)) return std::nullopt;
    name.remove_suffix(db_mark.size());
    if (!name.ends_with(room_tail) || name.size() < room_head.size() + room_tail.size()) return std::nullopt;
    name.remove_prefix(room_head.size());
    name.remove_suffix(room_tail.size());
    return Channel{ChannelKind::room, unescaped(name)};
  }
  const auto kind = name.starts_with("in")   ? std::optional(ChannelKind::inbox)
                    : name.starts_with("ch") ? std::optional(ChannelKind::app)
                                             : std::nullopt;
  if (!kind) return std::nullopt;
  name.remove_prefix(2);
  if (!name.starts_with(db_mark)) return std::nullopt;
  name.remove_prefix(db_mark.size());
  if (!name.starts_with(':')) return std::nullopt;
  return Channel{*kind, std::string{name.substr(1)}};
}

}  // namespace

Keys::Keys(std::string prefix, unsigned db)
    : prefix_(std::move(prefix)),
      pattern_prefix_(glob_literal(prefix_)),
      servers_(prefix_ + "servers"),
      rooms_(prefix_ + "rooms"),
      none_(prefix_ + "none"),
      db_mark_(db == 0 ? std::string{} : '@' + std::to_string(db)) {}

std::string Keys::own(const ClientId& client) const { return prefix_ + "{c:" + escaped(client.view()) + "}:own"; }
std::string Keys::lease(const ServerId& server) const { return prefix_ + "{s:" + server.str() + "}:lease"; }
std::string Keys::index(const ServerId& server) const { return prefix_ + "{s:" + server.str() + "}:idx"; }
std::string Keys::sweep(const ServerId& server) const { return prefix_ + "{s:" + server.str() + "}:sweep"; }

RoomKeys Keys::room(const RoomName& room) const {
  const std::string stem = prefix_ + "{r:" + escaped(room.view()) + "}:";
  return {stem + "members", stem + "names", stem + "ver", stem + "servers"};
}
std::string Keys::room_left(const RoomName& room, const ClientId& client) const {
  return prefix_ + "{r:" + escaped(room.view()) + "}:left:" + escaped(client.view());
}
std::string Keys::client_rooms(const ClientId& client) const {
  return prefix_ + "{c:" + escaped(client.view()) + "}:rooms";
}
std::string Keys::room_index(const ServerId& server) const { return prefix_ + "{s:" + server.str() + "}:rooms"; }
std::string Keys::rate(const RateKey& key) const {
  return prefix_ + (key.kind == RateKey::Kind::client ? "{c:" : "{r:") + escaped(key.name) + "}:rate";
}

std::string Keys::table(std::string_view name, std::string_view part) const {
  return prefix_ + "{t:" + std::string{name} + "}:" + std::string{part};
}
std::string Keys::counter(std::string_view name) const { return prefix_ + "{n:" + escaped(name) + "}:counter"; }

std::string Keys::channel(const Channel& channel) const { return with_kind(prefix_, db_mark_, channel); }
std::string Keys::pattern(const Channel& channel) const { return with_kind(pattern_prefix_, db_mark_, channel); }
std::optional<Channel> Keys::channel_of(std::string_view name) const { return without_kind(prefix_, db_mark_, name); }
std::optional<Channel> Keys::pattern_of(std::string_view name) const {
  return without_kind(pattern_prefix_, db_mark_, name);
}

std::string index_entry(const ClientId& client, const Attachment& at) {
  const std::string text = at.str();
  std::string entry = text.substr(at.server.str().size() + 1);
  return entry.append(1, ' ').append(client.view());
}

std::optional<IndexEntry> parse_index_entry(const ServerId& server, std::string_view text) {
  const auto space = text.find(' ');
  if (space == std::string_view::npos || space + 1 == text.size()) return std::nullopt;
  auto at = Attachment::parse(server.str() + '/' + std::string{text.substr(0, space)});
  if (!at) return std::nullopt;
  return IndexEntry{ClientId::trusted(text.substr(space + 1)), *std::move(at)};
}

std::string room_index_entry(const RoomName& room, const ClientId& client, const Attachment& at) {
  return index_entry(client, at).append(1, '\n').append(room.view());
}

std::optional<RoomIndexEntry> parse_room_index_entry(const ServerId& server, std::string_view text) {
  const auto newline = text.find('\n');
  if (newline == std::string_view::npos || newline + 1 == text.size()) return std::nullopt;
  auto entry = parse_index_entry(server, text.substr(0, newline));
  if (!entry) return std::nullopt;
  return RoomIndexEntry{RoomName::trusted(text.substr(newline + 1)), std::move(entry->client), std::move(entry->at)};
}

std::string client_room(const RoomName& room, const Attachment& at) {
  return at.str().append(1, ' ').append(room.view());
}

std::vector<std::pair<Attachment, Epoch>> parse_devices(std::string_view text) {
  std::vector<std::pair<Attachment, Epoch>> devices;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto space = line.find(' ');
    if (space == std::string_view::npos) continue;
    auto at = Attachment::parse(line.substr(0, space));
    const auto epoch = parse_u64(line.substr(space + 1));
    if (at && epoch) devices.emplace_back(std::move(*at), Epoch{*epoch});
  }
  return devices;
}

std::optional<RowValue> parse_row_value(std::string_view text) {
  const auto space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto epoch = parse_u64(text.substr(0, space));
  const auto claimed_at = parse_i64(text.substr(space + 1));
  if (!epoch || !claimed_at) return std::nullopt;
  return RowValue{Epoch{*epoch}, StoreTime{std::chrono::microseconds{*claimed_at}}};
}

}  // namespace wsr::redis
