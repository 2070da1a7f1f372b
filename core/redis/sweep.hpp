// Sweep: removes what one server left behind, page by page along its two indexes: owner rows, then places in rooms.
//
//   begin (lock) ──▶ owner rows ─────▶ rooms ─────▶ unregister ──▶ end (unlock)
//                    page ──▶ read ──▶ remove what was read, then its entries ──▶ page ...
//                      └── the lock is lost or the server is back: conflict, with what was removed so far
//
// While the lock stands the server cannot renew. Each row and each place is removed only if it is still the one that
// was read: a server that came back and asserted it again has raised its epoch. An entry goes last, so a sweep that
// broke off anywhere leaves what the next one needs.
//
// Cost: O(entries in that server's indexes), pipelined: three round trips for page_entries of them.
// Errors: conflict, unavailable, timeout. The lock ends by itself, and a sweep can be made again at any point.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/redis/connection.hpp"
#include "core/redis/keys.hpp"
#include "core/wire/room_envelope.hpp"

namespace wsr::redis {

class Sweep : public std::enable_shared_from_this<Sweep> {
public:
  static constexpr std::string_view page_entries = "500";  // a script's work stays below a millisecond
  static constexpr std::string_view lock_ms = "5000";      // many times what a page needs

  /// Stays that end by it are told as `kind`: swept, or leave if a server takes leave of its own.
  static void run(Connection& connection, const Keys& keys, const ServerId& dead, const ServerId& by,
                  PresenceEvent::Kind kind, std::function<void(Swept)> done);
  Sweep(Connection& connection, const Keys& keys, ServerId dead, ServerId by, PresenceEvent::Kind kind,
        std::function<void(Swept)> done);

private:
  struct Row {
    IndexEntry entry;
    std::string member;  // the entry as it stands in the index
    std::string value;   // empty: there is no such row
    bool is_gone = false;
  };
  struct Place {
    RoomIndexEntry entry;
    std::string member;  // the entry as it stands in the index
    std::string epoch;   // in the roster; empty: the attachment is not there
    std::string note;    // the client's own of this attachment in the room; empty: there is none
    bool is_gone = false;
  };

  void begin();
  /// The next entries of an index, or the end of the sweep: the lock is lost, or the store does not answer.
  void next_page(const std::string& index_key, std::function<void(const Reply& members)> read);
  void next_rows();
  void read_rows(const Reply& members);
  void remove_rows();
  void remove_row_entries();
  void next_places();
  void read_places(const Reply& members);
  void remove_places();
  void remove_place_entries();
  void finish();
  void end(Errc result);

  Connection& connection_;
  const Keys& keys_;
  ServerId dead_, by_;
  std::string_view kind_;
  std::function<void(Swept)> done_;
  std::string lease_key_, lock_key_, index_key_, room_index_key_;
  std::string cursor_ = "0";
  std::vector<Row> rows_;          // of this page
  std::vector<Place> places_;      // of this page
  std::vector<RoomName> emptied_;  // by this page
  Swept swept_;
};

}  // namespace wsr::redis
