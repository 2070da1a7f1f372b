// Population: the clients: their devices, the connections these have, how they come back, and what they read.
//
//   away ──delay──▶ connecting ──101, welcome──▶ open ──close, or noticed dead──▶ away
//
// A device has one connection at a time; a client has one device, or several. A connection is TCP and WebSocket: what a
// server writes goes through a send window, so that a reader who does not read fills it, and then the server's outbox.
//
// Thread-safety: none; part of one run. Cost: 100 bytes a device, 150 a connection.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/routing/slot_index.hpp"
#include "core/wire/ws_frame.hpp"
#include "sim/parts.hpp"

namespace wsr::sim {

using DeviceIndex = std::uint32_t;
using ConnIndex = std::uint32_t;

struct Device {
  enum class State : std::uint8_t { away, connecting, open } state = State::away;
  ConnIndex conn = nobody;
  std::uint32_t server = 0;    // where it is, or was last
  std::uint32_t attempts = 0;  // since it was last welcome
  std::uint32_t turns = 0;     // events of its own are numbered: older ones mean nothing
  bool stays_away = false;     // told to (4009, or by a step)
};

struct Conn {
  enum class State : std::uint8_t { none, connecting, open, closed } state = State::none;
  bool is_cut = false;          // half open: nothing gets through any more
  bool is_server_gone = false;  // the server's end is over: nothing more goes there
  bool is_blocked = false;      // the server waits for the window
  bool is_slow = false;
  bool is_welcome = false;
  enum class Close : std::uint8_t { none, asked, written } close = Close::none;   // by its server
  enum class Row : std::uint8_t { wanted, replaced, no_room } row = Row::wanted;  // what the store did to its claim
  bool has_fin = false;  // its client's end has reached the server's host
  DeviceIndex device = nobody;
  std::uint32_t client = nobody;  // whose it is, or was
  std::uint32_t server = 0;
  std::uint32_t life = 0;    // of that server
  std::uint32_t serial = 0;  // never reused
  std::uint32_t in_flight = 0;
  std::uint32_t place = 0;  // among its server's
  ConnId id;
  Nanos made_at = 0;       // when its handshake was over: it may wait for the server long after
  Nanos opened_at = 0;     // at the server
  Nanos welcomed_at = 0;   // at the client
  Nanos unblocked_at = 0;  // when its server could last go on writing what had waited
  Pipe up, down;
  std::int64_t gap = 0;  // room messages that did not come, less those that it was told of
  WsParser parser{WsRole::client, std::size_t{1} << 30};
};

class Population {
public:
  static constexpr std::uint32_t window_bytes = 64 * 1024;  // of one connection: the kernels' buffers

  explicit Population(Parts& parts);

  [[nodiscard]] std::uint32_t device_count() const { return static_cast<std::uint32_t>(devices_.size()); }
  [[nodiscard]] std::uint32_t client_of(DeviceIndex device) const { return device / per_client_; }
  [[nodiscard]] Device& device(DeviceIndex index) { return devices_[index]; }
  [[nodiscard]] Conn& conn(ConnIndex index) { return conns_[index]; }
  /// The open connection of a client's first device that has one; nobody otherwise.
  [[nodiscard]] ConnIndex conn_of_client(std::uint32_t client) const;
  [[nodiscard]] std::uint32_t devices_per_client() const { return per_client_; }
  [[nodiscard]] bool has_slow_readers() const { return !slow_.empty(); }
  [[nodiscard]] std::size_t open_count() const { return open_; }
  /// Somebody has not closed its end yet.
  [[nodiscard]] bool has_clients_at(std::uint32_t server) const { return !by_server_[server].empty(); }
  [[nodiscard]] static std::string name_of(std::uint32_t client) { return "c" + std::to_string(client); }
  /// The number in `c17`; nobody if it is none.
  [[nodiscard]] static std::uint32_t client_named(std::string_view name);

