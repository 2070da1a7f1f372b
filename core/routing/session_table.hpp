// SessionTable: the connections of one shard, by connection and by client.
//
// A session lives from open() to close(). Slots are reused, connection ids are not: an id is found only
// while its own session lives. Several sessions of one client form a chain, the newest first.
//
// Thread-safety: none. Bounds: sessions_max; open() returns nullptr at it.
// Cost:          every call O(1) (close: the devices of that client). Pointers stay valid until close().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/routing/outbox.hpp"
#include "core/routing/router_ports.hpp"
#include "core/routing/slot_index.hpp"

namespace wsr {

struct Session {
  enum class Claim : std::uint8_t {
    asked,      // the directory has not answered yet
    held,       // ours, with `epoch`
    unclaimed,  // the store was down: claimed again when it is back
  };
  enum class Phase : std::uint8_t {
    open,
    answering,  // its client has said goodbye: it gets the answers that it waits for, and nothing else
    closing,    // gets nothing more
  };

  Session(ConnId id_, ClientId client_, Framing framing_, OutboxRules& rules)
      : id(id_), client(std::move(client_)), framing(framing_), outbox(rules) {}

  ConnId id;
  ClientId client;
  Framing framing;
  Claim claim = Claim::asked;
  Phase phase = Phase::open;
  bool has_been_held = false;     // the claim has stood once: the client is back in its rooms
  bool are_rooms_due = false;     // to be asserted again, once the claim is
  bool is_released = false;       // its row and its places in rooms are given back
  bool is_end_due = false;        // it ends, with its answers, once its moves are done
  std::uint32_t answers_due = 0;  // commands with an id that are not answered yet
  std::uint32_t moves_due = 0;    // joins and leaves among them: carried out while it is a session
  Outbox outbox;
  Frame preface;  // goes out before everything else: the answer to the upgrade
  Epoch epoch;    // granted by the directory; 0 before
  StoreTime accepted_at{};
  std::chrono::microseconds clock_error{0};  // of accepted_at
  std::uint32_t next_device = 0;             // slot of the client's next older session on this shard; itself: none
  std::vector<std::uint32_t> rooms;          // numbers in the RoomTable, joins under way included
};

class SessionTable {
public:
  explicit SessionTable(std::size_t sessions_max) : newest_(ClientOf{&slots_}), sessions_max_(sessions_max) {}
  SessionTable(const SessionTable&) = delete;
  SessionTable& operator=(const SessionTable&) = delete;

  [[nodiscard]] Session* open(ClientId client, Framing framing, OutboxRules& rules);
  [[nodiscard]] Session* find(ConnId id);
  /// The client's newest session on this shard, whatever its phase; then next() to the older ones.
  [[nodiscard]] Session* newest(std::string_view client);
  [[nodiscard]] Session* next(const Session& session);
  /// True if the client has a session here that can get messages.
  [[nodiscard]] bool is_here(std::string_view client);
  void close(Session& session);

  [[nodiscard]] std::size_t size() const { return size_; }
  /// Slots in use are below this number; at(slot) is nullptr for a free one.
  [[nodiscard]] std::uint32_t slots_end() const { return static_cast<std::uint32_t>(slots_.size()); }
  [[nodiscard]] Session* at(std::uint32_t slot);

private:
  struct ClientOf {
    const SlotTable<std::optional<Session>>* slots;
    std::string_view operator()(std::uint32_t slot) const { return (*slots)[slot]->client.view(); }
  };
  SlotTable<std::optional<Session>> slots_;
  std::vector<std::uint32_t> free_;
  SlotIndex<ClientOf> newest_;  // of each client the newest session
  std::uint64_t serial_ = 0;
  std::size_t size_ = 0;
  std::size_t sessions_max_;
};

}  // namespace wsr