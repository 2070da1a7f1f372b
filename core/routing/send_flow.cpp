#include "core/routing/send_flow.hpp"

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <functional>
#include <iterator>
#include <utility>
#include <vector>

#include "core/base/overload.hpp"
#include "core/wire/client_protocol.hpp"

namespace wsr {
namespace {

Frame encode(const Session& session, const EntryMessage& message, std::string& scratch) {
  if (session.framing == Framing::raw) return Frame::copy_of(message.data);
  scratch.clear();
  append_message(scratch, message.from, message.data);
  return Delivery::text_frame(scratch);
}

bool is_among(const std::vector<RouteTarget>& targets, const ShardAddress& address) {
  return std::any_of(targets.begin(), targets.end(), [&](const RouteTarget& each) { return each.address == address; });
}

EntryMessage one_hop_further(EntryMessage message) {
  ++message.hops;
  message.is_fresh = false;
  return message;
}

bool is_over(std::uint64_t deadline, std::uint64_t store_ms) { return deadline != 0 && store_ms > deadline; }

Time end_of(Time now, std::chrono::milliseconds lease_left) {
  return lease_left == lease_unknown ? Time::max() : now + Duration(lease_left);
}

}  // namespace

SendFlow::SendFlow(RouterContext& context, Delivery& delivery, WordSink& sink)
    : context_(context),
      delivery_(delivery),
      sink_(sink),
      routes_(context.limits()),
      links_(LinkContext{context.options.self, context.options.keys, context.limits(), context.ports.clock}),
      receipts_(context.limits().receipts_max, context.limits().send_deadline + context.limits().outcome_grace) {}

std::uint64_t SendFlow::store_ms() const {
  return static_cast<std::uint64_t>(store_millis(context_.ports.clock.store_now()).count());
}

// ---------------------------------------------------------------- from here

void SendFlow::submit(EntryMessage message, std::optional<ReceiptWaiter> waiter) {
  ++context_.stats.sent;
  message.deadline =
      store_ms() +
      static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(context_.limits().send_deadline).count());
  if (waiter) {
    message.receipt = receipts_.add(*waiter, context_.now());
    if (message.receipt == 0) {
      count(Word::dropped_capacity);
      return sink_.on_word(*waiter, Word::dropped_capacity, {});
    }
  }
  if (message.data.size() > context_.limits().message_bytes_max) return finish(message, Word::dropped_too_big);
  route(message);
}

void SendFlow::route(const EntryMessage& message) {
  Route* route = routes_.find(message.to);
  if (route != nullptr && route->is_busy()) return wait(*route, &Route::waiting, message);
  if (context_.options.policy == SessionPolicy::single) {
    if (const auto word = deliver_here(message)) {
      ++context_.stats.local_hits;
      return finish(message, *word);
    }
  }
  // A route to this shard is good for as long as the client is here: only the store says `offline`.
  const auto is_good = [&](const RouteTarget& each) {
    return each.address == context_.options.self ? context_.sessions.is_here(message.to) : is_trusted(each);
  };
  if (route != nullptr && !route->targets.empty() && context_.now() < route->stale_at &&
      std::all_of(route->targets.begin(), route->targets.end(), is_good)) {
    ++context_.stats.cache_hits;
    return dispatch(*route, message);
  }
  if (route == nullptr) route = &make_route(message.to);
  wait(*route, &Route::waiting, message);
  look_up(*route);
}

