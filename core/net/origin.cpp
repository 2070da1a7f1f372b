#include "core/net/origin.hpp"

#include <charconv>
#include <optional>

#include "core/net/http_reader.hpp"

namespace wsr::net {
namespace {

constexpr std::uint16_t http_port = 80, https_port = 443;

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::uint16_t number(std::string_view digits) {
  std::uint16_t port = 0;
  (void)std::from_chars(digits.data(), digits.data() + digits.size(), port);  // checked by parse_authority()
  return port;
}

/// scheme://name[:port] of a page; nullopt for "null", an extension, a file.
struct Page {
  bool is_https = false;
  std::string name;
  std::uint16_t port = 0;
};
std::optional<Page> page_of(std::string_view origin) {
  const auto text = lower(origin);
  Page page;
  std::string_view authority = text;
  if (authority.starts_with("http://")) {
    authority.remove_prefix(7);
  } else if (authority.starts_with("https://")) {
    authority.remove_prefix(8);
    page.is_https = true;
  } else {
    return std::nullopt;
  }
  Authority parsed;
  if (!parse_authority(authority, parsed)) return std::nullopt;
  page.name = parsed.name;
  page.port = !parsed.port.empty() ? number(parsed.port) : page.is_https ? https_port : http_port;
  return page;
}

struct Host {
  std::string name;
  std::optional<std::uint16_t> port;
};
std::optional<Host> host_of(std::string_view text) {
  Authority parsed;
  if (!parse_authority(text, parsed)) return std::nullopt;
  Host host{lower(parsed.name), std::nullopt};
  if (!parsed.port.empty()) host.port = number(parsed.port);
  return host;
}

bool is_default(std::uint16_t port) { return port == http_port || port == https_port; }

}  // namespace

bool is_origin_listed(std::string_view origin, const std::vector<std::string>& listed) {
  const auto wanted = lower(origin);
  for (const auto& entry : listed) {
    if (entry == "*") return true;
    auto allowed = lower(entry);
    if (allowed.ends_with('/')) allowed.pop_back();
    if (allowed == wanted) return true;
  }
  return false;
}

bool is_origin_allowed(std::string_view origin, std::string_view host, const std::vector<std::string>& listed,
                       std::uint16_t own_port) {
  if (origin.empty() || is_origin_listed(origin, listed)) return true;
  // The scheme is not compared: behind a TLS proxy the page is https and this socket is not.
  const auto page = page_of(origin);
  const auto own = host_of(host);
  if (!page || !own || page->name != own->name) return false;
  if (own->port) return page->port == *own->port;
  return is_default(page->port) || (own_port != 0 && !is_default(own_port));
}

bool came_through_proxy(std::string_view origin, std::string_view host, std::uint16_t loopback_port) {
  const auto page = page_of(origin);
  const auto own = host_of(host);
  if (!page || !own) return false;
  if (page->is_https) return true;
  if (!own->port) return page->port != http_port;
  return loopback_port != 0 && *own->port != loopback_port;
}

}  // namespace wsr::net
