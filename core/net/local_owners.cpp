#include "core/net/local_owners.hpp"

namespace wsr::net {

void LocalOwners::on_claim(Ticket ticket, const ClaimCall& request) {
  const Place place{request.at.shard, request.at.conn};
  asked_[ticket.value] = place;
  auto& row = by_client_[request.client.str()];
  if (!row.client.is_empty()) {
    if (row.claimed_at > request.accepted_at) return;  // a re-assertion that a newer connection has overtaken
    clients_.erase(Place{row.at.shard, row.at.conn});
  }
  row = OwnerRow{request.client, request.at, request.epoch_min, request.accepted_at};
  clients_[place] = request.client.str();
}

std::optional<std::string> LocalOwners::on_claimed(Ticket ticket, const Claimed& claimed) {
  const auto asked = asked_.find(ticket.value);
  if (asked == asked_.end()) return std::nullopt;
  const Place place = asked->second;
  asked_.erase(asked);
  if (claimed.result == Errc::superseded) forget(place.shard, place.conn);
  // The store is away or full: the attachment stands, as far as this server knows. A newcomer that is turned away is
  // forgotten when its connection closes.
  if (claimed.result != Errc::ok) return std::nullopt;
  const auto client = clients_.find(place);
  if (client == clients_.end()) return std::nullopt;
  by_client_.find(client->second)->second.epoch = claimed.epoch;
  return client->second;
}

void LocalOwners::forget(ShardIndex shard, ConnId conn) {
  const auto client = clients_.find(Place{shard, conn});
  if (client == clients_.end()) return;
  by_client_.erase(client->second);
  clients_.erase(client);
}

std::optional<OwnerRow> LocalOwners::find(const ClientId& client) const {
  const auto row = by_client_.find(client.view());
  if (row == by_client_.end()) return std::nullopt;
  return row->second;
}

}  // namespace wsr::net