void SendFlow::dispatch(Route& route, const EntryMessage& message) {
  // Of several devices one's word counts, and the others get copies: one here if there is one, for its word is known
  // at once, else the newest that has room for it.
  const RouteTarget* here = nullptr;
  boost::container::small_vector<std::pair<RouteTarget*, LinkTable::Entry>, 4> elsewhere;
  bool is_full = false;
  for (RouteTarget& target : route.targets) {
    if (has_copy(message.copies, target.address)) continue;  // it has come back, and this one has it
    if (target.address == context_.options.self) {
      here = &target;
      continue;
    }
    const auto link = link_to(target);
    if (link.link.queued_bytes() + message.data.size() > context_.limits().link_bytes_max) {
      is_full = true;
    } else {
      elsewhere.emplace_back(&target, link);
    }
  }
  EntryMessage outgoing = message;
  if (here != nullptr) {
    if (const auto word = deliver_here(message)) {
      finish(message, *word);
      outgoing.is_copy = true;
      outgoing.receipt = 0;
    } else {
      // The row is older than the close of our own connection: it is being released now. Not to be kept.
      route.stale_at = context_.now();
    }
  }
  if (elsewhere.empty()) {
    if (!outgoing.is_copy) finish(message, is_full ? Word::dropped_capacity : Word::offline);
    return;
  }
  std::string copies(message.copies);
  if (!outgoing.is_copy) {
    for (auto each = std::next(elsewhere.begin()); each != elsewhere.end(); ++each)
      append_copy(copies, each->first->address);
    outgoing.copies = copies;
    if (message.hops != 0) ++context_.stats.forwarded;
  }
  for (const auto& [target, link] : elsewhere) {
    if (outgoing.is_copy) ++context_.stats.copies;
    target->link = link.index;
    outgoing.is_fresh = target->last_seq == 0;
    target->last_seq = link.link.add(outgoing);
    links_.touch(link);
    outgoing.is_copy = true;  // the first has the word
    outgoing.receipt = 0;
    outgoing.copies = {};
  }
}

void SendFlow::finish(const EntryMessage& message, Word word) {
  if (message.is_copy) return;
  // It came back from one device, and what became of the others' copies nobody tells.
  if (word != Word::delivered && !message.copies.empty()) word = Word::unknown;
  if (message.receipt == 0) return count(word);
  resolve_receipt(message.receipt, word, word == Word::delivered ? context_.options.self.server : ServerId{});
}

void SendFlow::resolve_receipt(std::uint64_t receipt, Word word, const ServerId& server) {
  if (const auto waiter = receipts_.resolve(receipt)) {
    count(word);  // what is told is what counts
    sink_.on_word(*waiter, word, server);
  } else {
    ++context_.stats.receipts_late;
  }
}

std::optional<Word> SendFlow::deliver_here(const EntryMessage& message) {
  std::optional<Word> word;
  Frame frame;
  std::optional<Framing> encoded_for;
  for (Session* session = context_.sessions.newest(message.to); session != nullptr;
       session = context_.sessions.next(*session)) {
    if (session->phase != Session::Phase::open) continue;
    if (encoded_for != session->framing) {
      frame = encode(*session, message, scratch_);
      encoded_for = session->framing;
    }
    if (delivery_.offer(*session, frame, Topic::direct) == Delivery::Outcome::refused) {
      if (!word) word = Word::dropped_slow_consumer;
    } else {
      word = Word::delivered;
      ++context_.stats.delivered_here;
    }
    // Under `single` an older session here has been replaced and waits for its 4009.
    if (context_.options.policy == SessionPolicy::single) break;
  }
  return word;
}

void SendFlow::refuse(Word word, const std::optional<ReceiptWaiter>& waiter) {
  ++context_.stats.sent;
  count(word);
  if (waiter) sink_.on_word(*waiter, word, {});
}

void SendFlow::tell(const ShardAddress& to, const Entry& entry) {
  const auto link = links_.to(to);
  link.link.add(entry);
  links_.touch(link);
}

void SendFlow::kick(const Attachment& at, CloseCode code, std::string_view reason, std::uint64_t receipt) {
  if (at.address() == context_.options.self) {
    return sink_.on_kick(context_.options.self, at.conn, code, reason, receipt);
  }
  const auto link = links_.to(at.address());
  link.link.add(EntryKick{at.conn.value, static_cast<std::uint16_t>(code), reason, receipt});
  links_.touch(link);
}

