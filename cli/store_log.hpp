// StoreLog: why the store is away (a refused password, a certificate, no route), in the store's own words.
//
// While a command starts, what is told is kept: the last reason stands in the one sentence with which a start fails.
// Once it runs, all that was kept and all that follows goes to a log; a command that has none only counts.
//
// Thread-safety: sink() is called on the backend's thread; the others before that thread runs, or after it waited.
// Bounds: kept_max events of a start; of more the oldest go.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "core/routing/log_event.hpp"

namespace wsr::cli {

class StoreLog {
public:
  static constexpr std::size_t kept_max = 32;

  /// For redis::Options::log.
  [[nodiscard]] LogSink sink() const {
    return [state = state_](const LogEvent& event) {
      const std::lock_guard lock(state->mutex);
      if (event.level >= LogLevel::error) state->reason = event.text;
      if (event.name == "store_lost" || event.name == "subscription_refused") ++state->losses;
      if (state->log) return state->log(event);
      state->kept.push_back(event);
      if (state->kept.size() > kept_max) state->kept.pop_front();
    };
  }
  /// From now on events go to `log`, with those of the start first.
  void speak(const LogSink& log) {
    const std::lock_guard lock(state_->mutex);
    state_->log = log;
    for (const LogEvent& event : state_->kept) log(event);
    state_->kept.clear();
  }
  /// How often something stopped to be heard or asked: a connection lost, a subscription refused.
  [[nodiscard]] std::uint64_t losses() const {
    const std::lock_guard lock(state_->mutex);
    return state_->losses;
  }
  /// `sentence`, with the last reason behind it if there was one.
  [[nodiscard]] std::string explain(const std::string& sentence) const {
    const std::lock_guard lock(state_->mutex);
    return state_->reason.empty() ? sentence : sentence + ": " + state_->reason;
  }

private:
  struct State {
    std::mutex mutex;
    std::string reason;
    std::uint64_t losses = 0;
    std::deque<LogEvent> kept;
    LogSink log;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace wsr::cli
