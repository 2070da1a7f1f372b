// HttpSession: one accepted socket until it closes or becomes a WebSocket.
//
//   accepted ─request─▶ HttpApi ─answer─▶ next request (keep-alive) ...
//                └─upgrade─▶ 101, socket and leftover bytes go to the Gate; the session ends
//
// Thread-safety: none; the shard's thread.
// Errors:        400 malformed, 408 slow, 413 body, 431 head, and what the routes say; each in JSON.
// Bounds:        header_bytes_max, body_bytes_max, handshake_within for a whole request.
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/intrusive/list_hook.hpp>
#include <memory>
#include <optional>
#include <string>

#include "core/net/asio.hpp"
#include "core/net/http_api.hpp"
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
  static void start(Gate& gate, TcpSocket socket, SocketPermit permit);
  /// Says why this socket may not stay, whatever it has asked for.
  static void turn_away(Gate& gate, TcpSocket socket, SocketPermit permit, const Refusal& refusal);
  HttpSession(Gate& gate, TcpSocket socket, SocketPermit permit);
  ~HttpSession() override;

  /// Ends after the answer that is being made, or at once between two requests.
  void drain();
  void drop();
  void on_deadline(Time now) override;

  /// What the Gate looks at when it needs a socket for somebody else. speaking: in the middle of its request.
  enum class Use : std::uint8_t { silent, speaking, answering };
  [[nodiscard]] Use use() const;
  [[nodiscard]] Time reading_since() const { return reading_since_; }

private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Response = boost::beast::http::response<boost::beast::http::string_body>;
  enum class Phase { reading, answering, lingering, gone };
  enum class Persistence { keep, close };

  void read_request();
  void read_body();
  void on_request();
  void on_read_error(error_code error);
  void route_upgrade(const UpgradeRequest& request, const UpgradeRules& rules);
  void accept(Upgrade upgrade);
  /// `asked_at`: when the client asked for it, which decides between its connections.
  void open_chat(const ClientId& client, Time asked_at, Duration waited);
  /// This session ends here; the bytes that it has read beyond its request.
  [[nodiscard]] std::string_view hand_over();
  void refuse(const Refusal& refusal, Persistence persistence);
  void answer(Response response, Persistence persistence);
  void on_answered(Persistence persistence);
  void linger();
  void set_deadline(Duration after);

  Gate& gate_;
  TcpSocket socket_;
  SocketPermit permit_;
  Time reading_since_{};  // its last answer, or the beginning
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::optional<Response> response_;  // being written
  std::string handshake_;             // the 101, being written
  std::optional<SteadyTimer> brake_;  // of a connection whose name is fought over
  Phase phase_ = Phase::reading;
  bool is_head_ = false;      // of a HEAD request: the answer's body stays here
  bool keeps_alive_ = false;  // the request allows another one behind it
};

}  // namespace wsr::net
