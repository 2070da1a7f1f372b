// Who this process is among servers, and with which keys it signs.
//
// Errors: UsageError with a sentence.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/wire/envelope.hpp"

namespace wsr::cli {

/// `host:pid`, with what a server name cannot hold replaced by '-'.
[[nodiscard]] std::string default_server_name();
/// What is left of `text` as a server name: other characters become '-', at most 64 bytes.
[[nodiscard]] std::string sanitised_server_name(std::string_view text);
/// `name` with a new incarnation, drawn from the system's randomness.
[[nodiscard]] ServerId new_server_id(std::string_view name);

/// `id:secret` each; the first signs, all verify.
[[nodiscard]] BatchKeys parse_bus_keys(const std::vector<std::string>& texts);

}  // namespace wsr::cli
