// Connection: one WebSocket: bytes in, commands to the Router; the outbox out, in gather writes.
//
//   open ─close()─────────▶ closing ──peer's close───▶ answered ─written─▶ gone
//    │ ├─peer's close──────▶ answering ─no answer due─▶ answered
//    │ └─peer's end, answers or bytes due─▶ answering ─▶ answered     (peer's end, nothing due: gone at once)
//    └─protocol error──────▶ failed ───peer's end─────▶ gone     (its bytes are read and dropped meanwhile, or the
//                                                                 reset would overtake our close frame)
//
// The Router's session ends with the step out of `open`: the rest is the goodbye. The end of what a peer says is not
// the end of what it hears: a half-closed connection gets the answers to its commands, then a close frame. The goodbye
// lasts while bytes move: goodbye_stall_max without a byte, or goodbye_max in all. Once the peer's kernel has all of
// it, the peer has answer_within for its own close frame. While the server stops, the drain is the only bound of who
// still reads.
//
// It has no read buffer (the shard's is borrowed; up to 13 bytes of a split frame header are kept here), no timer of
// its own (an entry in the shard's wheel) and asks the kernel without blocking: async_wait, then recv or sendmsg.
//
// Thread-safety: none; the shard's thread.
// Bounds:        reads bytes_per_turn_max a turn, so that a loud client does not starve the others; pongs and
//                complaints stop while the peer reads nothing and its outbox is full. A message that comes in pieces
//                has 30 s and a second for each 32 KiB of message_bytes_max; what has come of it counts in the memory
//                budget, and above that it may hold its share of it (1013).
// Cost:          about 0.3 KB besides the Router's session and the kernel's buffers.
#pragma once

#include <array>
#include <boost/intrusive/list_hook.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/ids.hpp"
#include "core/net/asio.hpp"
#include "core/net/socket_permit.hpp"
#include "core/net/timer_wheel.hpp"
#include "core/routing/outbox.hpp"
#include "core/routing/router.hpp"
#include "core/wire/close_code.hpp"
#include "core/wire/ws_frame.hpp"

namespace wsr::net {

class Gate;

inline constexpr std::size_t read_buffer_bytes = 64 * 1024;  // one a shard

inline constexpr Duration answer_within = std::chrono::seconds{2};       // a close frame that has arrived
inline constexpr Duration goodbye_stall_max = std::chrono::seconds{10};  // a reader that takes nothing is gone
inline constexpr Duration goodbye_max = std::chrono::seconds{60};        // what one slow reader may cost us
inline constexpr Duration answers_max = std::chrono::seconds{10};        // longer than any command waits for its answer

struct ConnectionTag;
using ConnectionHook = boost::intrusive::list_base_hook<boost::intrusive::tag<ConnectionTag>,
                                                        boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class Connection final : public ConnectionHook, public TimerEntry {
public:
  /// A client's connection, known to the Router as `conn`.
  Connection(Gate& gate, TcpSocket socket, ConnId conn);
  /// One that the Router does not know. echo: says back what it hears. mute: is only told things, such as why it is
  /// refused, or what happens in a room.
  enum class Role : std::uint8_t { client, echo, mute };
  Connection(Gate& gate, TcpSocket socket, Role role);

  /// Takes what came behind the handshake, then reads.
  void start(std::string_view leftover);
  /// Writes as much of the outbox as the kernel takes.
  void flush();
  /// A close frame behind what is queued, or behind the frame that is being written: lets_queue_go_first().
  void close(CloseCode code, std::string_view reason);
  /// One text message of ours. REQUIRES: not a client's.
  void tell(std::string_view json);
  /// Ends it at once.
  void drop();
  /// The last moment of the server: a close frame if none is said yet, what the kernel takes, and the end.
  void close_now(CloseCode code, std::string_view reason);

  /// What waits for this connection, here or in the Router; nullptr once the Router has closed it.
  [[nodiscard]] Outbox* outbox();
  [[nodiscard]] ConnId conn() const { return conn_; }
  [[nodiscard]] bool is_open() const { return phase_ == Phase::open; }
  [[nodiscard]] bool is_gone() const { return phase_ == Phase::gone; }
  /// More waits for it than its kernel buffers take.
  [[nodiscard]] bool is_behind() const { return is_waiting_writable_; }
  [[nodiscard]] bool is_destroyable() const { return is_gone() && handlers_ == 0; }
  bool is_noted = false;       // stands in the Gate's list of those to flush
  bool is_told_to_go = false;  // by the drain
  SocketPermit permit;         // counts it as a socket of the server

  void on_deadline(Time now) override;

private:
  enum class Phase : std::uint8_t { open, answering, closing, answered, failed, gone };
  enum class Deafness : std::uint8_t { none, ping_sent };

  void wait_readable();
  void on_readable();
  void on_peer_end();
  void wait_writable();
  void tell_dropped();
  void take(std::span<char> bytes);
  void on_event(const WsEvent& event);
  void on_close_frame(const WsEvent& event);
  /// Queues a frame of our own; Courtesy::optional ones are left out while the peer does not read.
  enum class Courtesy : std::uint8_t { due, optional };
  void say(WsOpcode opcode, std::string_view payload, Courtesy courtesy);
  void finish_if_written();
  /// Nothing more for it, in the Router's eyes.
  void end_session(Router::Answers answers = Router::Answers::none);
  [[nodiscard]] bool has_answers_due();
  void give_last_frame();
  void begin_goodbye();
  void look_at_goodbye(Time now);
  /// Bytes that the peer's kernel does not have yet.
  [[nodiscard]] std::size_t unsent_bytes();
  void charge_unfinished();
  void give_up(CloseCode code, std::string_view reason);
  [[nodiscard]] Duration message_within() const;
  void arm_liveness();
  [[nodiscard]] Time quiet_since() const;  // heard, or asked whether it is there

  Gate& gate_;
  TcpSocket socket_;
  ConnId conn_;  // 0: not the Router's
  WsParser parser_;
  std::unique_ptr<Outbox> own_outbox_;               // where the Router has none for it
  Time heard_at_{};                                  // anything
  Time spoken_at_{};                                 // anything but a pong
  Time unfinished_since_{};                          // when the message that charged_ counts began
  std::size_t charged_ = 0;                          // bytes of an unfinished message, in the memory budget
  Time ping_at_{};                                   // the last ping, or the beginning; then that of the goodbye
  Time moved_at_{};                                  // of the goodbye: when bytes were last seen to go
  std::size_t goodbye_bytes_ = 0;                    // left of it, then
  std::array<char, ws_header_bytes_max> partial_{};  // the unparsed rest of what was read
  std::uint8_t partial_bytes_ = 0;
  Role role_ = Role::client;
  Phase phase_ = Phase::open;
  Deafness deafness_ = Deafness::none;
  std::uint8_t handlers_ = 0;           // of Asio, still to run
  CloseCode echo_ = CloseCode::normal;  // answering: what the close frame will say
  bool has_peer_ended_ = false;         // it says nothing more: its FIN has come
  bool is_forgotten_ = false;           // lookups of this server do not find it any more
  bool is_waiting_writable_ = false;
};

}  // namespace wsr::net
