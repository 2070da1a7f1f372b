// Harness: one store and the servers on it, as the contract suites see any backend.
//
// Each port has one suite of sentences (directory_contract.cpp, bus_contract.cpp, rosters_contract.cpp, ...); an
// executable links all of them with one file that defines make_harness(): memory_harness.cpp, redis_harness.cpp, the
// simulator's. A suite never sleeps and never reads a clock: it asks the harness, which turns its own clock or waits in
// real time.
//
// Each harness begins with an empty store. Server n is made, started and connected at its first use.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/store/backend.hpp"

namespace wsr::contract {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

inline constexpr milliseconds lease_long{60'000};  // outlives every test
inline constexpr milliseconds lease_short{300};    // expires within a test, also in real time
inline constexpr milliseconds past_lease_short{500};
inline constexpr milliseconds patience{5'000};  // after it a missing answer is a failure

/// What one server has heard from its backend, in the order in which it came.
class Recorder final : public AnswerSink, public BusListener {
public:
  struct Message {
    Channel channel;
    std::string pattern;
    std::string payload;
    auto operator<=>(const Message&) const = default;
  };

  void on_answer(Ticket ticket, Answer&& answer) override {
    order.push_back(ticket);
    const bool is_first = answers.emplace(ticket, std::move(answer)).second;
    if (!is_first) answered_twice.push_back(ticket);
  }
  void on_bus_message(const Channel& channel, std::string_view pattern, std::string_view payload) override {
    messages.push_back({channel, std::string{pattern}, std::string{payload}});
  }
  void on_resubscribed() override { ++resubscribed; }
  void on_store_state(StoreState state) override { states.push_back(state); }

  [[nodiscard]] bool has(Ticket ticket) const { return answers.contains(ticket); }
  [[nodiscard]] std::vector<std::string> payloads() const {
    std::vector<std::string> all;
    for (const Message& message : messages) all.push_back(message.payload);
    return all;
  }

  std::map<Ticket, Answer> answers;
  std::vector<Ticket> order;           // tickets, as they were answered
  std::vector<Ticket> answered_twice;  // must stay empty
  std::vector<Message> messages;
  std::vector<StoreState> states;
  int resubscribed = 0;
};

struct Setup {
  std::uint64_t owners_max = 0;       // 0: the backend's default
  std::uint64_t memberships_max = 0;  // the same
};

class Harness {
public:
  virtual ~Harness() = default;

  /// The backend of server n = 1, 2, ...: on its first use it is made, started, and its world runs until it is up.
  [[nodiscard]] virtual Backend& server(int n) = 0;
  /// What server n has heard; REQUIRES: server(n) was used.
  [[nodiscard]] virtual Recorder& heard(int n) = 0;
  /// The store's clock now.
  [[nodiscard]] virtual StoreTime now() = 0;
  /// Runs the world for this long: virtual time where the backend has one, real time otherwise.
  virtual void run_for(milliseconds duration) = 0;
  /// Runs the world until `is_true()` or until `deadline` has passed; is_true() at the end.
  [[nodiscard]] virtual bool wait_until(const std::function<bool()>& is_true, milliseconds deadline = patience) = 0;
  /// Does time stand still while nobody runs the world?
  [[nodiscard]] virtual bool is_time_virtual() const { return true; }
  /// Does `Setup::owners_max` bind exactly?
  [[nodiscard]] virtual bool is_owners_max_hard() const { return true; }

  [[nodiscard]] static ServerId id(int n) {
    return ServerId::trusted("s" + std::to_string(n) + "~run" + std::to_string(n));
  }
  /// The text names of connections are chosen by the tests; each (server, serial) is another connection.
  [[nodiscard]] static Attachment at(int n, std::uint64_t serial, ShardIndex shard = 0) {
    return {id(n), shard, ConnId::make(serial, 1)};
  }

  Tables& tables(int n) { return server(n).tables(); }
  [[nodiscard]] Ticket next_ticket() { return Ticket{++last_ticket_}; }

  /// Ends the turn of server n and runs the world until `ticket` is answered there.
  Answer wait(int n, Ticket ticket) {
    server(n).end_turn();
    INFO("ticket " << ticket.value << " of server " << n << " has no answer");
    REQUIRE(wait_until([&] { return heard(n).has(ticket); }));
    REQUIRE(heard(n).answered_twice.empty());
    return heard(n).answers.at(ticket);
  }

  /// One call on server n and its answer. Proves for every call that nothing is answered inline.
  template <class Call>
  typename Call::Answer ask(int n, Call call) {
    using Wanted = typename Call::Answer;
    const Ticket ticket = next_ticket();
    server(n).call(ticket, std::move(call));
    REQUIRE_FALSE(heard(n).has(ticket));
    const Answer answer = wait(n, ticket);
    REQUIRE(std::holds_alternative<Wanted>(answer));
    return std::get<Wanted>(answer);
  }

  /// One call on server n's tables and its reply. Proves for every call that the reply never comes inline.
  template <class T, class Call>
  Result<T> ask_tables(int n, Call&& call) {
    Backend& backend = server(n);
    // Shared with the reply: should it come after the deadline, it must not find a dead stack frame.
    auto got = std::make_shared<std::optional<Result<T>>>();
    call(backend.tables(), Reply<T>{[got](Result<T> result) { *got = std::move(result); }});
    REQUIRE_FALSE(got->has_value());
    backend.end_turn();
    REQUIRE(wait_until([&] { return got->has_value(); }));
    return **got;
  }

private:
  std::uint64_t last_ticket_ = 0;
};

/// Defined once per executable. Null, after a sentence on why, when the backend cannot run here (no redis-server).
[[nodiscard]] std::unique_ptr<Harness> make_harness(const Setup& setup = {});

}  // namespace wsr::contract

// SENTENCE("text"): a test case of a contract suite, named after the backend that it runs on.
#define SENTENCE(text) TEST_CASE(WSR_CONTRACT_BACKEND ": " text)

// The first line of a sentence: `name` is a fresh harness; the sentence ends here where the backend cannot run.
#define CONTRACT_HARNESS(name, ...)                                     \
  const auto name##_owned = ::wsr::contract::make_harness(__VA_ARGS__); \
  if (!name##_owned) return;                                            \
  ::wsr::contract::Harness& name = *name##_owned
