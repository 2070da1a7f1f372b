// HttpSession: one accepted socket until it closes or becomes a WebSocket.
//
//   accepted ─request─▶ HttpApi ─answer─▶ next request (keep-alive) ...
//                └─upgrade─▶ 101, socket and leftover bytes go to the Gate; the session ends
//
// Thread-safety: none; the shard's thread.
// Errors:        what HttpReader refuses, 403 for a Host that is not ours, 408 slow, 503 above the memory budget, 500
//                for what nobody foresaw, and what the routes say; each in JSON.
// Bounds:        HttpReader's; handshake_within for the head, body_within for the body, handshake_within for the peer
// to
//                take the answer. What a session holds (request, answer, bytes behind the request) counts in the
//                process' memory budget; above it a request that holds more than its share of it is refused.
#pragma once

#include <boost/intrusive/list_hook.hpp>
#include <memory>
#include <optional>
#include <string>

#include "core/net/asio.hpp"
#include "core/net/http_api.hpp"
#include "core/net/http_reader.hpp"
#include "core/net/http_writer.hpp"
#include "core/net/socket_permit.hpp"
#include "core/net/timer_wheel.hpp"
#include "core/net/upgrade.hpp"

namespace wsr::net {

class Gate;

struct SessionTag;
using SessionHook = boost::intrusive::list_base_hook<boost::intrusive::tag<SessionTag>,
                                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class HttpSession final : public SessionHook, public TimerEntry, public std::enable_shared_from_this<HttpSession> {
public:
  /// probe: its address has as many sockets as it may, so only GET /healthz and /readyz are answered, soon.
  enum class Purpose : std::uint8_t { any, probe };
  static void start(Gate& gate, TcpSocket socket, SocketPermit permit, Purpose purpose = Purpose::any);
  /// Says why this socket may not stay, whatever it has asked for.
  static void turn_away(Gate& gate, TcpSocket socket, SocketPermit permit, const Refusal& refusal);
  HttpSession(Gate& gate, TcpSocket socket, SocketPermit permit, Purpose purpose);
  ~HttpSession() override;

  /// Ends after the answer that is being made, or at once between two requests.
  void drain();
  void drop();
  void on_deadline(Time now) override;

  /// What the Gate looks at when it needs a socket for somebody else. speaking: in the middle of its request.
  enum class Use : std::uint8_t { silent, speaking, answering };
  [[nodiscard]] Use use() const;
  [[nodiscard]] Time reading_since() const { return reading_since_; }
  [[nodiscard]] Purpose purpose() const { return purpose_; }
  /// The kernel has something from the peer that we have not read yet.
  [[nodiscard]] bool has_unread_bytes() const;

private:
  enum class Phase { reading, answering, lingering, gone };

  void read_request();
  void wait_readable();
  void on_readable();
  void take(std::string_view bytes);
  [[nodiscard]] bool on_head(std::string_view behind);
  [[nodiscard]] bool is_probe() const;
  void on_request();
  void handle();
  [[nodiscard]] UpgradeRequest upgrade_request() const;
  [[nodiscard]] UpgradeRules upgrade_rules() const;
  void route_upgrade();
  void accept(Upgrade upgrade);
  /// `asked_at`: when the client asked for it, which decides between its connections.
  void open_chat(const ClientId& client, Time asked_at, Duration waited);
  /// This session ends here; the bytes that it has read beyond its request.
  [[nodiscard]] std::string_view hand_over();
  void leave();
  void note_failure(const std::string& what);
  void refuse(const Refusal& refusal, Persistence persistence);
  void refuse_for_memory();
  void answer(HttpResponse response, Persistence persistence);
  void linger();
  void set_deadline(Duration after);
  /// Counts what is held now in the memory budget.
  void charge();
  [[nodiscard]] bool is_above_share() const;

  Gate& gate_;
  TcpSocket socket_;
  SocketPermit permit_;
  Time reading_since_{};  // its last answer, or the beginning
  Time waiting_since_{};  // of the deadline: when the wait began, and how long it may be
  Duration wait_max_{};
  std::optional<HttpReader> reader_;
  std::string pending_;   // read, and behind the request
  std::string head_out_;  // being written, as is handshake_
  std::string body_out_;
  std::string handshake_;             // the 101
  std::optional<SteadyTimer> brake_;  // of a connection whose name is fought over
  std::size_t charged_ = 0;
  std::uint16_t own_port_ = 0;     // that the connection came to
  bool is_over_loopback_ = false;  // so it did
  Phase phase_ = Phase::reading;
  Purpose purpose_ = Purpose::any;
  bool is_foreign_host_ = false;  // the request is for a name that is not ours
  bool is_head_ = false;          // of a HEAD request: the answer's body stays here
  bool is_http10_ = false;
  bool keeps_alive_ = false;  // the request allows another one behind it
};

}  // namespace wsr::net
