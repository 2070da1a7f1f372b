#include "core/net/local_first.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "core/wire/envelope.hpp"

namespace wsr::net {

bool LocalFirst::hand_over(std::uint8_t from, Ticket ticket, StoreCall& call) {
  auto* publish = std::get_if<PublishCall>(&call);
  if (publish == nullptr || publish->channel.kind != ChannelKind::inbox || publish->channel.name != self_.view()) {
    return false;
  }
  const std::size_t siblings = siblings_.sibling_count();
  if (from >= siblings) return false;  // the Keeper
  const auto header = peek_batch(publish->payload);
  if (!header || header->to_shard >= siblings) {
    siblings_.give_answer(from, ticket, Published{});
  } else {
    // Answered when taken, not when queued: a shard that lags slows its senders down (Limits::link_in_flight_max).
    const Ticket tagged = ticket.with_driver(from);  // one word: the task needs no memory of its own
    siblings_.give_batch(header->to_shard, std::move(publish->payload), [&siblings = siblings_, tagged] {
      siblings.give_answer(tagged.driver(), tagged.without_driver(), Published{Errc::ok, 1});
    });
  }
  return true;
}

void LocalFirst::call(Ticket ticket, StoreCall&& call) {
  const Done done = std::visit(
      [&]<class Call>(const Call& each) {
        if constexpr (requires { this->look_at(ticket, each); }) {
          return this->look_at(ticket, each);
        } else {
          return Done::no;
        }
      },
      call);
  if (done == Done::no) store_.call(ticket, std::move(call));
}

LocalFirst::Done LocalFirst::look_at(Ticket ticket, const ClaimCall& claim) {
  owners_.on_claim(ticket, claim);
  return Done::no;
}

LocalFirst::Done LocalFirst::look_at(Ticket, const ReleaseCall& release) {
  owners_.forget(release.at.shard, release.at.conn);
  return Done::no;
}

LocalFirst::Done LocalFirst::look_at(Ticket ticket, const LookupCall& lookup) {
  if (policy_ != SessionPolicy::single) return Done::no;
  auto row = owners_.find(lookup.client);
  if (!row) return Done::no;
  Owners owners;
  owners.rows.push_back(std::move(*row));
  siblings_.give_answer(ticket.driver(), ticket.without_driver(), std::move(owners));
  return Done::yes;
}

LocalFirst::Done LocalFirst::look_at(Ticket ticket, const SubscribeCall& subscribe) {
  if (subscribe.channel.kind != ChannelKind::room) return Done::no;
  auto& wanted = rooms_[subscribe.channel.name];
  if (std::find(wanted.begin(), wanted.end(), ticket.driver()) == wanted.end()) wanted.push_back(ticket.driver());
  // Also when another shard is there already: the answer tells that the subscription stands.
  return Done::no;
}

LocalFirst::Done LocalFirst::look_at(Ticket ticket, const UnsubscribeCall& unsubscribe) {
  if (unsubscribe.channel.kind != ChannelKind::room) return Done::no;
  const auto found = rooms_.find(unsubscribe.channel.name);
  if (found == rooms_.end()) return Done::no;
  std::erase(found->second, ticket.driver());
  if (found->second.empty()) {
    rooms_.erase(found);
    return Done::no;
  }
  siblings_.give_answer(ticket.driver(), ticket.without_driver(), Unsubscribed{});
  return Done::yes;
}

const std::vector<std::uint8_t>* LocalFirst::shards_in(std::string_view room) const {
  const auto found = rooms_.find(room);
  return found == rooms_.end() || found->second.empty() ? nullptr : &found->second;
}

}  // namespace wsr::net
