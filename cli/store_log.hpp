// StoreLog: why the store is away (a refused password, a certificate, no route), in the store's own words.
//
// While a command starts, the reason is kept for the one sentence with which the start fails. Once it runs, each reason
// is said on stderr when it changes: a backend's two connections meet the same obstacle at the same time.
//
// Thread-safety: sink() is called on the backend's thread; the others before that thread runs, or after it waited.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace wsr::cli {

class StoreLog {
public:
  /// For redis::Options::log.
  [[nodiscard]] std::function<void(std::string_view)> sink() const {
    return [state = state_](std::string_view why) {
      const std::lock_guard lock(state->mutex);
      ++state->count;
      if (state->last == why) return;
      state->last = why;
      if (state->is_speaking) fmt::print(stderr, "wsr: {}\n", why);
    };
  }
  /// From now on reasons are said aloud.
  void speak() {
    const std::lock_guard lock(state_->mutex);
    state_->is_speaking = true;
  }
  /// How many reasons there were. Once the store has answered, one more means that a connection to it was lost.
  [[nodiscard]] std::uint64_t count() const {
    const std::lock_guard lock(state_->mutex);
    return state_->count;
  }
  /// `sentence`, with the last reason behind it if there was one.
  [[nodiscard]] std::string explain(const std::string& sentence) const {
    const std::lock_guard lock(state_->mutex);
    return state_->last.empty() ? sentence : sentence + ": " + state_->last;
  }

private:
  struct State {
    std::mutex mutex;
    std::string last;
    std::uint64_t count = 0;
    bool is_speaking = false;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace wsr::cli
