// Places: where the store has each client, held against where it is. Ghosts are those whom it has elsewhere.
//
//   row of the owner directory, or of the naive pattern's table ──▶ Places ◀── Population: the connections that live
//
// Thread-safety: none; part of one run. Memory: 8 bytes a client once ghosts are counted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "sim/parts.hpp"

namespace wsr::sim {

class VirtualServer;

class Places {
public:
  explicit Places(Parts& parts) : parts_(parts) {}

  /// The rows are the naive pattern's: {server, fd} in a table.
  void watch_naive() { is_naive_ = true; }
  /// Where the store has a client instead of at the connection `conn` of `server`, in words; none if it is there.
  [[nodiscard]] std::optional<std::string> wrong(std::uint32_t client, const VirtualServer& server, ConnId conn) const;
  /// Looks for clients whom the store has where they are not: called once a virtual second. O(clients).
  void count_ghosts(Nanos longer_than);
  /// Of clients who were ghosts for longer than that: a second for each look.
  [[nodiscard]] std::uint64_t ghost_seconds() const { return ghost_seconds_; }

private:
  struct Place {
    std::string server;
    std::uint64_t conn = 0;
  };
  /// For whoever asks the store; none: nowhere.
  [[nodiscard]] std::optional<Place> of(std::uint32_t client) const;

  Parts& parts_;
  bool is_naive_ = false;
  std::vector<Nanos> ghost_since_;  // by client; 0: it is where the store says, or nowhere
  std::uint64_t ghost_seconds_ = 0;
};

}  // namespace wsr::sim
