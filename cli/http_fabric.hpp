// The fabric over a server's HTTP API.
#pragma once

#include <memory>
#include <string_view>

#include "cli/fabric_client.hpp"

namespace wsr::cli {

/// Throws UsageError if `url` is not http://host:port. Asks nothing yet.
[[nodiscard]] std::unique_ptr<FabricClient> make_http_fabric(std::string_view url);

}  // namespace wsr::cli
