// What the kernel knows of a peer before we have asked it anything.
//
// A server that stood still (stopped, paused, starved) finds connections in its queue that are seconds old. When it
// reads their request says nothing about when the client asked, nor whether the client still waits. The kernel kept
// both. Measured on Linux 6.18, with a connection accepted 2 s after it was made:
//
//   tcpi_last_data_recv   since the last byte of data; a FIN behind it, or our reading it, changes nothing: the age of
//   the
//                         request. With nothing said yet it is the age of the connection.
//   tcpi_last_data_sent   since we sent: the age of the connection, until the first answer on it
//   tcpi_last_ack_recv    since any packet: a FIN makes it young again
//
// Thread-safety: pure functions of a descriptor. Errors: what the kernel does not tell is an age of 0, and no end.
#pragma once

#include "core/base/time.hpp"

namespace wsr::net {

/// True if the peer has shut down its writing side, or the connection is broken: nothing more comes than is here.
[[nodiscard]] bool has_peer_ended(int descriptor);

/// How long the peer's last bytes have been here, in the kernel's steps of up to 10 ms. What is less than two of them
/// is 0: the order of connections that come one right after the other is told better by our own clock.
[[nodiscard]] Duration age_of_last_bytes(int descriptor);

}  // namespace wsr::net
