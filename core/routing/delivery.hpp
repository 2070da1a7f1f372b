// Delivery: what this shard puts into the outboxes of its sessions, and how it lets them go.
//
// The one place that knows what a slow reader means: the outbox decides by its policy, here it is counted, the writer
// is woken, and a connection that the policy gives up is closed with 1013.
//
// Thread-safety: none; part of one Router.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "core/routing/router_context.hpp"
#include "core/wire/close_code.hpp"

namespace wsr {

class Delivery {
public:
  explicit Delivery(RouterContext& context) : context_(context) {}

  enum class Outcome : std::uint8_t { queued, refused };
  /// One frame for an open session.
  Outcome offer(Session& session, Frame frame, Topic topic);
  /// An answer of wsr.v1, as one text frame. A client that does not read its answers loses them, counted.
  void say(Session& session, std::string_view json);
  /// `retry_after`: when it is worth to try again; 0: nothing is said of that.
  void complain(Session& session, std::string_view id, std::string_view code, std::string_view message,
                std::chrono::microseconds retry_after = {});

  /// One of session.answers_due has been given.
  void answered(Session& session);
  /// It was that of a join or leave.
  void moved(Session& session);

  /// Lets the session's bytes go: the preface, `first`, then what has gathered since open().
  void begin(Session& session, Frame first);
  /// Ends the session and closes its connection with a code; what is queued goes first, or not: see ends_queue().
  void close(Session& session, CloseCode code, std::string_view reason);
  /// The end of the session is decided: from now on it gets nothing, or with `answering` its answers alone. Its row and
  /// its rooms are given back at the end of the turn; what is queued stays until the connection is gone.
  void end(Session& session, Session::Phase phase = Session::Phase::closing);
  /// Tells the client how many messages it was too slow for, if half of its bound is free again.
  void tell_dropped(Session& session);

  /// One text frame with its header, ready for any number of outboxes.
  [[nodiscard]] static Frame text_frame(std::string_view json);

private:
  RouterContext& context_;
  std::string text_;  // an answer being written
};

}  // namespace wsr
