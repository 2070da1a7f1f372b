#include "core/net/version_skew.hpp"

#include <algorithm>

#include "core/wire/envelope.hpp"
#include "core/wire/room_envelope.hpp"

namespace wsr::net {

std::optional<std::uint8_t> VersionSkew::foreign(ChannelKind kind, std::string_view payload) {
  if (kind == ChannelKind::inbox) return foreign_batch_version(payload);
  if (kind == ChannelKind::room) return foreign_room_version(payload);
  return std::nullopt;
}

VersionSkew::News VersionSkew::hear(std::uint8_t version, Time now) {
  if (keys_ == Keys::some && !is_listed_) {
    if (quiet_until_ && now < *quiet_until_) return News::none;
    quiet_until_ = now + remembered;
    return News::not_believed;
  }
  until_ = now + remembered;
  return heard_.exchange(version, std::memory_order_acq_rel) == version ? News::none : News::begun;
}

void VersionSkew::see(const Servers& servers, const ServerId& self) {
  if (servers.result != Errc::ok) return;
  is_listed_ = std::any_of(servers.rows.begin(), servers.rows.end(), [&](const ServerRow& row) {
    return row.server != self && row.lease == ServerRow::Lease::held && row.info.bus_version != batch_version;
  });
}

std::optional<std::uint8_t> VersionSkew::on_time(Time now) {
  if (heard() == 0 || now < until_) return std::nullopt;
  return heard_.exchange(0, std::memory_order_acq_rel);
}

}  // namespace wsr::net
