#include "core/net/hub_log.hpp"

#include <fmt/format.h>

namespace wsr::net {
namespace {

std::string_view light(Readiness::Light light) { return light == Readiness::Light::green ? "green" : "red"; }

}  // namespace

void HubLog::on_readiness(const Readiness& before, const Readiness& after) {
  if (!std::exchange(has_been_ready_, has_been_ready_ || after.is_ready())) return;
  using Light = Readiness::Light;
  if (before.lease != after.lease) {
    if (after.lease == Light::red) {
      sink_({LogLevel::error, "lease_lost",
             "the lease has run out: other servers treat this one as dead until it renews the lease"});
    } else {
      sink_({LogLevel::info, "lease_held", "the lease is held again"});
    }
  }
  if (before.inbox != after.inbox) {
    if (after.inbox == Light::red) {
      sink_({LogLevel::error, "deaf", "this server does not hear its own inbox: it subscribes again"});
    } else {
      sink_({LogLevel::info, "heard", "this server hears its inbox again"});
    }
  }
  if (before.is_ready() != after.is_ready()) {
    sink_({after.is_ready() ? LogLevel::info : LogLevel::warning,
           after.is_ready() ? "ready" : "not_ready",
           after.is_ready() ? "readiness is green" : "readiness is red",
           {{"store", std::string(light(after.store))},
            {"lease", std::string(light(after.lease))},
            {"inbox", std::string(light(after.inbox))},
            {"bus_version", std::string(light(after.bus_version))}}});
  }
}

void HubLog::on_woken() {
  sink_({LogLevel::warning, "woken",
         "this process stood still for longer than its lease: it renews the lease before it goes on"});
}

void HubLog::on_reassert() {
  sink_({LogLevel::info, "reassert", "all clients of this server are claimed again after trouble with the store"});
}

void HubLog::on_server_expired(const ServerId& server) {
  if (expired_.size() >= expired_max) expired_.clear();
  if (!expired_.insert(server).second) return;
  sink_({LogLevel::warning,
         "peer_died",
         fmt::format("the lease of server {} has run out", server.view()),
         {{"peer", server.str()}},
         server.str()});
}

void HubLog::on_swept(const ServerId& server, const Swept& swept) {
  sink_({LogLevel::info,
         "swept",
         fmt::format("what server {} left behind was removed: {} clients, {} places in rooms", server.view(),
                     swept.rows_removed, swept.memberships_removed),
         {{"peer", server.str()},
          {"clients", std::to_string(swept.rows_removed)},
          {"places", std::to_string(swept.memberships_removed)}},
         server.str()});
}

void HubLog::on_server_gone(const ServerId& server) {
  expired_.erase(server);
  sink_({LogLevel::info,
         "peer_gone",
         fmt::format("server {} is no longer in the registry", server.view()),
         {{"peer", server.str()}},
         server.str()});
}

void HubLog::on_version_heard(unsigned heard, unsigned spoken, std::string_view where, bool is_believed) {
  std::string text = fmt::format(
      "a message in version {} of the bus format arrived by {}: this server speaks and reads only version {}", heard,
      where, spoken);
  text += is_believed ? "; all servers of a fabric must speak the same version, see wsr owners servers"
                      : "; it is ignored, because with --bus-key only a live server can prove that";
  sink_({LogLevel::error,
         "version_skew",
         std::move(text),
         {{"heard", std::to_string(heard)}, {"spoken", std::to_string(spoken)}, {"by", std::string(where)}}});
}

void HubLog::on_version_over(unsigned heard) {
  sink_({LogLevel::info,
         "version_skew_over",
         fmt::format("no message in version {} of the bus format has arrived for a while", heard),
         {{"heard", std::to_string(heard)}}});
}

}  // namespace wsr::net
