// Reads a WebSocket of a server: what `wsr room watch` hears over the HTTP API's address.
#pragma once

#include <functional>
#include <string_view>

#include "cli/http_client.hpp"
#include "cli/terminal.hpp"

namespace wsr::cli {

/// Calls `on_frame` for each text frame, on a thread of its own, until `interruption`; then says goodbye with 1000.
/// Throws std::runtime_error with a sentence if it cannot be opened, or ends without our doing.
void watch_websocket(const HttpClient& http, std::string_view target,
                     const std::function<void(std::string_view frame)>& on_frame, const Interruption& interruption);

}  // namespace wsr::cli
