// HubLog: what the log says of a server's own state and of the others: readiness, deaf and heard, the lease, who died,
// who was swept, and which other version of the bus' format was heard.
//
// Thread-safety: the hub's thread. Bounds: expired_max servers that are known to be dead and are not yet swept; past it
// they may be named again.
#pragma once

#include <set>
#include <string_view>

#include "core/routing/keeper.hpp"
#include "core/routing/log_event.hpp"

namespace wsr::net {

class HubLog {
public:
  static constexpr std::size_t expired_max = 1'024;

  explicit HubLog(LogSink sink) : sink_(std::move(sink)) {}

  /// Nothing is said before the first time that all lights were green: the start says what is missing.
  void on_readiness(const Readiness& before, const Readiness& after);
  void on_woken();
  void on_reassert();
  void on_server_expired(const ServerId& server);
  void on_swept(const ServerId& server, const Swept& swept);
  void on_server_gone(const ServerId& server);
  void on_version_heard(unsigned heard, unsigned spoken, std::string_view where, bool is_believed);
  void on_version_over(unsigned heard);

private:
  LogSink sink_;
  bool has_been_ready_ = false;
  std::set<ServerId> expired_;
};

}  // namespace wsr::net
