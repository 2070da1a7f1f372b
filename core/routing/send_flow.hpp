// SendFlow: a message on its way from a sender on this shard to its client, wherever that is.
//
//   submit ─▶ client here? ──────────────────────────────▶ outbox ─▶ delivered | dropped(slow_consumer)
//               │ no
//             route known? ─no─▶ lookup ─▶ nobody ─▶ offline
//               │ yes                └─▶ found
//             link to that shard ─▶ batch ─▶ bus ─▶ its SendFlow: client here? ─▶ outbox, account, receipt
//                                             │                      └ no ─▶ returned ─▶ lookup again
//                                             └ nobody listens ─▶ returned ─▶ lookup again (hops_max in all)
//
// A known route is taken only while the lease of its server stands and the server answers: what PUBLISH counts proves
// nothing about who hears. After that, and after each message that came back, the store is asked: `offline` is said
// only by the store.
//
// A message has one deadline, send_deadline after its submission, on the store's clock. It travels with the message and
// is checked by whoever would deliver it, so that nothing arrives after its sender has been told an outcome.
//
// Order (G7): while older messages to a client may still come back from its old server, newer ones wait
// behind them (Route::is_draining), at most drain_max, and not at all for a server that is known to be dead: it gives
// nothing back. At most once (G6): a batch is repeated only with its own
// sequence numbers. One word each (G5): counted here, where the message entered, from local outcomes and from the
// accounts of other shards.
//
// Thread-safety: none; part of one Router. Errors: every outcome is a Word.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/routing/delivery.hpp"
#include "core/routing/leases.hpp"
#include "core/routing/link_table.hpp"
#include "core/routing/receipt_table.hpp"
#include "core/routing/route_table.hpp"
#include "core/routing/router_context.hpp"

namespace wsr {

class WordSink {
public:
  virtual ~WordSink() = default;
  virtual void on_word(const ReceiptWaiter& waiter, Word word, const ServerId& server) = 0;
  /// `receipt`: of the kick, to be answered with EntryKickDone; 0: no answer is wanted.
  virtual void on_kick(const ShardAddress& from, ConnId conn, CloseCode code, std::string_view reason,
                       std::uint64_t receipt) = 0;
  /// The kick was carried out, or nobody listened.
  virtual void on_kick_done(std::uint64_t receipt) = 0;
  /// What was published for this server has been heard by nobody.
  virtual void on_unheard(const ServerId& server) = 0;
  /// An entry that is about rooms, from another shard.
  virtual void on_room_entry(const ShardAddress& from, const Entry& entry) = 0;
};

class SendFlow {
public:
  SendFlow(RouterContext& context, Delivery& delivery, WordSink& sink);

  /// A new message. `waiter`: who wants to know the word; it is told exactly once, now or later.
  void submit(EntryMessage message, std::optional<ReceiptWaiter> waiter);
  /// A new message that ends here: its word is told and counted.
  void refuse(Word word, const std::optional<ReceiptWaiter>& waiter);
  /// `receipt`: comes back by on_kick_done(), never inline for a connection elsewhere; 0: no answer is wanted.
  void kick(const Attachment& at, CloseCode code, std::string_view reason, std::uint64_t receipt = 0);
  /// Says something to another shard that changes nothing there.
  void prod(const ShardAddress& to) { tell(to, EntryAccountWanted{}); }
  /// Any other entry for another shard, in order with what else goes there.
  void tell(const ShardAddress& to, const Entry& entry);

  void on_batch(std::string_view channel, std::string_view bytes);
  void on_published(std::uint64_t number, const Published& published);
  void on_owners(std::uint64_t number, Owners&& owners);
  /// The client has connected to this shard.
  void on_client_here(std::string_view client);
  /// The client has connected to another shard of this server, and was elsewhere before.
  void on_client_moved(std::string_view client);
  void on_store_up();
  /// What the registry says of all servers; who is not in it has no lease.
  void on_leases(const Leases& leases);
  /// When the server's lease ends, as far as is known; nullopt: nothing is known of it.
  [[nodiscard]] std::optional<Time> leased_until(const ServerId& server) const;
  void on_server_gone(const ServerId& server);
  [[nodiscard]] std::size_t links() const { return links_.size(); }

