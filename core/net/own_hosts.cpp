#include "core/net/own_hosts.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "core/net/http_reader.hpp"

namespace wsr::net {
namespace {

namespace ip = boost::asio::ip;

/// Lower case, and an address in its one spelling.
std::string normal(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);  // the root of the DNS
  std::string out(name);
  for (auto& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  boost::system::error_code error;
  const auto address = ip::make_address(out, error);
  return error ? out : address.to_string();
}

}  // namespace

bool is_loopback(const ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return ip::make_address_v4(ip::v4_mapped, address.to_v6()).is_loopback();
  }
  return address.is_loopback();
}

OwnHosts::OwnHosts(std::string_view bind, std::string_view url, const std::vector<std::string>& names) {
  boost::system::error_code error;
  const auto address = ip::make_address(std::string(bind), error);
  if (!error && address.is_unspecified()) {
    is_any_address_ = true;
  } else {
    names_.push_back(normal(bind));
  }
  if (const auto scheme = url.find("://"); scheme != std::string_view::npos) {
    url.remove_prefix(scheme + 3);
    add(url.substr(0, url.find_first_of("/?#")));
  }
  for (const auto& name : names) {
    if (name == "*") is_any_name_ = true;
    add(name);
  }
}

void OwnHosts::add(std::string_view host) {
  Authority parsed;
  if (parse_authority(host, parsed)) {
    names_.push_back(normal(parsed.name));
  } else if (boost::system::error_code error; !ip::make_address(std::string(host), error).is_unspecified() && !error) {
    names_.push_back(normal(host));  // an IPv6 address without brackets
  }
}

bool OwnHosts::is_ours(std::string_view host, std::string_view local) const {
  Authority parsed;
  if (!parse_authority(host, parsed)) return false;
  if (is_any_name_) return true;
  const auto name = normal(parsed.name);
  if (name == "localhost" || name.ends_with(".localhost")) return true;
  if (std::find(names_.begin(), names_.end(), name) != names_.end()) return true;
  boost::system::error_code error;
  const auto address = ip::make_address(name, error);
  if (error) return false;
  return is_any_address_ || is_loopback(address) || (!local.empty() && name == normal(local));
}

}  // namespace wsr::net
