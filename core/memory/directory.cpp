#include "core/memory/directory.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <string>
#include <tuple>
#include <utility>

namespace wsr::memory {
namespace {

std::uint64_t micros(StoreTime time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(time.time_since_epoch().count(), 0));
}

/// The epoch after `previous`: it grows, and a store that has forgotten everything cannot hand out an old one.
Epoch epoch_after(Epoch previous, const ClaimCall& request) {
  return Epoch{std::max({previous.value + 1, micros(request.accepted_at), request.epoch_min.value})};
}

Claimed superseded() { return {Errc::superseded, {}, {}, "a newer connection of this client holds the claim", {}}; }

/// The oldest connection first; a re-assertion raises an epoch but makes nobody younger.
bool is_older(const OwnerRow& a, const OwnerRow& b) {
  return std::tie(a.claimed_at, a.epoch, a.at) < std::tie(b.claimed_at, b.epoch, b.at);
}

/// In the order of lookup().
bool is_newer(const OwnerRow& a, const OwnerRow& b) {
  return std::tie(a.epoch, a.claimed_at, a.at) > std::tie(b.epoch, b.claimed_at, b.at);
}

}  // namespace

Claimed OwnerDirectory::claim(const ClaimCall& request, StoreTime now) {
  remove_expired(request.client, now);
  return request.policy == SessionPolicy::single ? claim_single(request, now) : claim_multi(request, now);
}

Claimed OwnerDirectory::claim_single(const ClaimCall& request, StoreTime now) {
  Epoch previous{};
  std::vector<Attachment> displaced;
  for (Place place = clients_.find(request.client.view()); place != none; place = slots_[place].next_device) {
    const Slot& slot = slots_[place];
    previous = std::max(previous, slot.epoch);
    if (slot.is_at(request.at)) continue;
    if (request.is_older_than(slot.row())) return superseded();
    displaced.push_back(slot.at());
  }
  return store(request, epoch_after(previous, request), std::move(displaced), now);
}

Claimed OwnerDirectory::claim_multi(const ClaimCall& request, StoreTime now) {
  std::vector<OwnerRow> rows = rows_of(request.client);
  const auto same = std::find_if(rows.begin(), rows.end(), [&](const OwnerRow& row) { return row.at == request.at; });
  Epoch previous{};
  if (same != rows.end()) {
    // A re-asserted device counts on from its own epoch: it does not become the newest one by saying that it is there.
    previous = same->epoch;
    rows.erase(same);
  } else {
    for (const OwnerRow& row : rows) previous = std::max(previous, row.epoch);
  }
  const Epoch epoch = epoch_after(previous, request);

  const std::size_t devices_max = std::max<std::size_t>(request.devices_max, 1);
  rows.push_back({request.client, request.at, epoch, request.accepted_at});
  std::sort(rows.begin(), rows.end(), is_older);
  std::vector<Attachment> displaced;
  for (std::size_t i = 0; i + devices_max < rows.size(); ++i) displaced.push_back(rows[i].at);

  if (std::find(displaced.begin(), displaced.end(), request.at) != displaced.end()) {
    // Delayed behind devices that came later, it is itself the one to go.
    if (const Place place = find(request.client, request.at); place != none) remove(place);
    return superseded();
  }
  return store(request, epoch, std::move(displaced), now);
}

Claimed OwnerDirectory::store(const ClaimCall& request, Epoch epoch, std::vector<Attachment> displaced, StoreTime now) {
  const Place place = find(request.client, request.at);
  if (place == none && rows_ + 1 - displaced.size() > owners_max_) {
    return {Errc::capacity,
            {},
            {},
            "the owner table is full (" + std::to_string(owners_max_) + " rows): raise --owners-max",
            {}};
  }
  for (const Attachment& at : displaced) remove(find(request.client, at));
  if (place == none) {
    add(request, epoch, now);
  } else {
    slots_[place].epoch = epoch;
    slots_[place].claimed_at = request.accepted_at;
  }
  const StoreTime expires_at = request.ttl.count() > 0 ? now + request.ttl : StoreTime::max();
  for (Place each = clients_.find(request.client.view()); each != none; each = slots_[each].next_device) {
    slots_[each].expires_at = expires_at;
  }
  return {Errc::ok, epoch, std::move(displaced), {}, {}};
}