// ---------------------------------------------------------------- routes

Route& SendFlow::make_route(std::string_view client) {
  return routes_.make(client, [this](const Route& route) {
    return std::all_of(route.targets.begin(), route.targets.end(), [this](const auto& t) { return is_settled(t); });
  });
}

void SendFlow::look_up(Route& route) {
  route.is_looking_up = true;
  route.lookup = ++lookups_;
  lookups_out_.emplace(route.lookup, route.client);
  routes_.busy().insert(route.client);
  ++context_.stats.lookups;
  context_.ports.store.call(RouterCall{CallKind::lookup, route.lookup}.ticket(),
                            LookupCall{ClientId::trusted(route.client)});
  watch();
}

void SendFlow::wait(Route& route, std::vector<Message> Route::*queue, const EntryMessage& message) {
  if (routes_.wait(route, queue, message, context_.now()) == RouteTable::Room::no) {
    finish(message, Word::dropped_capacity);
  }
}

void SendFlow::on_owners(std::uint64_t number, Owners&& owners) {
  const auto out = lookups_out_.find(number);
  if (out == lookups_out_.end()) return;
  const std::string client = std::move(out->second);
  lookups_out_.erase(out);
  Route* route = routes_.find(client);
  if (route == nullptr || route->lookup != number) return;
  route->lookup = 0;
  if (owners.result != Errc::ok) {
    if (!context_.sessions.is_here(route->client)) return;  // asked again by watch_routes()
    owners.rows = {OwnerRow{.client = {},
                            .at = {context_.options.self.server, context_.options.self.shard, {}},
                            .epoch = {},
                            .claimed_at = {}}};
  }
  route->is_looking_up = false;
  route->is_looked_up = true;
  std::vector<RouteTarget> targets;
  for (const OwnerRow& row : owners.rows) {
    if (is_among(targets, row.at.address())) continue;
    targets.push_back(RouteTarget{.address = row.at.address(), .link = 0, .last_seq = 0});
    if (row.at.server == context_.options.self.server) continue;
    const auto link = links_.to(row.at.address());
    targets.back().link = link.index;
    link.link.leased_until = end_of(context_.now(), row.lease_left);
  }
  const bool is_same = targets.size() == route->targets.size() &&
                       std::all_of(targets.begin(), targets.end(),
                                   [&](const RouteTarget& target) { return is_among(route->targets, target.address); });
  if (!is_same) {
    // What is on its way may still come back, and must not arrive at another device after what is sent now.
    drain_targets(*route);
    route->targets = std::move(targets);
  }
  route->stale_at = context_.options.policy == SessionPolicy::multi ? context_.now() + context_.limits().multi_route_ttl
                                                                    : Time::max();
  resolve(*route);
}

void SendFlow::resolve(Route& route) {
  if (route.is_busy()) return;
  const bool is_here = context_.options.policy == SessionPolicy::single && context_.sessions.is_here(route.client);
  if (!is_here && !route.is_looked_up) return look_up(route);
  routes_.busy().erase(route.client);
  auto returned = std::exchange(route.returned, {});
  auto waiting = std::exchange(route.waiting, {});
  route.waiting_bytes = 0;
  const std::uint64_t now_ms = store_ms();
  const auto send_on = [&](const Message& message) {
    const EntryMessage entry = message.entry();
    if (is_over(entry.deadline, now_ms)) {
      finish(entry, Word::dropped_expired);
    } else if (is_here) {
      const auto word = deliver_here(entry);
      finish(entry, word.value_or(Word::offline));
    } else if (route.targets.empty()) {
      finish(entry, Word::offline);
    } else if (entry.hops >= context_.limits().hops_max) {
      // The store says where the client is, and it cannot be reached there: not `offline`.
      finish(entry, Word::dropped_bus_lost);
    } else {
      dispatch(route, entry);
    }
  };
  for (const Message& message : returned) send_on(message);
  for (const Message& message : waiting) send_on(message);
  if (is_here || route.targets.empty()) routes_.drop(route);  // no negative cache: the client may come any moment
}

