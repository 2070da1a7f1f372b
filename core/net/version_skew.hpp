// VersionSkew: whether servers of this fabric speak another version of the bus' format, as heard on its channels.
//
// What is heard counts for `remembered`. With bus keys a message of another version cannot be verified, and whoever can
// publish could turn readiness red with a few bytes: it then counts only while the registry, which needs the right to
// write, lists a live server that speaks another version.
//
// Thread-safety: hear(), see() and on_time() on the hub's thread; heard() on any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/time.hpp"
#include "core/routing/ports.hpp"

namespace wsr::net {

class VersionSkew {
public:
  static constexpr Duration remembered = std::chrono::seconds{30};  // half a minute of silence: the upgrade is done
  enum class Keys : std::uint8_t { none, some };

  explicit VersionSkew(Keys keys) : keys_(keys) {}

  /// The version of a message of the bus, if it is none that this server reads.
  [[nodiscard]] static std::optional<std::uint8_t> foreign(ChannelKind kind, std::string_view payload);

  enum class News : std::uint8_t { none, begun, not_believed };
  /// A message of another version came.
  News hear(std::uint8_t version, Time now);
  /// The registry was read.
  void see(const Servers& servers, const ServerId& self);
  /// The version that was heard, once it has not been heard for long enough.
  [[nodiscard]] std::optional<std::uint8_t> on_time(Time now);

  /// The version that is heard now; 0: none but our own.
  [[nodiscard]] std::uint8_t heard() const { return heard_.load(std::memory_order_acquire); }

private:
  Keys keys_;
  bool is_listed_ = false;  // a live server that speaks another version, or does not say which
  Time until_{};
  std::optional<Time> quiet_until_;  // what is not believed is news again only then
  std::atomic<std::uint8_t> heard_{0};
};

}  // namespace wsr::net