Released OwnerDirectory::release(const ClientId& client, const Attachment& at, StoreTime now) {
  remove_expired(client, now);
  const Place place = find(client, at);
  if (place == none) return {Errc::not_found};
  remove(place);
  return {};
}

Owners OwnerDirectory::lookup(const ClientId& client, StoreTime now) const {
  Owners owners;
  for (Place place = clients_.find(client.view()); place != none; place = slots_[place].next_device) {
    if (slots_[place].is_seen(now)) owners.rows.push_back(slots_[place].row(now));
  }
  std::sort(owners.rows.begin(), owners.rows.end(), is_newer);
  return owners;
}

std::optional<OwnerRow> OwnerDirectory::newest(const ClientId& client, StoreTime now) const {
  std::optional<OwnerRow> newest;
  for (Place place = clients_.find(client.view()); place != none; place = slots_[place].next_device) {
    const Slot& slot = slots_[place];
    if (!slot.is_seen(now)) continue;
    if (OwnerRow row = slot.row(now); !newest || is_newer(row, *newest)) newest = std::move(row);
  }
  return newest;
}

OwnerPage OwnerDirectory::page(std::string_view cursor, std::uint32_t count, StoreTime now) const {
  OwnerPage page;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), index);
  if (error != std::errc{} || end != cursor.data() + cursor.size()) {
    page.result = Errc::bad_request;
    page.cursor = "0";
    return page;
  }
  const std::size_t rows_max = std::max<std::size_t>(count, 1);
  for (; index < slots_.size() && page.rows.size() < rows_max; ++index) {
    const Slot& slot = slots_[index];
    if (slot.server != nullptr && slot.is_seen(now)) page.rows.push_back(slot.row());
  }
  page.cursor = index < slots_.size() ? std::to_string(index) : "0";
  return page;
}

OwnerCounts OwnerDirectory::counts(StoreTime now) const {
  OwnerCounts counts;
  for (const auto& [id, server] : servers_) {
    if (server.held_until > now) counts.by_server.emplace_back(id, server.rows);
  }
  return counts;
}

Held OwnerDirectory::held(const ServerId& server, StoreTime now) const {
  Held held;
  const auto found = servers_.find(server);
  for (Place place = found == servers_.end() ? none : found->second.first; place != none; place = slots_[place].next) {
    if (slots_[place].expires_at > now) held.rows.push_back({slots_[place].client, slots_[place].at()});
  }
  return held;
}

Held OwnerDirectory::missing(const Held& expected, StoreTime now) const {
  Held missing;
  for (const Held::Row& row : expected.rows) {
    const Place place = find(row.client, row.at);
    if (place == none || slots_[place].expires_at <= now) missing.rows.push_back(row);
  }
  return missing;
}

std::uint64_t OwnerDirectory::stored_rows(const ServerId& server, StoreTime now) const {
  const auto found = servers_.find(server);
  std::uint64_t rows = 0;
  for (Place place = found == servers_.end() ? none : found->second.first; place != none; place = slots_[place].next) {
    if (slots_[place].expires_at > now) ++rows;
  }
  return rows;
}

Renewed OwnerDirectory::renew(const ServerId& id, const ServerInfo& info, std::chrono::milliseconds lease,
                              StoreTime now) {
  Server& server = servers_[id];
  server.id = id;
  const bool was_held = server.held_until > now;
  server.info = info;
  server.info.lease = lease;
  server.renewed_at = now;
  server.held_until = now + lease;
  return {Errc::ok, was_held ? Renewed::Before::held : Renewed::Before::missing, now};
}

Released OwnerDirectory::resign(const ServerId& id) {
  const auto found = servers_.find(id);
  if (found == servers_.end()) return {Errc::not_found};
  remove_all(found->second);
  servers_.erase(found);
  return {};
}

