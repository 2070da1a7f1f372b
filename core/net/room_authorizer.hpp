// RoomAuthorizer: the application's say in who may join, leave, push into and read a room.
//
// Asked for each command of a client, on the thread of the client's shard; never for what the application itself asks.
// `reply` may be called from any thread, once, now or later, as long as the server runs. Fails closed: an exception, or
// no reply within Limits::authorize_within, is a no.
#pragma once

#include <functional>

#include "core/routing/room.hpp"

namespace wsr::net {

using RoomAuthorizer = std::function<void(RoomAction action, const RoomName& room, const ClientId& client,
                                          std::function<void(Permission)> reply)>;

}  // namespace wsr::net
