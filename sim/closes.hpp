// Closes: each close frame of a server, held against what really happened to the connection.
//
//   claims at the store ──▶ Closes ◀── what the core asks to close, and what is written
//
// A connection is closed once, with a code that has a cause in this run, and hears nothing after that.
//
// Thread-safety: none; part of one run. Cost: O(1) a close and a claim; what it knows of a connection is in its Conn.
#pragma once

#include <cstdint>
#include <optional>

#include "core/routing/ports.hpp"
#include "sim/population.hpp"

namespace wsr::sim {

class Closes {
public:
  explicit Closes(Parts& parts) : parts_(parts) {}

  /// What the store made of a claim; none: no row that counts.
  void on_claim(const ClaimCall& request, const std::optional<OwnerRow>& before, const std::optional<OwnerRow>& after);
  /// The core wants it closed.
  void on_asked(ConnIndex index);
  /// What waits for a connection that is being closed, in bytes.
  struct Waiting {
    std::size_t when_asked = 0;
    std::size_t at_close = 0;  // what goes out before the close frame
  };
  /// Its close frame is written now.
  void on_close(ConnIndex index, std::uint16_t code, Waiting waiting);
  /// Its server writes after that.
  void on_written_after(ConnIndex index);

private:
  /// Why the server may not say this code to it, in words; nullptr if it may.
  [[nodiscard]] const char* fault_of(const Conn& conn, std::uint16_t code, std::size_t waiting) const;
  [[nodiscard]] bool is_slow(std::size_t waiting) const;
  [[nodiscard]] ConnIndex conn_at(const Attachment& at) const;
  void find(ConnIndex index, const char* what, std::uint16_t code);

  Parts& parts_;
};

}  // namespace wsr::sim
