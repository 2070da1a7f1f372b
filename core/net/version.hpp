// version: which release of this library is running, as servers say it in the registry, /healthz and the log.
#pragma once

#include <string_view>

namespace wsr::net {

[[nodiscard]] std::string_view version();

}  // namespace wsr::net
