// Link: what this shard and one other shard say to each other, in both directions.
//
//   out:  add() ─▶ open batch ─seal─▶ waiting ─publish─▶ in flight ─1 receiver─▶ ledger ─account─▶ settled
//                                        ▲                  │  └──0 receivers─▶ returned to the flow
//                                        └──store failed────┘
//   in:   arrive() drops what was seen, counts what was missed; `account` gathers what became of the rest
//
// A batch is published again after a failure with the same sequence numbers: the receiver drops a second
// copy, so a lost reply costs nothing and nothing arrives twice. The ledger remembers only how many messages
// each published batch held; the peer's account, cumulative, says in which words they ended. What the
// account passes over without a word was lost on the bus. A message that asked for a receipt is none of the account's
// business: its outcome is what its sender is told, by the receipt or by its absence.
//
// Thread-safety: none. Bounds: the caller refuses messages above link_bytes_max; in flight: link_in_flight_max.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/time.hpp"
#include "core/routing/limits.hpp"
#include "core/routing/outcome.hpp"
#include "core/routing/ports.hpp"
#include "core/wire/envelope.hpp"

namespace wsr {

/// What all links of a shard share.
struct LinkContext {
  ShardAddress self;
  BatchKeys keys;
  Limits limits;
  Clock& clock;
  std::uint64_t serials = 0;  // the last batch's
  std::uint64_t bases = 0;    // the last link's base: the store's time may be corrected backwards, a base may not
};

class Link {
public:
  Link(LinkContext& context, ShardAddress peer);

  [[nodiscard]] const ShardAddress& peer() const { return peer_; }
  /// False for a shard of this server: its batches go to it directly (LocalFirst), whether there is a store or a lease.
  [[nodiscard]] bool needs_store() const { return peer_.server != context_.self.server; }
  [[nodiscard]] std::uint64_t base() const { return base_; }

  // ---- out
  /// Appends an entry to the open batch; its sequence number. Messages that count are told from copies by the entry.
  std::uint64_t add(const Entry& entry);

  struct Batch {
    std::uint64_t serial = 0;  // names it in the ticket
    std::string bytes;         // kept until it is handed over
    Time sealed{};
    std::uint32_t attempts = 0;  // how often it was published
  };
  /// The next batch to publish now, or nullptr. Nagle's rule without a timer: a batch that is not full waits while
  /// another is in flight, so batches grow exactly when the bus is busy.
  [[nodiscard]] const Batch* next_to_publish();

  enum class Known : std::uint8_t { yes, no };  // no: the answer to a batch that is no longer waited for
  /// The bus handed the batch to the peer.
  Known handed_over(std::uint64_t serial);
  /// The store failed: the batch will be published again, with the same numbers.
  Known retry(std::uint64_t serial);
  /// Nobody is subscribed there: the batch comes back. At its first attempt its messages may go another way; at a
  /// later one it may have arrived before, and the peer's account tells their word.
  [[nodiscard]] std::optional<Batch> take_returned(std::uint64_t serial);
  /// The oldest batch, if it was sealed before `then` and is not in flight.
  [[nodiscard]] std::optional<Batch> take_expired(Time then);
  /// The oldest batch not handed over, in flight or not: the peer is gone for good.
  [[nodiscard]] std::optional<Batch> take_front();

  [[nodiscard]] std::size_t queued_bytes() const { return queued_bytes_ + (writer_ ? writer_->bytes() : 0); }
  /// The store has not answered yet for a batch.
  [[nodiscard]] bool is_publishing() const { return in_flight_ != 0; }
  [[nodiscard]] bool has_queue() const { return !queue_.empty() || writer_.has_value(); }

