// The head of an HTTP answer as text.
//
// Thread-safety: pure function. Nothing that a peer sent reaches a head: its fields are ours.
#pragma once

#include <cstdint>
#include <string>

#include "core/net/http_api.hpp"

namespace wsr::net {

/// keep_told: to HTTP/1.0, which closes unless it is told.
enum class Persistence : std::uint8_t { keep, keep_told, close };

/// Status line and fields up to the empty line, with the body's Content-Length.
[[nodiscard]] std::string http_head(const HttpResponse& response, Persistence persistence);

}  // namespace wsr::net