  // ---- what a client does
  /// All devices, as the scenario has them arrive.
  void arrive();
  void connect(DeviceIndex device, Nanos in);
  void close(DeviceIndex device);                   // with 1000, and stays away
  void drop(DeviceIndex device);                    // the connection breaks; both ends know
  void half_open(DeviceIndex device, Nanos until);  // it breaks; nobody knows
  /// A cut lies between it and its server, one way or both: the server's pings stay without an answer.
  void cut_begins(DeviceIndex device);
  void slow(DeviceIndex device, std::uint64_t bytes_per_second);
  void read_again(DeviceIndex device);
  /// Sends a command; false if the device is not open.
  bool say(DeviceIndex device, std::string&& text);

  // ---- what a server does
  /// Bytes for the client; the caller keeps within window_left().
  void write(ConnIndex conn, std::string&& bytes);
  [[nodiscard]] std::uint32_t window_left(ConnIndex conn) const {
    return window_bytes - std::min(window_bytes, conns_[conn].in_flight);
  }
  /// The server closes with a code, behind what it has written. 1006: it just hangs up.
  void close_by_server(ConnIndex conn, std::uint16_t code);
  /// The server is dead: its connections are, too.
  void server_died(std::uint32_t server);
  /// The server's end of it is gone, and was told nothing or has told everything.
  void server_end_is_over(ConnIndex conn);
  /// The server's host is gone, and no packet says so.
  void server_vanished(std::uint32_t server);
  /// The server did not take the connection.
  void refuse(ConnIndex conn);

  // ---- events
  void on_act(const Event& event);
  void on_bytes(const Event& event);
  void on_fin(const Event& event);

private:
  enum class Act : std::uint32_t { connect, notice, noticed_by_server, read, unheard, acknowledged, give_up };

  void dial(DeviceIndex index);
  /// When a server that hears nothing of a client from now on gives it up: a ping that is due, and no pong.
  [[nodiscard]] Nanos given_up_at(DeviceIndex index) const;
  /// The server has closed what it did not hear; the client learns of it `in` that time.
  void give_up(ConnIndex index, Nanos in);
  [[nodiscard]] std::uint32_t pick_server(DeviceIndex index);
  void on_text(ConnIndex index, std::string_view text);
  void read(ConnIndex index, std::string&& bytes);
  /// Its server may write so much more.
  void acknowledge(ConnIndex index, std::uint32_t bytes);
  void answer_early(ConnIndex index, std::string_view command);  // a mutant
  /// True if a mutant has done something else with the frame.
  [[nodiscard]] bool is_mutated(ConnIndex index, std::string_view text);
  void lose(ConnIndex index, std::uint16_t code);
  /// All of a server's connections are dead; when their clients notice is `notice` of each device.
  void abandon(std::uint32_t server, const std::function<Nanos(DeviceIndex)>& notice);
  void come_back(DeviceIndex index, std::uint16_t code, bool came_about);
  [[nodiscard]] ConnIndex take_conn();
  void free_conn(ConnIndex index);
  void count_close(DeviceIndex device, std::uint16_t code);

  struct SlowReader {
    std::uint64_t bytes_per_second = 0;
    std::deque<std::pair<std::uint32_t, std::size_t>> waiting;  // parcels of bytes that it has not read, and their size
  };
  /// It has read the first that waits when its bytes have passed.
  void read_next_later(ConnIndex index, const SlowReader& reader);

  Parts& parts_;
  std::uint32_t per_client_;
  std::vector<Device> devices_;
  SlotTable<Conn> conns_;
  std::deque<ConnIndex> free_;  // the one that is free longest goes first
  std::vector<std::vector<ConnIndex>> by_server_;
  std::unordered_map<ConnIndex, SlowReader> slow_;
  std::uint32_t last_serial_ = 0;
  std::uint32_t next_server_ = 0;
  std::size_t open_ = 0;
  std::unordered_map<std::uint32_t, Nanos> heard_;  // serial -> when its server last heard it, in a one-way cut
  std::unordered_map<ConnIndex, std::uint32_t>
      unacknowledged_;                                      // bytes it has read, and no acknowledgement gets through
  std::unordered_map<ConnIndex, std::string> cut_headers_;  // the beginning of a frame, to be read with what follows
  std::uint64_t draws_ = 0;
  std::pair<ConnIndex, std::string> held_{nobody, {}};  // by a mutant
  std::unordered_set<std::uint64_t> answered_early_;    // the same: commands
};

}  // namespace wsr::sim