  void flush();
  void on_time();
  [[nodiscard]] std::optional<Time> next_deadline();

private:
  static constexpr Duration watch_every = std::chrono::milliseconds{100};  // while anything is unfinished
  static constexpr Duration absent_peer_kept = std::chrono::seconds{10};   // a silent peer nobody listens for
  static constexpr Duration guest_kept = std::chrono::seconds{60};         // far beyond every deadline of a message

  void route(const EntryMessage& message);
  void dispatch(Route& route, const EntryMessage& message);
  void finish(const EntryMessage& message, Word word);
  void count(Word word, std::uint64_t times = 1) { at(context_.stats.words, word) += times; }
  void resolve_receipt(std::uint64_t receipt, Word word, const ServerId& server);
  [[nodiscard]] std::uint64_t store_ms() const;  // the store's clock, in milliseconds
  /// Into the outboxes of the client's sessions here; nullopt if it has none.
  [[nodiscard]] std::optional<Word> deliver_here(const EntryMessage& message);

  Route& make_route(std::string_view client);
  void look_up(Route& route);
  void wait(Route& route, std::vector<Message> Route::*queue, const EntryMessage& message);
  void come_back(const EntryMessage& message);
  enum class Hop : std::uint8_t { counts, free };  // free: the batch has never been published
  void reroute(const Link& link, const Link::Batch& batch, Hop hop);
  void give_up(LinkTable::Index index);  // its peer is dead
  /// Its server's lease is over. What is being published at this moment may yet come back, heard by nobody: until the
  /// store has answered, the link stands, and newer messages wait behind it.
  [[nodiscard]] bool is_to_be_given_up(const Link& link) const;
  enum class GivenUp : std::uint8_t { yes, no };
  GivenUp give_up_if_due(LinkTable::Entry link);
  /// Links to those without a lease (`wsr send`, a fabric's guest) that have not been heard for guest_kept.
  void forget_guests();
  void expire(const Link& link, const Link::Batch& batch);
  void begin_drain(Route& route);
  /// What was sent to its targets ends or comes back before anything else is sent; then they are forgotten.
  void drain_targets(Route& route);
  void end_drain_if_done(Route& route);
  void end_drains();
  void resolve(Route& route);
  [[nodiscard]] bool is_settled(const RouteTarget& target);
  /// Its server lives, as far as is known, and answers.
  [[nodiscard]] bool is_trusted(const RouteTarget& target);
  [[nodiscard]] LinkTable::Entry link_to(const RouteTarget& target);
  /// Nothing more comes back from there.
  [[nodiscard]] bool is_dead(const Link& link) const;
  void expire(Route& route, Time now);

  void take(LinkTable::Entry link, const EntryMessage& message, std::uint64_t store_ms);
  void take(LinkTable::Entry link, const EntryReturned& returned);
  void take(LinkTable::Entry link, const EntryAccount& account);
  void ask_account(LinkTable::Entry link);
  void publish(LinkTable::Entry link);
  void watch();
  void watch(LinkTable::Entry link);
  void watch_routes(Time now);
  void watch_links(Time now);

  RouterContext& context_;
  Delivery& delivery_;
  WordSink& sink_;
  RouteTable routes_;
  LinkTable links_;
  ReceiptTable receipts_;
  Leases leases_;                                                      // of the last reading of the registry
  std::uint64_t lookups_ = 0;                                          // serial of the last lookup
  boost::unordered_flat_map<std::uint64_t, std::string> lookups_out_;  // serial -> client
  std::optional<Time> watch_at_;
  std::optional<Time> account_at_;
  std::string scratch_;  // a frame being encoded
};

}  // namespace wsr
