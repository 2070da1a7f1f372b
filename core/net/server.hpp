// Server: one process of the fabric: shards, hub, listener, HTTP API. What `wsr serve` runs.
//
//   accept ─▶ shard k: HTTP ─upgrade─▶ WebSocket connection ─▶ Router k ─▶ other shards, other servers
//                        └─ /api, /healthz, /readyz           │
//   hub (on shard 0's thread): the backend, Keeper, clients of this server ◀─ posts ─▶ every shard
//
// Thread-safety: construct, start and run on one thread; stop() from any thread or signal handler context of Asio.
// Errors:        start() throws std::runtime_error with a sentence: port in use, bad address, store unreachable
//                within `store_wait`.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/net/connect_rates.hpp"
#include "core/net/room_authorizer.hpp"
#include "core/routing/limits.hpp"
#include "core/routing/log_event.hpp"
#include "core/store/backend.hpp"
#include "core/wire/envelope.hpp"

namespace boost::asio {
class io_context;
}

namespace wsr::net {

struct ServerOptions {
  std::string bind = "127.0.0.1";
  std::uint16_t port = 9090;  // 0: any free one, see Server::port()
  unsigned shards = 1;        // threads; each accepts for itself
  ServerId id;                // name~incarnation
  std::string url;            // how others reach the HTTP API; empty: http://bind:port
  SessionPolicy policy = SessionPolicy::single;
  Limits limits;   // verify_every 0: what the store needs, every 5 s for one that may evict rows
  BatchKeys keys;  // as people write them; the hub binds them to its store
  std::chrono::milliseconds lease{6'000};
  std::chrono::milliseconds probe_every{500};
  std::chrono::milliseconds ping_every{25'000};        // server to client; 0: never
  std::chrono::milliseconds pong_within{10'000};       // then the connection counts as gone (1006)
  std::chrono::milliseconds handshake_within{10'000};  // from accept to a complete HTTP head; for an answer to be taken
  std::chrono::milliseconds body_within{20'000};       // from the head to the end of the body: 50 KiB/s for the largest
  std::chrono::milliseconds idle_after{0};             // nothing but pongs heard for so long: close 4040; 0: never
  std::chrono::milliseconds drain_within{5'000};  // stop(): closes are spread over it, and slow clients get all of it
  std::chrono::milliseconds store_wait{5'000};    // start(): how long the store may take to answer
  std::size_t header_bytes_max = 16 * 1024;       // HTTP request head; above: 431
  std::size_t body_bytes_max = 1024 * 1024;       // HTTP request body; above: 413
  std::size_t connections_max = 0;                // sockets, and 32 for HTTP alone; 0: what the descriptors allow
  std::optional<std::size_t> per_address_max;     // sockets of one address; 0: any; default: 1024, on loopback any
                                                  // bound to another address than loopback: never of loopback peers
  std::vector<std::string> origins;               // browsers' Origin allowed besides same-origin; "*": any
  std::vector<std::string> hosts;                 // names in Host besides our own, see OwnHosts; "*": any
  std::string store = "memory";                   // how messages name the store: never with its password
  RoomAuthorizer authorizer;                      // who may do what in rooms; none: everybody everything
  bool echo = false;                              // serve /echo, for WebSocket conformance suites
  ConnectLimits connects = {};                    // what connecting costs
  LogSink log = {};                               // what happens, on any thread
};

/// Makes the backend on the hub's io_context.
using BackendFactory = std::function<std::unique_ptr<Backend>(boost::asio::io_context&, AnswerSink&, BusListener&)>;

class Server {
public:
  Server(ServerOptions options, BackendFactory make_backend);
  ~Server();

  /// Listens, takes the lease, subscribes the inbox. Returns when ready.
  void start();
  [[nodiscard]] std::uint16_t port() const;
  /// Serves until stop(); returns when every connection is closed and the own rows are swept, or drain_within passed.
  /// stop() turns readiness red; then the clients are told 1001 one after the other, while the others go on.
  void run();
  void stop();

private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wsr::net
