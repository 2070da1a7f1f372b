// The envelope of the bus: what one shard of a server says to one shard of another, in batches.
//
//   batch = "W" version flags | from server, shard | to shard | base, first_seq | count
//           | [key id, time] | entries | [mac]
//
// Every entry of a link has a sequence number (first_seq, first_seq + 1, ...), so that a receiver
// knows what it missed and drops what it has already seen. Integers are LEB128 varints, strings
// are length and bytes. Version 2 (2: a message carries its deadline, a kick can be answered); another version is
// refused by name.
//
// With keys, a batch ends in an HMAC-SHA256 (RFC 2104) over channel, header and entries: it can be
// neither forged nor moved to another inbox, nor replayed later than `skew_max`.
//
// Thread-safety: pure functions and plain values.
// Errors:        decode_batch() returns what is wrong; it never throws and never reads past the end.
// Bounds:        batch_entries_max and batch_bytes_max are what a sender puts in one batch; a receiver takes
//                up to batch_entries_limit and batch_bytes_limit (a message of the largest size must still
//                fit in one batch).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace wsr {

inline constexpr std::uint8_t batch_version = 2;           // of the format; a server refuses every other one
inline constexpr std::size_t batch_entries_max = 64;       // one flush of a busy link
inline constexpr std::size_t batch_bytes_max = 64 * 1024;  // closes a batch once reached
inline constexpr std::size_t batch_bytes_limit =
    20 * 1024 * 1024;  // above it a batch is refused: largest message plus headers
inline constexpr std::size_t batch_entries_limit =
    4'096;  // above it a batch is refused: an entry of one byte costs its receiver a hundred

/// The words in which a message ends, as they travel (core/routing/outcome.hpp gives them meaning).
inline constexpr std::size_t word_count = 12;

struct EntryMessage {         // deliver `data` to every connection of `to` on this shard
  std::uint64_t receipt = 0;  // 0: the sender wants none
  std::uint8_t hops = 0;      // how often it has been forwarded already
  bool is_copy = false;       // a further device of the same client: not counted again
  std::string_view from;      // client id, may be empty (the fabric itself, a shell)
  std::string_view to;
  std::string_view data;
  bool is_fresh = false;      // the first on its route: whoever gave messages of this client back may deliver again
  std::string_view copies{};  // shards that have a copy, in its sender's words: if it comes back, they are passed by
  /// Milliseconds on the store's clock: it is not delivered later, because its sender has been told an outcome then.
  /// 0: none.
  std::uint64_t deadline = 0;
};
struct EntryReturned {  // `to` is not here: the sender's shard must look again
  EntryMessage message;
  std::uint64_t base = 0;  // of the link on which it came: a sender that has begun another is done with it
};
struct EntryReceipt {  // the word for a message that asked
  std::uint64_t receipt = 0;
  std::uint8_t word = 0;
};
struct EntryAccountWanted {};  // say how far you are, after all that came before this
struct EntryAccount {          // cumulative since the link began
  std::uint64_t through = 0;   // every entry below this sequence number was seen or is known missing
  std::uint64_t returned = 0;  // messages given back as EntryReturned
  std::array<std::uint64_t, word_count> words{};
  std::uint64_t base = 0;  // of the link that it speaks of
};
struct EntryKick {  // close exactly this connection, if it is still there
  std::uint64_t conn = 0;
  std::uint16_t code = 0;
  std::string_view reason;
  std::uint64_t receipt = 0;  // answered by EntryKickDone once nothing more is written to it; 0: no answer is wanted
};
struct EntryKickDone {  // the connection of that kick, and every older one of its client, gets nothing more
  std::uint64_t receipt = 0;
};
struct EntryProbe {  // a server hears itself
  std::uint64_t nonce = 0;
};
struct EntryRoomReceipt {  // how many connections of the answering shard got a room's message
  std::uint64_t receipt = 0;
  std::uint64_t connections = 0;
  std::uint32_t parts = 1;  // shards of that server that answer
};
struct EntryRoomCommand {  // a client's owner carries out what somebody elsewhere asks for the client
  enum class Op : std::uint8_t { join, leave } op = Op::join;
  std::uint64_t receipt = 0;
  std::string_view room;
  std::string_view client;
  std::uint64_t stay = 0;  // join: another device of the client is in since this version; 0: somebody asks for it
};
struct EntryRoomAnswer {
  std::uint64_t receipt = 0;
  std::uint8_t result = 0;  // Errc (core/base/errc.hpp); unknown numbers count as internal
  std::uint64_t size = 0;
  std::uint64_t version = 0;
  std::string_view detail;
};
using Entry = std::variant<EntryMessage, EntryReturned, EntryReceipt, EntryAccountWanted, EntryAccount, EntryKick,
                           EntryProbe, EntryRoomReceipt, EntryRoomCommand, EntryRoomAnswer, EntryKickDone>;

struct BatchHeader {
  std::string_view from_server;
  std::uint16_t from_shard = 0;
  std::uint16_t to_shard = 0;
  std::uint64_t base = 0;       // the sequence number at which this link began; another base is another link
  std::uint64_t first_seq = 0;  // of the first entry; never below base
  std::uint32_t count = 0;
};

struct BatchKey {
  std::string id;      // 1-32 bytes; names the key in the batch, so that keys can rotate
  std::string secret;  // at least 16 bytes
};
struct BatchKeys {  // the first signs; all verify. Empty: batches are not signed, signed ones refused
  std::vector<BatchKey> keys;
  std::chrono::milliseconds skew_max{30'000};
};

/// Builds one batch. Append entries, then finish().
class BatchWriter {
public:
  BatchWriter(std::string_view from_server, std::uint16_t from_shard, std::uint16_t to_shard, std::uint64_t base,
              std::uint64_t first_seq);
  void add(const Entry& entry);
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::size_t bytes() const { return entries_.size(); }
  [[nodiscard]] bool is_full() const { return count_ >= batch_entries_max || entries_.size() >= batch_bytes_max; }
  /// The batch's bytes. `channel` and `time` (milliseconds on the store's clock) go into the MAC.
  [[nodiscard]] std::string finish(const BatchKeys& keys, std::string_view channel,
                                   std::chrono::milliseconds time) const;

private:
  std::string from_server_;
  std::uint16_t from_shard_;
  std::uint16_t to_shard_;
  std::uint64_t base_;
  std::uint64_t first_seq_;
  std::uint32_t count_ = 0;
  std::string entries_;
};

struct Batch {  // views point into the bytes that were decoded
  BatchHeader header;
  std::vector<Entry> entries;
};
struct BatchError {
  std::string message;
};

/// The version of a batch that is none of ours; nullopt for anything else.
[[nodiscard]] std::optional<std::uint8_t> foreign_batch_version(std::string_view bytes);

/// Only the header, for one who hands the batch on. Checks no MAC.
[[nodiscard]] std::optional<BatchHeader> peek_batch(std::string_view bytes);

[[nodiscard]] std::variant<Batch, BatchError> decode_batch(std::string_view bytes, const BatchKeys& keys,
                                                           std::string_view channel, std::chrono::milliseconds now);

}  // namespace wsr