Servers OwnerDirectory::servers(StoreTime now) const {
  Servers answer;
  answer.now = now;
  answer.rows.reserve(servers_.size());
  for (const auto& [id, server] : servers_) {
    const auto lease = server.held_until > now ? ServerRow::Lease::held : ServerRow::Lease::expired;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(server.held_until - now);
    answer.rows.push_back({id, server.info, server.renewed_at, lease, left});
  }
  return answer;
}

Swept OwnerDirectory::sweep(const ServerId& dead, StoreTime now) {
  const auto found = servers_.find(dead);
  if (found == servers_.end()) return {};
  if (found->second.held_until > now) return {Errc::conflict, 0};
  const std::uint64_t removed = remove_all(found->second);
  servers_.erase(found);
  return {Errc::ok, removed};
}

void OwnerDirectory::enlist(const ServerId& id, StoreTime now) {
  const auto [entry, is_new] = servers_.try_emplace(id);
  if (!is_new) return;
  entry->second.id = id;
  entry->second.renewed_at = entry->second.held_until = now;
}

OwnerDirectory::Place OwnerDirectory::find(const ClientId& client, const Attachment& at) const {
  Place place = clients_.find(client.view());
  while (place != none && !slots_[place].is_at(at)) place = slots_[place].next_device;
  return place;
}

std::vector<OwnerRow> OwnerDirectory::rows_of(const ClientId& client) const {
  std::vector<OwnerRow> rows;
  for (Place place = clients_.find(client.view()); place != none; place = slots_[place].next_device) {
    rows.push_back(slots_[place].row());
  }
  return rows;
}

void OwnerDirectory::add(const ClaimCall& request, Epoch epoch, StoreTime now) {
  enlist(request.at.server, now);  // its claim may have outlived its sweep: the row is absent to readers, but found
  Server& server = servers_.find(request.at.server)->second;
  if (free_.empty()) {
    free_.push_back(static_cast<Place>(slots_.size()));
    slots_.emplace_back();
  }
  const Place place = free_.back();
  free_.pop_back();
  Slot& slot = slots_[place];
  slot.client = request.client;
  slot.server = &server;
  slot.conn = request.at.conn;
  slot.shard = request.at.shard;
  slot.epoch = epoch;
  slot.claimed_at = request.accepted_at;
  slot.next = server.first;
  if (server.first != none) slots_[server.first].previous = place;
  server.first = place;
  ++server.rows;
  ++rows_;
  Place last = clients_.find(request.client.view());
  if (last == none) return clients_.insert(place);
  while (slots_[last].next_device != none) last = slots_[last].next_device;
  slots_[last].next_device = place;
}

void OwnerDirectory::remove(Place place) {
  assert(place < slots_.size() && slots_[place].server != nullptr);
  Slot& slot = slots_[place];
  Server& server = *slot.server;
  if (slot.previous != none) slots_[slot.previous].next = slot.next;
  if (slot.next != none) slots_[slot.next].previous = slot.previous;
  if (server.first == place) server.first = slot.next;
  --server.rows;
  --rows_;

  const Place first = clients_.find(slot.client.view());
  if (first == place) {
    clients_.erase(place);
    if (slot.next_device != none) clients_.insert(slot.next_device);
  } else {
    Place before = first;
    while (slots_[before].next_device != place) before = slots_[before].next_device;
    slots_[before].next_device = slot.next_device;
  }
  slot = Slot{};
  free_.push_back(place);
}

void OwnerDirectory::remove_expired(const ClientId& client, StoreTime now) {
  // They expire together, so the first one speaks for all.
  for (Place place = clients_.find(client.view()); place != none && slots_[place].expires_at <= now;) {
    const Place next = slots_[place].next_device;
    remove(place);
    place = next;
  }
}

std::uint64_t OwnerDirectory::remove_all(Server& server) {
  std::uint64_t removed = 0;
  for (; server.first != none; ++removed) remove(server.first);
  return removed;
}

}  // namespace wsr::memory
