#include "core/redis/sweep.hpp"

#include <algorithm>
#include <utility>

#include "core/redis/batch.hpp"

namespace wsr::redis {

void Sweep::run(Connection& connection, const Keys& keys, const ServerId& dead, const ServerId& by,
                PresenceEvent::Kind kind, std::function<void(Swept)> done) {
  std::make_shared<Sweep>(connection, keys, dead, by, kind, std::move(done))->begin();
}

Sweep::Sweep(Connection& connection, const Keys& keys, ServerId dead, ServerId by, PresenceEvent::Kind kind,
             std::function<void(Swept)> done)
    : connection_(connection),
      keys_(keys),
      dead_(std::move(dead)),
      by_(std::move(by)),
      kind_(kind == PresenceEvent::Kind::swept ? "swept" : "leave"),
      done_(std::move(done)),
      lease_key_(keys.lease(dead_)),
      lock_key_(keys.sweep(dead_)),
      index_key_(keys.index(dead_)),
      room_index_key_(keys.room_index(dead_)) {}

void Sweep::begin() {
  connection_.eval(scripts::sweep_begin, {lease_key_, lock_key_}, {by_.view(), lock_ms},
                   [self = shared_from_this()](const Reply& reply) {
                     if (reply.result() != Errc::ok) return self->end(reply.result());
                     if (reply.integer() != 1) return self->end(Errc::conflict);
                     self->next_rows();
                   });
}

void Sweep::next_page(const std::string& index_key, std::function<void(const Reply&)> read) {
  connection_.eval(scripts::sweep_page, {lease_key_, lock_key_, index_key},
                   {by_.view(), lock_ms, cursor_, page_entries},
                   [self = shared_from_this(), read = std::move(read)](const Reply& reply) {
                     if (reply.result() != Errc::ok) return self->end(reply.result());
                     if (reply.size() != 2) return self->end(Errc::conflict);
                     self->cursor_ = reply[0].text();
                     read(reply[1]);
                   });
}

// ---------------------------------------------------------------- owner rows

void Sweep::next_rows() {
  next_page(index_key_, [this](const Reply& members) { read_rows(members); });  // next_page() keeps this alive
}

void Sweep::read_rows(const Reply& members) {
  rows_.clear();
  for (std::size_t i = 0; i < members.size(); ++i) {
    const auto member = members[i].text();
    auto entry = parse_index_entry(dead_, member);
    // What nobody of us has written is not ours to follow; it goes with the index.
    if (entry) rows_.push_back({std::move(*entry), std::string{member}, {}, false});
  }
  if (rows_.empty()) return remove_row_entries();
  auto batch = std::make_shared<Batch>([self = shared_from_this()](Errc result) {
    if (result != Errc::ok) return self->end(result);
    self->remove_rows();
  });
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const IndexEntry& entry = rows_[i].entry;
    connection_.send({"HGET", keys_.own(entry.client), entry.at.str()},
                     batch->each([self = shared_from_this(), i](const Reply& reply) {
                       self->rows_[i].value = reply.text();
                       self->rows_[i].is_gone = reply.is_nil();
                     }));
  }
}

void Sweep::remove_rows() {
  auto batch = std::make_shared<Batch>([self = shared_from_this()](Errc result) {
    if (result != Errc::ok) return self->end(result);
    self->remove_row_entries();
  });
  bool is_any = false;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const Row& row = rows_[i];
    if (row.is_gone) continue;
    is_any = true;
    connection_.eval(scripts::sweep_row, {keys_.own(row.entry.client)}, {row.entry.at.str(), row.value},
                     batch->each([self = shared_from_this(), i](const Reply& reply) {
                       if (reply.integer() != 1) return;  // asserted again meanwhile: the row and its entry stay
                       self->rows_[i].is_gone = true;
                       ++self->swept_.rows_removed;
                     }));
  }
  if (!is_any) remove_row_entries();
}

void Sweep::remove_row_entries() {
  std::vector<std::string_view> words{"SREM", index_key_};
  for (const Row& row : rows_) {
    if (row.is_gone) words.push_back(row.member);
  }
  if (words.size() > 2) connection_.send(words, {});
  if (cursor_ != "0") return next_rows();
  next_places();
}