void SendFlow::come_back(const EntryMessage& message) {
  if (message.is_copy) return;
  if (is_over(message.deadline, store_ms())) return finish(message, Word::dropped_expired);
  Route* route = routes_.find(message.to);
  if (route == nullptr) {
    if (context_.options.policy == SessionPolicy::single) {
      if (const auto word = deliver_here(message)) return finish(message, *word);
    }
    route = &make_route(message.to);
  }
  wait(*route, &Route::returned, message);
  if (!route->is_draining || route->is_looked_up) begin_drain(*route);
  if (!route->is_busy()) resolve(*route);
}

bool SendFlow::is_settled(const RouteTarget& target) {
  if (target.last_seq == 0) return true;
  const Link* link = links_.at(target.link);
  return link == nullptr || link->peer() != target.address || link->is_settled(target.last_seq) || is_dead(*link);
}

bool SendFlow::is_dead(const Link& link) const {
  return is_to_be_given_up(link) || (link.is_peer_absent && !link.has_queue());
}

bool SendFlow::is_to_be_given_up(const Link& link) const {
  return link.leased_until <= context_.now() && !link.is_publishing();
}

bool SendFlow::is_trusted(const RouteTarget& target) {
  if (target.address.server == context_.options.self.server) return true;
  const Link* link = links_.at(target.link);
  return link != nullptr && link->peer() == target.address && !link->is_suspect && link->leased_until > context_.now();
}

LinkTable::Entry SendFlow::link_to(const RouteTarget& target) {
  if (Link* known = links_.at(target.link); known != nullptr && known->peer() == target.address) {
    return {target.link, *known};
  }
  return links_.to(target.address);
}

void SendFlow::begin_drain(Route& route) {
  drain_targets(route);
  route.is_looked_up = false;
}

void SendFlow::drain_targets(Route& route) {
  for (RouteTarget& target : route.targets) {
    if (is_settled(target)) continue;
    ask_account(link_to(target));
    route.old_targets.push_back(std::move(target));
  }
  route.targets.clear();
  if (route.old_targets.empty() || route.is_draining) return;
  route.is_draining = true;
  route.drain_until = context_.now() + context_.limits().drain_max;
  routes_.busy().insert(route.client);
  watch();
}

void SendFlow::end_drain_if_done(Route& route) {
  if (!route.is_draining) return;
  std::erase_if(route.old_targets, [this](const RouteTarget& target) { return is_settled(target); });
  if (!route.old_targets.empty()) {
    if (context_.now() < route.drain_until) return;
    ++context_.stats.drain_timeouts;
    route.old_targets.clear();
  }
  route.is_draining = false;
  resolve(route);
}

void SendFlow::end_drains() {
  if (routes_.busy().empty()) return;
  const std::vector<std::string> busy(routes_.busy().begin(), routes_.busy().end());
  for (const std::string& client : busy) {
    if (Route* route = routes_.find(client)) end_drain_if_done(*route);
  }
}

void SendFlow::on_client_here(std::string_view client) {
  Route* route = routes_.find(client);
  if (route == nullptr || route->is_busy()) return;
  if (context_.options.policy == SessionPolicy::multi) {
    route->stale_at = context_.now();  // one device more: look again before the next message
    return;
  }
  begin_drain(*route);  // what is on its way to the old server must not arrive after what is sent now
  if (!route->is_busy()) routes_.drop(*route);
}

void SendFlow::on_client_moved(std::string_view client) {
  if (Route* route = routes_.find(client); route != nullptr && !route->is_busy()) route->stale_at = context_.now();
}

// ---------------------------------------------------------------- from other shards

