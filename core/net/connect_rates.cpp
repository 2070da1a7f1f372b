#include "core/net/connect_rates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/net/own_hosts.hpp"

namespace wsr::net {
namespace {

/// Buckets count on the store's clock elsewhere; here any clock that goes on will do.
StoreTime ticks(Time now) {
  return StoreTime{std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch())};
}

std::string name_of(const asio::ip::address& address) {
  if (address.is_v4()) return address.to_string();
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string();
  auto bytes = v6.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return asio::ip::address_v6(bytes).to_string() + "/64";
}

std::int64_t ms(std::chrono::microseconds time) { return std::chrono::ceil<std::chrono::milliseconds>(time).count(); }

Refusal over(std::string_view what, std::string_view who, const RateLimit& limit,
             std::chrono::microseconds retry_after) {
  return Refusal{429, "rate_limited",
                 fmt::format("{} {} connects too often: {} connections in {} ms are allowed; try again in {} ms", what,
                             who, limit.count, limit.window.count(), ms(retry_after)),
                 std::chrono::ceil<std::chrono::milliseconds>(retry_after)};
}

}  // namespace

std::optional<Refusal> ConnectRates::refusal(std::string_view client, const asio::ip::address& address, Time now) {
  std::optional<Refusal> refused;
  {
    const std::lock_guard lock(mutex_);
    if (!is_loopback(address)) {
      const std::string name = net::name_of(address);
      const Taken taken = addresses_.take(name, limits_.address, ticks(now));
      if (taken.result != Errc::ok) refused = over("the address", name, limits_.address, taken.retry_after);
    }
    if (!refused && !client.empty()) {
      const Taken taken = clients_.take(client, limits_.client, ticks(now));
      if (taken.result != Errc::ok) refused = over("the client", client, limits_.client, taken.retry_after);
    }
  }
  if (refused) {
    log_({LogLevel::warning,
          "connects_refused",
          refused->message,
          {{"client", std::string(client)}, {"address", address.to_string()}}});
  }
  return refused;
}

std::chrono::microseconds ConnectRates::wait(std::string_view client, Time now) {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(client);
  if (found == names_.end() || !limits_.takeover.is_on()) return {};
  Name& name = found->second;
  TokenBucket asked = name.bucket;
  const Taken taken = asked.take(limits_.takeover, ticks(now));
  const bool is_last = taken.result == Errc::ok && asked.take(limits_.takeover, ticks(now)).result != Errc::ok;
  if (taken.result == Errc::ok && !is_last) {
    let_in(name);
    return {};
  }
  // The token is spent by the takeover, a moment later: several that wait for it must not all come in on it.
  const auto closed = std::chrono::ceil<std::chrono::microseconds>(name.next_at - now);
  if (taken.result != Errc::ok || closed.count() > 0) return std::max(taken.retry_after, closed);
  name.next_at = now + limits_.takeover.window / limits_.takeover.count;
  let_in(name);
  return {};
}

void ConnectRates::let_in(Name& name) { name.is_back = std::exchange(name.has_lost, false); }

Refusal ConnectRates::refusal_of_fight(std::string_view client, std::chrono::microseconds retry_after) const {
  return Refusal{
      429, "rate_limited",
      fmt::format("the client {} is taken over again and again, as if two programs used one name: {} takeovers "
                  "in {} ms are allowed; try again in {} ms",
                  client, limits_.takeover.count, limits_.takeover.window.count(), ms(retry_after)),
      std::chrono::ceil<std::chrono::milliseconds>(retry_after)};
}

std::string_view ConnectRates::on_replaced(std::string_view client, Time now) {
  if (!limits_.takeover.is_on() || client.empty()) return {};
  const std::lock_guard lock(mutex_);
  Name& name = name_of(client, now);
  name.has_lost = true;
  name.at = now;
  TokenBucket asked = name.bucket;
  if (asked.take(limits_.takeover, ticks(now)).result == Errc::ok) return {};
  return "; again and again: do two programs use one name? takeovers are slowed down";  // 123 bytes in all, at most
}

void ConnectRates::on_takeover(std::string_view client, Time now) {
  if (!limits_.takeover.is_on()) return;
  bool is_fight = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(client);
    if (found == names_.end() || !std::exchange(found->second.is_back, false)) return;  // a client that moved
    Name& name = found->second;
    name.at = now;
    (void)name.bucket.take(limits_.takeover, ticks(now));
    TokenBucket asked = name.bucket;
    is_fight = asked.take(limits_.takeover, ticks(now)).result != Errc::ok;
  }
  if (is_fight) {
    log_({LogLevel::warning,
          "takeover_fight",
          fmt::format(
              "two programs seem to use the client id {} and throw each other out: its takeovers are slowed down",
              client),
          {{"client", std::string(client)}}});
  }
}

ConnectRates::Name& ConnectRates::name_of(std::string_view client, Time now) {
  if (const auto known = names_.find(client); known != names_.end()) return known->second;
  if (names_.size() >= names_max) {
    std::erase_if(names_, [&](const auto& entry) { return now - entry.second.at > names_kept; });
    if (names_.size() >= names_max) names_.clear();
  }
  return names_[std::string(client)];
}

}  // namespace wsr::net
