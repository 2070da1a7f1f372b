// Fakes of the core's ports, for tests that put one Router or several into a world of their own.
//
// QuietServer: everything around a Router that a test does not look at, doing nothing; a test overrides what it needs.
// FaultyStore: a way to a store on which calls fail, with and without being carried out.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "core/routing/router.hpp"
#include "core/store/backend.hpp"

namespace wsr::test {

struct QuietServer : Connections, Clock, Application {
  void wake(ConnId) override {}
  void close(ConnId, std::uint16_t, std::string_view) override {}
  void on_sent(Ticket, const Sent&) override {}
  void on_owned(ConnId, Errc, std::string_view) override {}
  void on_room_done(Ticket, const RoomDone&) override {}
  void on_pushed(Ticket, const RoomPushed&) override {}
  void on_watching(const RoomName&, Errc) override {}
  void on_room_message(const RoomName&, std::string_view, std::string_view) override {}
  void on_room_presence(const RoomName&, const RoomPresence&) override {}
};

/// What becomes of one call.
enum class Way : std::uint8_t {
  through,
  nowhere,      // it is never answered
  fails,        // not carried out, and answered `unavailable`
  reply_fails,  // carried out, and answered `unavailable`
};

class FaultyStore final : public Store {
public:
  /// `way` is asked at each call to `store`; failures go to `answers`.
  FaultyStore(Store& store, AnswerSink& answers, std::function<Way(const StoreCall&)> way)
      : store_(store), answers_(answers), way_(std::move(way)) {}

  void call(Ticket ticket, StoreCall&& call) override {
    const Way way = way_(call);
    if (way == Way::nowhere) return;
    if (way == Way::through) return store_.call(ticket, std::move(call));
    const std::size_t index = call.index();
    if (way == Way::reply_fails) store_.call(Ticket{~0ULL}, std::move(call));  // answered to nobody
    if (auto answer = failed(index, Errc::unavailable)) answers_.on_answer(ticket, std::move(*answer));
  }

private:
  Store& store_;
  AnswerSink& answers_;
  std::function<Way(const StoreCall&)> way_;
};

/// True for the kinds of calls that are named.
template <class... Calls>
[[nodiscard]] bool is_one_of(const StoreCall& call) {
  return (std::holds_alternative<Calls>(call) || ...);
}

}  // namespace wsr::test
