// The concrete Asio types of the project: one io_context a shard, run by one thread, no type-erased executor.
//
// any_io_executor would cost 0.3 KB a connection and up to 8 % of the CPU (measured).
#pragma once

#include <time.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <chrono>

#include "core/base/time.hpp"

namespace wsr::net {

namespace asio = boost::asio;
using boost::system::error_code;

using Executor = asio::io_context::executor_type;
using TcpSocket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using TcpAcceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
using SteadyTimer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

/// The local clock of the core, read from this machine's. CLOCK_BOOTTIME never goes back, like CLOCK_MONOTONIC, and
/// also counts while the machine is suspended: a server whose host slept must notice that its lease has run out.
[[nodiscard]] inline Time clock_now() {
  static const clockid_t clock = [] {
    timespec now{};
    return ::clock_gettime(CLOCK_BOOTTIME, &now) == 0 ? CLOCK_BOOTTIME : CLOCK_MONOTONIC;
  }();
  timespec now{};
  ::clock_gettime(clock, &now);
  return Time{
      std::chrono::duration_cast<Duration>(std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec})};
}
/// For a timer. Its clock stops while the machine is suspended, so a timer that was set before fires late by that.
[[nodiscard]] inline std::chrono::steady_clock::time_point to_steady(Time time) {
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(time - clock_now());
}

}  // namespace wsr::net
