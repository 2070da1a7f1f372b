// TakeoverCheck: once a client has read its welcome, nothing that is sent afterwards, anywhere, is written to an older
// connection of that client (G2, policy `single`).
//
//   welcomes, as clients read them ──▶ TakeoverCheck ◀── what servers write to connections that are not the newest
//
// Thread-safety: none; part of one run. Memory: 16 bytes a client.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/population.hpp"

namespace wsr::sim {

struct Deed;

class TakeoverCheck {
public:
  explicit TakeoverCheck(const Parts& parts);

  void on_welcome(const Conn& conn, Nanos at);
  /// A newer connection of its client has read its welcome.
  [[nodiscard]] bool is_older(const Conn& conn) const {
    return conn.client < newest_.size() && conn.serial < newest_[conn.client].serial;
  }
  /// What is wrong with writing this message to that connection, in words; none if nothing is. REQUIRES:
  /// is_older(conn).
  [[nodiscard]] std::optional<std::string> judge(const Conn& conn, const Deed& deed, std::uint64_t number) const;

private:
  struct Newest {
    std::uint32_t serial = 0;
    Nanos welcomed_at = 0;
  };
  std::vector<Newest> newest_;  // by client; empty: several devices, and nobody is displaced
};

}  // namespace wsr::sim
