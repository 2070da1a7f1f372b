#include "sim/takeover.hpp"

#include <fmt/format.h>

#include "sim/truth.hpp"

namespace wsr::sim {

TakeoverCheck::TakeoverCheck(const Parts& parts)
    : newest_(parts.config.policy == SessionPolicy::single ? parts.scenario.clients : 0) {}

void TakeoverCheck::on_welcome(const Conn& conn, Nanos at) {
  if (conn.client >= newest_.size() || conn.serial < newest_[conn.client].serial) return;
  newest_[conn.client] = {.serial = conn.serial, .welcomed_at = at};
}

std::optional<std::string> TakeoverCheck::judge(const Conn& conn, const Deed& deed, std::uint64_t number) const {
  const Newest& newest = newest_[conn.client];
  if (deed.at <= newest.welcomed_at) return std::nullopt;
  return fmt::format(
      "c{} read a newer welcome at {} us; message {} was sent at {} us, and written to its older "
      "connection at s{}",
      conn.client, newest.welcomed_at / microsecond, number, deed.at / microsecond, conn.server);
}

}  // namespace wsr::sim
