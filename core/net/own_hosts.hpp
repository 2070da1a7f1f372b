// OwnHosts: the names that this server goes by. A request for another name is not for it.
//
// A page of evil.example may give its own name the address of this server (DNS rebinding). Its visitor's browser then
// takes this server for a part of evil.example, and lets the page read what it likes; only the name in Host tells.
//
// Thread-safety: immutable after construction; shared by all shards.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace wsr::net {

/// Also of an IPv4 address that is mapped into IPv6.
[[nodiscard]] bool is_loopback(const boost::asio::ip::address& address);

class OwnHosts {
public:
  /// `bind`: the address listened on. `url`: how others reach this server. `names`: of --host, with or without a port;
  /// "*": any name.
  OwnHosts(std::string_view bind, std::string_view url, const std::vector<std::string>& names);

  /// `host` is a Host field; its port does not matter (a port may be forwarded). `local`: the address that the
  /// connection came to. Ours are: localhost and what ends with .localhost, loopback addresses, the bind address, the
  /// address that was connected to, the host of the url, the names; and any address while all are listened on, since
  /// an address cannot be made to mean another.
  [[nodiscard]] bool is_ours(std::string_view host, std::string_view local = {}) const;

private:
  void add(std::string_view host);
  std::vector<std::string> names_;  // lower case, without port; a handful
  bool is_any_name_ = false;
  bool is_any_address_ = false;
};

}  // namespace wsr::net
