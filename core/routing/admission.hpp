// Admission: what clients send waits here until the authorizer and the rate limits have answered.
//
//   submit ─▶ may it? (push, if there is an authorizer) ─▶ the client's bucket ─▶ the room's bucket (push) ─▶ admitted
//               └─ no: forbidden                             └─ empty: rate_limited  └─ empty: rate_limited
//
// What a connection sends is admitted in the order in which it came, whatever the answers' order. Where there is
// nothing to ask, nothing is copied: on_admitted() comes from within submit().
//
// A bucket of a client is also kept here: what it alone refuses never reaches the store, so a flood costs nobody else.
// While the store is away its limits cannot be known: what clients send is admitted then.
//
// Joins, leaves and pages of members have a price, too: a bucket of each client, kept here alone.
//
// Thread-safety: none; part of one Router.
// Bounds:        room_flows_max utterances wait on a shard; above: refused with `capacity`. Buckets as BucketTable
// says:
//                the store still has the limit of messages.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/routing/room.hpp"
#include "core/routing/router_context.hpp"
#include "core/routing/text_map.hpp"
#include "core/routing/token_bucket.hpp"

namespace wsr {

/// One message of a client, or of the application, before it is sent.
struct Utterance {
  enum class Kind : std::uint8_t { send, push } kind = Kind::send;
  ConnId conn;              // who said it; 0: the application, with `ticket`
  Ticket ticket;            // of the application, if it waits for the outcome
  std::string_view id;      // of the client's command; empty: it does not want to know
  std::string_view from;    // client
  std::string_view target;  // client or room
  std::string_view data;
  Echo echo = Echo::yes;
  Wait wait = Wait::not_at_all;
};

struct Refused {
  enum class Why : std::uint8_t { forbidden, client_rate, room_rate, capacity } why = Why::forbidden;
  std::chrono::microseconds retry_after{0};
};

class AdmissionEvents {
public:
  virtual ~AdmissionEvents() = default;
  virtual void on_admitted(const Utterance& utterance) = 0;
  virtual void on_refused(const Utterance& utterance, const Refused& refused) = 0;
};

class Admission {
public:
  /// What costs other than messages do.
  enum class Work : std::uint8_t { join, leave, members };

  Admission(RouterContext& context, AdmissionEvents& events) : context_(context), events_(events) {}

  void submit(const Utterance& utterance);
  /// Whether this client may have that work done now: ok, or rate_limited and when.
  [[nodiscard]] Taken price(Work work, std::string_view client);
  [[nodiscard]] const RateLimit& limit_of(Work work) const;
  /// Asks the authorizer alone, for a command that is no message; `decided` comes later or, without one, at once.
  void authorize(RoomAction action, const RoomName& room, const ClientId& client,
                 std::function<void(Permission)> decided);

  void on_authorized(Ticket ticket, Permission permission);
  void on_taken(std::uint64_t number, const Taken& taken);
  void on_time();
  [[nodiscard]] std::optional<Time> next_deadline() const;

private:
  struct Waiting {  // an utterance with its own bytes
    Utterance utterance;
    std::string id, from, target, data;
    bool is_settled = false;
    std::optional<Refused> refused;
  };
  using Queue = std::deque<std::shared_ptr<Waiting>>;
  struct Question {
    Time until;
    std::function<void(Permission)> decided;
  };

  [[nodiscard]] bool asks_anything(const Utterance& utterance) const;
  void ask_client_rate(const std::shared_ptr<Waiting>& waiting);
  void ask_room_rate(const std::shared_ptr<Waiting>& waiting);
  void take(const RateKey& key, const RateLimit& limit, std::function<void(const Taken&)> taken);
  void settle(const std::shared_ptr<Waiting>& waiting, std::optional<Refused> refused);

  RouterContext& context_;
  AdmissionEvents& events_;
  std::map<ConnId, Queue> queues_;  // of the application's, with ConnId 0: each is let go as it is settled
  std::size_t waiting_ = 0;
  std::map<std::uint64_t, Question> questions_;  // to the authorizer, by number: so by deadline
  std::unordered_map<std::uint64_t, std::function<void(const Taken&)>> takes_;
  std::uint64_t calls_ = 0;
  BucketTable buckets_;                // of clients' messages
  std::array<BucketTable, 3> prices_;  // of clients, by Work
};

}  // namespace wsr
