#include "core/redis/address.hpp"

#include <charconv>
#include <optional>

namespace wsr::redis {
namespace {

constexpr std::string_view forms =
    "use redis://[user:password@]host[:port][/db], rediss://... for TLS, or unix:///path[?db=n]";

Error bad(std::string message) { return {Errc::bad_request, std::move(message)}; }

std::optional<int> hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

/// Percent-decoding: a password may hold any byte. nullopt: a % without two hexadecimal digits.
std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const auto high = hex(text[i + 1]), low = hex(text[i + 2]);
    if (!high || !low) return std::nullopt;
    out.push_back(static_cast<char>(*high * 16 + *low));
    i += 2;
  }
  return out;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Error> read_db(std::string_view text, Address& address) {
  const auto db = number<unsigned>(text);
  if (!db) return bad("the database \"" + std::string{text} + "\" of the store's url is not a number");
  address.db = *db;
  return std::nullopt;
}

std::optional<Error> read_user(std::string_view text, Address& address) {
  const auto colon = text.find(':');
  const auto user = decoded(colon == std::string_view::npos ? text : text.substr(0, colon));
  const auto password = decoded(colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1));
  // The url is not repeated: it holds the password.
  if (!user || !password) return bad("the user or password in the store's url has a % without two hexadecimal digits");
  address.user = *user;
  address.password = *password;
  return std::nullopt;
}

std::optional<Error> read_host(std::string_view text, Address& address) {
  std::string_view host = text, port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return bad("the IPv6 address in the store's url has no closing ]");
    host = text.substr(1, end - 1);
    const auto rest = text.substr(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) return bad("after the ] in the store's url only :port may follow");
    if (!rest.empty()) port = rest.substr(1);
    if (rest == ":") return bad("the port in the store's url is empty: leave the colon out or name a port");
  } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (port.empty()) return bad("the port in the store's url is empty: leave the colon out or name a port");
    if (port.find(':') != std::string_view::npos) {
      return bad("the host in the store's url has several colons: write an IPv6 address in [ ]");
    }
  }
  if (host.empty()) return bad("the store's url names no host: " + std::string{forms});
  address.host = host;
  if (port.empty()) return std::nullopt;
  const auto value = number<std::uint16_t>(port);
  if (!value || *value == 0) return bad("the port \"" + std::string{port} + "\" of the store's url is not 1 to 65535");
  address.port = *value;
  return std::nullopt;
}

Result<Address> parse_unix(std::string_view rest) {
  Address address;
  address.kind = Address::Kind::unix_socket;
  if (const auto query = rest.find('?'); query != std::string_view::npos) {
    const auto text = rest.substr(query + 1);
    if (!text.starts_with("db=")) return bad("the store's url may end in ?db=n only: found ?" + std::string{text});
    if (auto error = read_db(text.substr(3), address)) return *error;
    rest = rest.substr(0, query);
  }
  if (const auto at = rest.find('@'); at != std::string_view::npos && rest.find('/') > at) {
    if (auto error = read_user(rest.substr(0, at), address)) return *error;
    rest = rest.substr(at + 1);
  }
  const auto path = decoded(rest);
  if (!path) return bad("the path in the store's url has a % without two hexadecimal digits");
  if (!path->starts_with('/')) return bad("the path of a unix socket is absolute: unix:///run/redis.sock");
  if (path->size() > 107) return bad("the path of a unix socket has at most 107 bytes");
  address.path = *path;
  return address;
}

}  // namespace

Result<Address> Address::parse(std::string_view url) {
  if (url.starts_with("unix://")) return parse_unix(url.substr(7));
  Address address;
  if (url.starts_with("rediss://")) {
    address.kind = Kind::tls;
    url.remove_prefix(9);
  } else if (url.starts_with("redis://")) {
    url.remove_prefix(8);
  } else {
    return bad("the store's url has an unknown scheme: " + std::string{forms});
  }
  if (url.find_first_of("?#") != std::string_view::npos && url.rfind('@') == std::string_view::npos) {
    return bad("the store's url takes no ? or #: " + std::string{forms});
  }
  // The last @: a password may hold one that nobody has encoded.
  if (const auto at = url.rfind('@'); at != std::string_view::npos) {
    if (auto error = read_user(url.substr(0, at), address)) return *error;
    url.remove_prefix(at + 1);
  }
  if (const auto slash = url.find('/'); slash != std::string_view::npos) {
    const auto db = url.substr(slash + 1);
    if (!db.empty()) {
      if (auto error = read_db(db, address)) return *error;
    }
    url = url.substr(0, slash);
  }
  if (auto error = read_host(url, address)) return *error;
  return address;
}

std::string Address::str() const {
  const std::string who = user.empty() ? std::string{} : user + '@';
  if (kind == Kind::unix_socket) return "unix://" + who + path + (db == 0 ? "" : "?db=" + std::to_string(db));
  const std::string name = host.find(':') == std::string::npos ? host : '[' + host + ']';
  return (kind == Kind::tls ? "rediss://" : "redis://") + who + name + ':' + std::to_string(port) +
         (db == 0 ? "" : '/' + std::to_string(db));
}

}  // namespace wsr::redis
