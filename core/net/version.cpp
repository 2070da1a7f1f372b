#include "core/net/version.hpp"

namespace wsr::net {

std::string_view version() { return WSR_VERSION; }

}  // namespace wsr::net