void SendFlow::on_batch(std::string_view channel, std::string_view bytes) {
  const std::uint64_t now_ms = store_ms();
  auto decoded = decode_batch(bytes, context_.options.keys, channel, std::chrono::milliseconds{now_ms});
  auto* batch = std::get_if<Batch>(&decoded);
  const auto from =
      batch != nullptr ? ServerId::parse(batch->header.from_server) : Result<ServerId>(Error{Errc::bad_request, {}});
  if (!from.has_value() || batch->header.to_shard != context_.options.self.shard) {
    ++context_.stats.bad_batches;
    return;
  }
  const auto link = links_.to(ShardAddress{*from, batch->header.from_shard});
  link.link.last_heard = context_.now();
  link.link.is_suspect = false;
  const auto arrived = link.link.arrive(batch->header);
  if (arrived.arrival == Link::Arrival::duplicate) {
    ++context_.stats.duplicates;
    return;
  }
  ++context_.stats.batches_in;
  context_.stats.entries_in += batch->entries.size();
  if (arrived.missed != 0) {
    ++context_.stats.gaps;
    context_.stats.gap_entries += arrived.missed;
    link.link.is_account_due = true;
  }
  bool is_account_wanted = false;
  for (const Entry& entry : batch->entries) {
    const auto of_a_room = [&] { sink_.on_room_entry(ShardAddress{*from, batch->header.from_shard}, entry); };
    std::visit(Overload{
                   [&](const EntryMessage& message) { take(link, message, now_ms); },
                   [&](const EntryReturned& returned) { take(link, returned); },
                   [&](const EntryReceipt& receipt) {
                     const Word word = receipt.word < words_used ? static_cast<Word>(receipt.word) : Word::unknown;
                     resolve_receipt(receipt.receipt, word, word == Word::delivered ? *from : ServerId{});
                   },
                   [&](const EntryAccount& account) { take(link, account); },
                   [&](const EntryAccountWanted&) { is_account_wanted = true; },
                   [&](const EntryKick& kick) {
                     sink_.on_kick(link.link.peer(), ConnId{kick.conn}, static_cast<CloseCode>(kick.code), kick.reason,
                                   kick.receipt);
                   },
                   [&](const EntryKickDone& done) { sink_.on_kick_done(done.receipt); },
                   [&](const EntryRoomReceipt&) { of_a_room(); }, [&](const EntryRoomCommand&) { of_a_room(); },
                   [&](const EntryRoomAnswer&) { of_a_room(); },
                   Ignored<EntryProbe>{},  // the Keeper's, which has an address of its own
               },
               entry);
  }
  if (is_account_wanted) {
    // Only now: the account speaks of whole batches.
    link.link.add(link.link.account);
    link.link.is_account_due = false;
    links_.touch(link);
  }
  if (!link.link.is_account_due) return;
  links_.owe_account(link);
  if (!account_at_) account_at_ = context_.now() + context_.limits().account_every;
}

void SendFlow::take(LinkTable::Entry link, const EntryMessage& message, std::uint64_t store_ms) {
  auto& given_back = link.link.given_back;
  if (message.is_fresh && !given_back.empty()) {
    if (const auto known = given_back.find(message.to); known != given_back.end()) given_back.erase(known);
  }
  const bool is_behind = !given_back.empty() && given_back.contains(message.to);
  const auto word = is_over(message.deadline, store_ms) ? std::optional(Word::dropped_expired)
                    : is_behind                         ? std::nullopt
                                                        : deliver_here(message);
  if (message.is_copy) return;
  link.link.is_account_due = true;
  if (!word) {
    if (given_back.size() < Link::given_back_max) given_back.emplace(message.to);
    ++context_.stats.returned;
    if (message.receipt == 0) ++link.link.account.returned;
    link.link.add(EntryReturned{one_hop_further(message), link.link.account.base});
    links_.touch(link);
    return;
  }
  if (message.receipt == 0) {
    ++at(link.link.account.words, *word);
    return;
  }
  link.link.add(EntryReceipt{message.receipt, static_cast<std::uint8_t>(*word)});
  links_.touch(link);
}

