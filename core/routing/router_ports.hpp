// RouterPorts: what a Router is made of and with: its options, its ports, and what it tells the application around it.
//
// Apart from router.hpp, because the Router's parts need it and the Router is put together of them.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/ids.hpp"
#include "core/base/ticket.hpp"
#include "core/routing/limits.hpp"
#include "core/routing/outcome.hpp"
#include "core/routing/ports.hpp"
#include "core/routing/room.hpp"
#include "core/store/store.hpp"
#include "core/wire/envelope.hpp"

namespace wsr {

struct RouterOptions {
  ShardAddress self;
  SessionPolicy policy = SessionPolicy::single;
  Limits limits;
  BatchKeys keys;  // empty: batches between servers are not signed
};

/// How bytes for a connection are dressed.
enum class Framing : std::uint8_t {
  websocket,  // wsr.v1 JSON in WebSocket frames
  raw,        // the message's data alone: an embedding application frames it itself
};

struct Sent {  // how a message of the application ended
  Word word = Word::unknown;
  ServerId server;  // who delivered it; empty otherwise
};

enum class Wait : std::uint8_t { for_word, not_at_all };

/// What the core tells the application around it (HTTP API, shell, embedding code).
class Application {
public:
  virtual ~Application() = default;
  virtual void on_sent(Ticket ticket, const Sent& sent) = 0;
  /// The claim of an own connection was answered: ok, superseded or capacity (with a sentence).
  virtual void on_owned(ConnId conn, Errc result, std::string_view detail) = 0;

  virtual void on_room_done(Ticket ticket, const RoomDone& done) = 0;
  virtual void on_pushed(Ticket ticket, const RoomPushed& pushed) = 0;
  /// The watched room's channel stands (ok), or cannot be subscribed. May be said again.
  virtual void on_watching(const RoomName& room, Errc result) = 0;
  /// What a watched room brings.
  virtual void on_room_message(const RoomName& room, std::string_view from, std::string_view data) = 0;
  virtual void on_room_presence(const RoomName& room, const RoomPresence& presence) = 0;
};

/// What a Router asks of the world.
struct RouterPorts {
  Store& store;
  Connections& connections;
  Clock& clock;
  Application& application;
  Authorizer* authorizer = nullptr;  // nobody: every command of a client is allowed
};

}  // namespace wsr