// ---------------------------------------------------------------- places in rooms

void Sweep::next_places() {
  next_page(room_index_key_, [this](const Reply& members) { read_places(members); });
}

void Sweep::read_places(const Reply& members) {
  places_.clear();
  emptied_.clear();
  for (std::size_t i = 0; i < members.size(); ++i) {
    const auto member = members[i].text();
    auto entry = parse_room_index_entry(dead_, member);
    if (entry) places_.push_back({std::move(*entry), std::string{member}, {}, {}, false});
  }
  if (places_.empty()) return remove_place_entries();
  auto batch = std::make_shared<Batch>([self = shared_from_this()](Errc result) {
    if (result != Errc::ok) return self->end(result);
    self->remove_places();
  });
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const auto& [room, client, at] = places_[i].entry;
    connection_.send({"HGET", keys_.room(room).members, client.view()},
                     batch->each([self = shared_from_this(), i](const Reply& reply) {
                       Place& place = self->places_[i];
                       place.is_gone = true;
                       for (const auto& [device, epoch] : parse_devices(reply.text())) {
                         if (device != place.entry.at) continue;
                         place.epoch = text_of(epoch.value);
                         place.is_gone = false;
                       }
                     }));
    connection_.send(
        {"HGET", keys_.client_rooms(client), client_room(room, at)},
        batch->each([self = shared_from_this(), i](const Reply& reply) { self->places_[i].note = reply.text(); }));
  }
}

void Sweep::remove_places() {
  auto batch = std::make_shared<Batch>([self = shared_from_this()](Errc result) {
    if (result != Errc::ok) return self->end(result);
    self->remove_place_entries();
  });
  bool is_any = false;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const Place& place = places_[i];
    const auto& [room, client, at] = place.entry;
    if (!place.is_gone) {
      is_any = true;
      const RoomKeys keys = keys_.room(room);
      connection_.eval(scripts::room_drop, {keys.members, keys.names, keys.version, keys.servers},
                       {client.view(), at.str(), place.epoch, keys_.channel({ChannelKind::room, room.str()}), kind_},
                       batch->each([self = shared_from_this(), i](const Reply& reply) {
                         if (reply[0].integer() != 1) return;  // joined again meanwhile: place and entry stay
                         self->places_[i].is_gone = true;
                         ++self->swept_.memberships_removed;
                         if (reply[1].integer() == 0) self->emptied_.push_back(self->places_[i].entry.room);
                       }));
    }
    if (!place.note.empty()) {
      // Another slot, so fenced by itself. Should it be of a join that is under way to the roster: its server finds its
      // lease missing when it next renews, and joins everything again.
      is_any = true;
      connection_.eval(scripts::client_sweep, {keys_.client_rooms(client)}, {client_room(room, at), place.note},
                       batch->each());
    }
  }
  if (!is_any) remove_place_entries();
}

void Sweep::remove_place_entries() {
  std::vector<std::string_view> words{"SREM", room_index_key_};
  for (const Place& place : places_) {
    if (place.is_gone) words.push_back(place.member);
  }
  if (words.size() > 2) connection_.send(words, {});
  for (const RoomName& room : emptied_) {
    connection_.send({"ZREM", keys_.rooms(), room.view()}, {});
    connection_.send({"EXISTS", keys_.room(room).members}, [self = shared_from_this(), room](const Reply& reply) {
      if (reply.result() == Errc::ok && reply.integer() == 1) {
        self->connection_.send({"ZADD", self->keys_.rooms(), "0", room.view()}, {});
      }
    });
  }
  if (cursor_ != "0") return next_places();
  finish();
}

void Sweep::finish() {
  // Out of the registry while the lock still keeps the server from renewing, so it cannot be a living one that goes.
  auto batch = std::make_shared<Batch>([self = shared_from_this()](Errc result) { self->end(result); });
  connection_.send({"ZREM", keys_.servers(), dead_.view()}, batch->each());
  connection_.eval(scripts::sweep_end, {lock_key_}, {by_.view()}, batch->each());
}

void Sweep::end(Errc result) {
  swept_.result = result;
  std::exchange(done_, nullptr)(swept_);
}

}  // namespace wsr::redis
