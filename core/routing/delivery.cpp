#include "core/routing/delivery.hpp"

#include <array>
#include <cassert>
#include <utility>

#include "core/wire/client_protocol.hpp"
#include "core/wire/ws_frame.hpp"

namespace wsr {

Frame Delivery::text_frame(std::string_view json) {
  char header[ws_header_bytes_max];
  const std::size_t header_bytes = ws_write_header(WsOpcode::text, json.size(), header);
  return Frame::copy_of({header, header_bytes}, json);
}

Delivery::Outcome Delivery::offer(Session& session, Frame frame, Topic topic) {
  const std::uint32_t dropped_before = session.outbox.dropped();
  const auto verdict = session.outbox.offer(std::move(frame), topic);
  context_.stats.slow_dropped += session.outbox.dropped() - dropped_before;
  switch (verdict) {
    case Outbox::Verdict::queued_first:
      context_.ports.connections.wake(session.id);
      return Outcome::queued;
    case Outbox::Verdict::queued:
      return Outcome::queued;
    case Outbox::Verdict::slow_consumer:
      return Outcome::refused;
    case Outbox::Verdict::disconnect:
      break;
  }
  ++context_.stats.slow_disconnects;
  close(session, CloseCode::try_again_later, "this connection reads too slowly: reconnect and catch up");
  return Outcome::refused;
}

void Delivery::say(Session& session, std::string_view json) {
  if (session.phase == Session::Phase::closing) return;
  const bool is_raw = session.framing == Framing::raw;
  if (offer(session, is_raw ? Frame::copy_of(json) : text_frame(json), Topic::answer) == Outcome::refused) {
    ++context_.stats.answers_dropped;
  }
}

void Delivery::complain(Session& session, std::string_view id, std::string_view code, std::string_view message,
                        std::chrono::microseconds retry_after) {
  ++context_.stats.bad_frames;
  text_.clear();
  append_error(text_, id, code, message, std::chrono::ceil<std::chrono::milliseconds>(retry_after));
  say(session, text_);
}

void Delivery::answered(Session& session) {
  assert(session.answers_due != 0);
  --session.answers_due;
  // The writer may wait for the last answer alone, and a full outbox has refused it.
  if (session.answers_due == 0 && session.outbox.is_empty()) context_.ports.connections.wake(session.id);
}

void Delivery::moved(Session& session) {
  assert(session.moves_due != 0);
  --session.moves_due;
  answered(session);
  if (session.moves_due == 0 && session.is_end_due) end(session, Session::Phase::answering);
}

void Delivery::begin(Session& session, Frame first) {
  if (!session.outbox.is_held()) return;
  const std::array<Frame, 2> frames{std::exchange(session.preface, {}), std::move(first)};
  if (session.outbox.begin(frames) == Outbox::Verdict::queued_first) context_.ports.connections.wake(session.id);
}

void Delivery::close(Session& session, CloseCode code, std::string_view reason) {
  if (session.phase == Session::Phase::closing) return;
  end(session);
  context_.ports.connections.close(session.id, static_cast<std::uint16_t>(code), reason);
}

void Delivery::end(Session& session, Session::Phase phase) {
  if (session.phase >= phase) return;
  if (session.outbox.is_held()) {
    context_.stats.lost_at_close += session.outbox.messages();
    session.outbox.clear();  // never welcomed: it hears why it is closed, and nothing before that
    begin(session, {});
  }
  if (session.phase == Session::Phase::open) context_.ended.push_back(session.id);
  session.phase = phase;
}

void Delivery::tell_dropped(Session& session) {
  if (!session.outbox.is_tell_due() || session.phase != Session::Phase::open) return;
  text_.clear();
  append_dropped(text_, session.outbox.take_dropped(), "slow_consumer");
  const bool is_raw = session.framing == Framing::raw;
  if (session.outbox.offer_control(is_raw ? Frame::copy_of(text_) : text_frame(text_)) ==
      Outbox::Verdict::queued_first) {
    context_.ports.connections.wake(session.id);
  }
  ++context_.stats.slow_told;
}

}  // namespace wsr