void SendFlow::take(LinkTable::Entry link, const EntryReturned& returned) {
  if (returned.base != link.link.base()) {
    // Of a link that was given up: its messages have been called unknown, and one word is enough.
    ++context_.stats.returned_late;
    return;
  }
  if (returned.message.receipt == 0) link.link.note_returned();
  come_back(returned.message);
}

void SendFlow::take(LinkTable::Entry link, const EntryAccount& account) {
  const auto settled = link.link.settle(account);
  for (std::size_t i = 0; i < words_used; ++i) count(static_cast<Word>(i), settled.words[i]);
  count(Word::dropped_bus_lost, settled.lost);
  end_drains();
}

void SendFlow::ask_account(LinkTable::Entry link) {
  if (link.link.account_asked) return;
  link.link.account_asked = context_.now();
  link.link.add(EntryAccountWanted{});
  links_.touch(link);
}

// ---------------------------------------------------------------- the bus

void SendFlow::flush() {
  for (const LinkTable::Index index : links_.take_dirty()) {
    if (Link* link = links_.at(index)) publish({index, *link});
  }
}

void SendFlow::publish(LinkTable::Entry link) {
  // A server without a lease is not published to; watch_links() takes back what waits for it.
  const bool is_reachable = context_.store == StoreState::up && link.link.leased_until > context_.now();
  if (is_reachable || !link.link.needs_store()) {
    while (const Link::Batch* batch = link.link.next_to_publish()) {
      ++context_.stats.batches_out;
      const RouterCall call{CallKind::publish, BatchNumber::pack(link.index, batch->serial)};
      context_.ports.store.call(call.ticket(),
                                PublishCall{Channel{ChannelKind::inbox, link.link.peer().server.str()}, batch->bytes});
    }
  }
  if (link.link.has_queue() || link.link.has_unsettled()) watch(link);
}

void SendFlow::on_published(std::uint64_t number, const Published& published) {
  const auto index = static_cast<LinkTable::Index>(BatchNumber::high(number));
  const std::uint64_t serial = BatchNumber::low(number);
  Link* link = links_.at(index);
  if (link == nullptr) return;
  if (published.result != Errc::ok) {
    // Whether it arrived is unknown; the receiver drops a second copy by its numbers. watch_links() tries again.
    if (link->retry(serial) == Link::Known::yes) watch({index, *link});
    return;
  }
  if (published.receivers != 0) {
    link->handed_over(serial);
  } else if (const auto batch = link->take_returned(serial)) {
    // At a later attempt its messages may have arrived: the peer's account tells. Orders to close have nobody to obey.
    const ServerId server = link->peer().server;
    reroute(*link, *batch, Hop::counts);
    sink_.on_unheard(server);
    end_drains();
    link = links_.at(index);
    if (link == nullptr) return;
  }
  if (is_to_be_given_up(*link)) {
    give_up(index);
    return end_drains();
  }
  if (link->has_queue()) links_.touch({index, *link});
  if (link->is_peer_absent) watch({index, *link});
}

void SendFlow::reroute(const Link& link, const Link::Batch& batch, Hop hop) {
  const auto decoded = decode_batch(batch.bytes, context_.options.keys, link.peer().server.view(),
                                    std::chrono::milliseconds{store_ms()});
  const auto* own = std::get_if<Batch>(&decoded);
  if (own == nullptr) return;
  const bool may_have_arrived = batch.attempts > 1;
  for (const Entry& entry : own->entries) {
    if (const auto* message = std::get_if<EntryMessage>(&entry)) {
      if (!may_have_arrived) come_back(hop == Hop::counts ? one_hop_further(*message) : *message);
    } else if (const auto* kick = std::get_if<EntryKick>(&entry)) {
      if (kick->receipt != 0) sink_.on_kick_done(kick->receipt);
    }
  }
}

