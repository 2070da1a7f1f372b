#include "sim/closes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/wire/close_code.hpp"
#include "core/wire/ws_frame.hpp"
#include "sim/server.hpp"
#include "sim/truth.hpp"

namespace wsr::sim {

ConnIndex Closes::conn_at(const Attachment& at) const {
  const VirtualServer* server = living(parts_, at.server);
  return server == nullptr ? nobody : server->conn_with(at.conn);
}

void Closes::on_claim(const ClaimCall& request, const std::optional<OwnerRow>& before,
                      const std::optional<OwnerRow>& after) {
  const auto mark = [this](const Attachment& at, Conn::Row row) {
    if (const ConnIndex index = conn_at(at); index != nobody) parts_.population->conn(index).row = row;
  };
  const bool is_changed = before && before->at != request.at && (!after || after->at != before->at);
  if (is_changed) mark(before->at, Conn::Row::replaced);
  if (after && after->at != request.at) mark(request.at, Conn::Row::replaced);
  if (!after && parts_.config.owners_max != 0) mark(request.at, Conn::Row::no_room);
}

void Closes::on_asked(ConnIndex index) {
  Conn& conn = parts_.population->conn(index);
  if (conn.close != Conn::Close::none) find(index, "is closed a second time", 0);
  conn.close = Conn::Close::asked;
}

void Closes::on_close(ConnIndex index, std::uint16_t code, Waiting waiting) {
  Conn& conn = parts_.population->conn(index);
  if (waiting.at_close > waiting.when_asked) find(index, "was sent something after it was closed", code);
  if (const char* fault = fault_of(conn, code, waiting.when_asked)) find(index, fault, code);
  conn.close = Conn::Close::written;
}

void Closes::on_written_after(ConnIndex index) { find(index, "was sent something behind its close frame", 0); }

const char* Closes::fault_of(const Conn& conn, std::uint16_t code, std::size_t waiting) const {
  const Limits& limits = parts_.config.limits;
  if (!is_valid_on_wire(code)) return "is closed with a code that may not be on the wire";
  switch (static_cast<CloseCode>(code)) {
    case CloseCode::going_away: {
      const VirtualServer* server = parts_.server(conn.server);
      return server != nullptr && server->is_draining() ? nullptr : "is told that its server stops, which goes on";
    }
    case CloseCode::try_again_later:
      if (limits.slow_policy != SlowPolicy::disconnect) return "is closed as too slow, which only drops messages here";
      // What waited for a connection without its welcome is thrown away before that.
      return !conn.is_welcome || is_slow(waiting) ? nullptr : "is closed as too slow, and its outbox was not full";
    case CloseCode::replaced: {
      // Of several devices the oldest goes, which nobody follows here; a store in trouble may have forgotten the row
      // that was replaced, or not show it.
      const bool is_judged =
          parts_.config.policy == SessionPolicy::single && parts_.truth->is_calm_since(parts_.kernel.now());
      return !is_judged || conn.row == Conn::Row::replaced ? nullptr : "is closed as replaced, and nothing replaced it";
    }
    case CloseCode::capacity:
      return conn.row == Conn::Row::no_room ? nullptr : "is closed for want of room, and the store has some";
    case CloseCode::rate_limited: {
      const bool has_rate = limits.client_rate.is_on() || limits.room_rate.is_on();
      return has_rate && limits.over_rate == Limits::OverRate::close ? nullptr
                                                                     : "is closed for a rate that nobody has set";
    }
    default:
      // Nobody is kicked by hand here, sends what is too big or no WebSocket, or meets an error of the server.
      return "is closed for what has not happened";
  }
}

bool Closes::is_slow(std::size_t waiting) const {
  // The next message does not fit: at most one of the largest size is missing to the bound, which is a fair share of
  // the whole process' while that is full, and never less than 1 KiB.
  const Limits& limits = parts_.config.limits;
  const std::size_t share = limits.outboxes_bytes_max / std::max<std::size_t>(parts_.scenario.clients, 1);
  const std::size_t bound = std::min(limits.outbox_bytes_max, std::max<std::size_t>(share, 1'024));
  return waiting != 0 && waiting + limits.message_bytes_max + ws_header_bytes_max >= bound;
}

void Closes::find(ConnIndex index, const char* what, std::uint16_t code) {
  const Conn& conn = parts_.population->conn(index);
  const std::uint32_t client = conn.device == nobody ? nobody : parts_.population->client_of(conn.device);
  const std::string who = client == nobody ? "a client that has gone" : Population::name_of(client);
  parts_.truth->find("close-codes", client,
                     fmt::format("{} at s{} {}{}", who, conn.server, what,
                                 code == 0 ? std::string() : fmt::format(" (code {})", code)));
}

}  // namespace wsr::sim
