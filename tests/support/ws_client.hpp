// WsClient: one chat client on Beast's websocket::stream, an implementation of RFC 6455 that is not ours.
//
// One read is always under way; what it brings is sorted into messages, results and the rest. Every wait has a
// deadline.
//
// Thread-safety: none. The io_context runs inside the waits only.
// Errors:        std::runtime_error with a sentence when what is waited for does not come.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/wait.hpp"

namespace wsr::test {

inline constexpr milliseconds patience{8'000};  // longer than any deadline of the server's own on the way of a message

class WsClient {
public:
  struct Message {
    std::string from;
    std::string data;  // the bytes of the JSON value as they came
  };

  /// Connects and waits for `welcome`.
  WsClient(std::uint16_t port, std::string_view user, milliseconds within = patience);
  ~WsClient();  // closes the socket without a word, if it is still open
  WsClient(WsClient&&) noexcept;
  WsClient& operator=(WsClient&&) noexcept;

  [[nodiscard]] const nlohmann::json& welcome() const;
  [[nodiscard]] std::string conn() const { return welcome().at("conn").get<std::string>(); }

  void text(std::string_view json);
  void binary(std::string_view bytes);
  /// {"op":"send"} with an id of its own; the result frame.
  [[nodiscard]] nlohmann::json send(std::string_view to, std::string_view data, milliseconds within = patience);
  [[nodiscard]] Message message(milliseconds within = patience);
  /// The next frame that is neither a message nor a result: ok, error.
  [[nodiscard]] nlohmann::json other(milliseconds within = patience);
  /// The messages that are there after everything on its way to us now has arrived (a ping went round).
  [[nodiscard]] std::size_t messages_waiting();

  /// Closes with 1000 and waits for the answer.
  void close();
  /// Drops the socket without a close frame.
  void drop();
  [[nodiscard]] bool is_open();
  /// The code with which the server closes; 1006 if the connection ended without one.
  [[nodiscard]] std::uint16_t close_code(milliseconds within = patience);

private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The bytes of `data` of a message frame of wsr.v1.
[[nodiscard]] std::string_view data_of(std::string_view message_frame);

}  // namespace wsr::test
