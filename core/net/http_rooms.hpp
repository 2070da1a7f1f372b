// The routes of rooms: /api/rooms, /api/rooms/ROOM, .../push, .../members, .../members/CLIENT.
//
// Internal to core/net: a part of HttpApi.
#pragma once

#include "core/net/http_parts.hpp"
#include "core/net/services.hpp"

namespace wsr::net {

/// Answers exactly once. REQUIRES: the target's path is /api/rooms or below it.
void handle_rooms(Services& services, http::Turnstile& listings, const HttpRequest& request, const http::Target& target,
                  const http::Reply& reply);

}  // namespace wsr::net