  // ---- the fate of what was handed over
  struct Settled {
    WordCounts words{};      // new since the last account
    std::uint64_t lost = 0;  // passed over by the account without a word
  };
  [[nodiscard]] Settled settle(const EntryAccount& account);
  /// True if every message up to `seq` has come to an end or come back.
  [[nodiscard]] bool is_settled(std::uint64_t seq) const;
  [[nodiscard]] bool has_unsettled() const { return !ledger_.empty(); }
  [[nodiscard]] std::uint64_t unsettled_messages() const;
  [[nodiscard]] std::optional<Time> oldest_unsettled() const;
  /// An account was asked for and has not come yet.
  std::optional<Time> account_asked;
  /// A message without a receipt that we sent there came back.
  void note_returned() { ++returned_received_; }

  // ---- in
  enum class Arrival : std::uint8_t { fresh, duplicate };
  struct Arrived {
    Arrival arrival = Arrival::fresh;
    std::uint64_t missed = 0;  // entries lost before this batch
  };
  [[nodiscard]] Arrived arrive(const BatchHeader& header);
  EntryAccount account;  // what we tell the peer about its messages
  /// What this end knows of what came. It outlives the link: a peer that was taken for dead and lives goes on with its
  /// numbers, and its sums, where it was.
  struct Inbound {
    EntryAccount account;
    std::uint64_t base = 0;
    std::uint64_t expected = 0;
  };
  [[nodiscard]] Inbound inbound() const { return {account, in_base_, in_expected_}; }
  void resume(const Inbound& known) {
    account = known.account;
    in_base_ = known.base;
    in_expected_ = known.expected;
  }
  bool is_account_due = false;
  bool is_account_listed = false;  // on the list of those that tell their account next
  /// Clients of whom a message was given back on this link. What follows on the link is given back, too, until the
  /// sender begins anew (EntryMessage::is_fresh): a client that leaves and returns would else get the later message
  /// first.
  std::set<std::string, std::less<>> given_back;
  static constexpr std::size_t given_back_max = 4'096;  // above it order is no longer kept for the rest
  Time last_heard{};
  bool is_dirty = false;        // on the list of links to flush
  bool is_watched = false;      // on the list of links that something is unfinished on
  bool is_peer_absent = false;  // the last publish found nobody there
  bool is_suspect = false;      // silent for too long: Limits::silent_after
  /// Its server's lease ends then, as far as is known: nothing is published to it later. Time::max(): the peer has no
  /// lease (a guest), or is this server itself.
  Time leased_until = Time::max();

private:
  struct LedgerEntry {
    std::uint64_t first_seq = 0;
    std::uint64_t end_seq = 0;
    std::uint64_t messages = 0;  // those whose outcome the account tells: without a receipt, and no copies
    std::uint64_t serial = 0;
    Time sealed{};
  };
  void seal();
  [[nodiscard]] std::optional<std::size_t> find(std::uint64_t serial) const;  // index in queue_, in flight only
  Batch take(std::size_t index);
  void forget(std::uint64_t serial);  // out of the ledger: its messages go another way

  LinkContext& context_;
  ShardAddress peer_;
  std::uint64_t base_;  // where this link's numbers begin: the store's time at its making, above every earlier base
  std::uint64_t next_seq_;
  std::optional<BatchWriter> writer_;  // the open batch
  std::uint64_t writer_first_ = 0;
  std::uint64_t writer_messages_ = 0;  // in the open batch: those whose outcome the account tells
  bool has_writer_messages_ = false;   // messages of any kind
  std::vector<Batch> queue_;           // sealed: those in flight first, then those that wait. Few: all but one full
  std::size_t in_flight_ = 0;
  std::size_t queued_bytes_ = 0;
  std::vector<LedgerEntry> ledger_;       // sealed batches with messages, until an account passes them
  std::uint64_t accounted_messages_ = 0;  // cumulative: messages the accounts have passed
  std::uint64_t lost_counted_ = 0;
  EntryAccount last_account_;  // as received
  std::uint64_t returned_received_ = 0;
  std::uint64_t returned_accounted_ = 0;  // of these, those that came before the last account
  std::uint64_t in_base_ = 0;             // 0: nothing heard yet
  std::uint64_t in_expected_ = 0;
};

}  // namespace wsr
