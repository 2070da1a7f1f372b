// RawSocket: bytes to a server exactly as the test wants them, right or wrong, and what comes back.
//
// Errors: std::runtime_error when what is waited for does not come in time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/wait.hpp"

namespace wsr::test {

class RawSocket {
public:
  struct Frame {
    unsigned opcode = 0;
    std::string payload;
  };

  /// `receive_buffer`: of the kernel, in bytes; 0: its own choice.
  explicit RawSocket(std::uint16_t port, int receive_buffer = 0);
  ~RawSocket();  // a plain close
  RawSocket(RawSocket&& other) noexcept;
  RawSocket& operator=(RawSocket&&) = delete;

  /// Writes all; a peer that has closed is no error here: what it said is still to be read.
  void send(std::string_view bytes);
  /// Writes as much as the kernel takes now; nullopt: the server has ended the connection.
  [[nodiscard]] std::optional<std::size_t> try_send(std::string_view bytes);
  void send_one_by_one(std::string_view bytes);
  /// Ends the connection with RST.
  void reset();

  /// The head of an HTTP answer, up to the empty line.
  [[nodiscard]] std::string head(milliseconds within = milliseconds{8'000});
  /// Upgrades to the chat of `user` and takes the welcome.
  void upgrade(std::string_view user);
  /// The next WebSocket frame; nullopt: the server has closed the socket.
  [[nodiscard]] std::optional<Frame> frame(milliseconds within = milliseconds{8'000});
  /// The code of the close frame to come; 1006 if the socket ends without one.
  [[nodiscard]] std::uint16_t close_code(milliseconds within = milliseconds{8'000});
  /// True once the server has ended the connection.
  [[nodiscard]] bool is_ended_within(milliseconds within);

private:
  enum class Got : std::uint8_t { bytes, end, nothing };
  [[nodiscard]] Got receive(Clock::time_point deadline);
  int fd_ = -1;
  std::string in_;
};

/// The upgrade request of a chat client, whole.
[[nodiscard]] std::string upgrade_request(std::string_view user);

/// One client frame: `first` is FIN, reserved bits and opcode. The mask is fixed and not zero.
[[nodiscard]] std::string masked_frame(unsigned first, std::string_view payload);

}  // namespace wsr::test