void SendFlow::on_store_up() {
  for (LinkTable::Index index = 0; index < links_.end(); ++index) {
    if (Link* link = links_.at(index); link != nullptr && link->has_queue()) links_.touch({index, *link});
  }
  for (const std::string& client : std::vector<std::string>(routes_.busy().begin(), routes_.busy().end())) {
    if (Route* route = routes_.find(client); route != nullptr && route->is_looking_up && route->lookup == 0) {
      look_up(*route);
    }
  }
}

void SendFlow::on_server_gone(const ServerId& server) {
  for (LinkTable::Index index = 0; index < links_.end(); ++index) {
    Link* link = links_.at(index);
    if (link == nullptr || link->peer().server != server) continue;
    link->leased_until = context_.now();
    give_up_if_due({index, *link});
  }
  end_drains();
}

SendFlow::GivenUp SendFlow::give_up_if_due(LinkTable::Entry link) {
  if (is_to_be_given_up(link.link)) {
    give_up(link.index);
    return GivenUp::yes;
  }
  watch(link);
  return GivenUp::no;
}

void SendFlow::give_up(LinkTable::Index index) {
  Link* link = links_.at(index);
  std::vector<Link::Batch> unsent;
  while (auto batch = link->take_front()) {
    if (batch->attempts == 0) unsent.push_back(std::move(*batch));
  }
  count(Word::unknown, link->unsettled_messages());
  // Before its messages look for another way: they must not find this one.
  link->leased_until = context_.now();
  for (const Link::Batch& batch : unsent) reroute(*link, batch, Hop::free);
  links_.drop(index);
}

void SendFlow::on_leases(const Leases& leases) {
  leases_ = leases;
  bool is_any_dead = false;
  for (LinkTable::Index index = 0; index < links_.end(); ++index) {
    Link* link = links_.at(index);
    if (link == nullptr || !link->needs_store()) continue;
    if (const auto until = leases.until(link->peer().server)) {
      link->leased_until = *until;
    } else if (link->leased_until == Time::max()) {
      continue;  // a guest; or a server that nobody has been looked up on, which is in the next reading
    }
    if (link->leased_until > context_.now()) continue;
    is_any_dead = give_up_if_due({index, *link}) == GivenUp::yes || is_any_dead;
  }
  forget_guests();
  if (is_any_dead) end_drains();
}

void SendFlow::forget_guests() {
  for (LinkTable::Index index = 0; index < links_.end(); ++index) {
    const Link* link = links_.at(index);
    if (link == nullptr || !link->needs_store()) continue;
    const bool is_guest = link->leased_until == Time::max() && !leases_.until(link->peer().server);
    const bool is_idle = !link->has_queue() && !link->has_unsettled() && !link->is_account_due;
    if (is_guest && is_idle && link->last_heard + guest_kept <= context_.now()) links_.drop(index);
  }
}

std::optional<Time> SendFlow::leased_until(const ServerId& server) const { return leases_.until(server); }

// ---------------------------------------------------------------- time

void SendFlow::watch() {
  if (!watch_at_) watch_at_ = context_.now() + watch_every;
}

void SendFlow::watch(LinkTable::Entry link) {
  links_.watch(link);
  watch();
}

std::optional<Time> SendFlow::next_deadline() {
  std::optional<Time> next = receipts_.next_deadline();
  for (const auto& at_time : {watch_at_, account_at_}) {
    if (at_time && (!next || *at_time < *next)) next = at_time;
  }
  return next;
}

void SendFlow::on_time() {
  const Time now = context_.now();
  while (const auto waiter = receipts_.expired(now)) {
    count(Word::unknown);
    sink_.on_word(*waiter, Word::unknown, {});
  }
  if (account_at_ && *account_at_ <= now) {
    account_at_.reset();
    for (const LinkTable::Index index : links_.take_owing()) {
      Link* link = links_.at(index);
      if (link == nullptr || !link->is_account_due) continue;
      link->is_account_due = false;
      if (link->is_peer_absent) continue;
      link->add(link->account);
      links_.touch({index, *link});
    }
  }
  if (watch_at_ && *watch_at_ <= now) {
    watch_at_.reset();
    watch_routes(now);
    watch_links(now);
  }
}

