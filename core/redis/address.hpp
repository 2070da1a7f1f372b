// Address: where a store is, as its url says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/errc.hpp"

namespace wsr::redis {

/// redis://[user[:password]@]host[:port][/db] | rediss://... (TLS) | unix:///path[?db=n]
struct Address {
  enum class Kind : std::uint8_t { tcp, tls, unix_socket } kind = Kind::tcp;
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  std::string path;
  std::string user, password;
  unsigned db = 0;
  [[nodiscard]] static Result<Address> parse(std::string_view url);
  /// The url without its password, for logs.
  [[nodiscard]] std::string str() const;
};

}  // namespace wsr::redis