void SendFlow::watch_routes(Time now) {
  for (const std::string& client : std::vector<std::string>(routes_.busy().begin(), routes_.busy().end())) {
    Route* route = routes_.find(client);
    if (route == nullptr) continue;
    end_drain_if_done(*route);
    route = routes_.find(client);
    if (route == nullptr || !route->is_busy()) continue;
    expire(*route, now);
    if (!route->is_looking_up && !route->is_draining) continue;
    if (route->is_looking_up && route->lookup == 0) {
      if (route->returned.empty() && route->waiting.empty() && !route->is_draining) {
        routes_.drop(*route);
        continue;
      }
      look_up(*route);
    }
    watch();
  }
}

void SendFlow::expire(Route& route, Time now) {
  const std::uint64_t now_ms = store_ms();
  std::vector<Message> expired;
  for (auto* queue : {&route.returned, &route.waiting}) {
    const auto is_late = [&](const Message& message) {
      return is_over(message.deadline, now_ms) || message.since + context_.limits().send_deadline <= now;
    };
    const auto late = std::stable_partition(queue->begin(), queue->end(), std::not_fn(is_late));
    std::move(late, queue->end(), std::back_inserter(expired));
    queue->erase(late, queue->end());
  }
  for (const Message& message : expired) {
    route.waiting_bytes -= message.bytes();
    finish(message.entry(), Word::dropped_expired);
  }
}

void SendFlow::watch_links(Time now) {
  for (const LinkTable::Index index : links_.take_watched()) {
    Link* link = links_.at(index);
    if (link == nullptr) continue;
    if (link->leased_until <= now) {
      if (give_up_if_due({index, *link}) == GivenUp::yes) end_drains();
      continue;
    }
    while (auto batch = link->take_expired(now - context_.limits().send_deadline)) expire(*link, *batch);
    if (link->has_queue()) links_.touch({index, *link});
    const auto oldest = link->oldest_unsettled();
    if (oldest && *oldest + context_.limits().silent_after <= now && link->last_heard < *oldest)
      link->is_suspect = true;
    if (oldest && *oldest + 2 * context_.limits().account_every <= now) {
      // Asked once and not answered within a second: the question or the answer was lost.
      if (link->account_asked && *link->account_asked + context_.limits().account_every <= now) {
        link->account_asked.reset();
      }
      if (!link->is_peer_absent) ask_account({index, *link});
    }
    // Nobody listens there and nobody speaks from there: what a copy that may have arrived became of, nobody will tell.
    const auto unsettled = link->oldest_unsettled();
    if (link->is_peer_absent && !link->has_queue() && link->last_heard + absent_peer_kept <= now &&
        (!unsettled || *unsettled + absent_peer_kept <= now)) {
      give_up(index);
      end_drains();
      continue;
    }
    if (link->has_queue() || unsettled || link->is_peer_absent) watch({index, *link});
  }
}

void SendFlow::expire(const Link& link, const Link::Batch& batch) {
  // Never published: its messages end here. Published before: the peer's account will say.
  const bool may_have_arrived = batch.attempts != 0;
  const auto decoded = decode_batch(batch.bytes, context_.options.keys, link.peer().server.view(),
                                    std::chrono::milliseconds{store_ms()});
  const auto* own = std::get_if<Batch>(&decoded);
  if (own == nullptr) return;
  for (const Entry& entry : own->entries) {
    if (const auto* message = std::get_if<EntryMessage>(&entry); message != nullptr && !may_have_arrived) {
      finish(*message, Word::dropped_expired);
    } else if (const auto* kick = std::get_if<EntryKick>(&entry); kick != nullptr && kick->receipt != 0) {
      sink_.on_kick_done(kick->receipt);
    }
  }
}

}  // namespace wsr
