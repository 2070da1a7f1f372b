// The Origin rule: which web pages may open a WebSocket here.
//
// Browsers send cookies and reach loopback addresses from any page; without this check a foreign page could chat as
// its visitor (cross-site WebSocket hijacking). Programs that are no browsers send no Origin and pass.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wsr::net {

/// The page is one of those listed; "*" in the list is any.
[[nodiscard]] bool is_origin_listed(std::string_view origin, const std::vector<std::string>& listed);

/// `origin` empty: the request had none. Allowed: none, the page that this server itself serves (`host` is the Host
/// header), those listed.
/// `own_port` is the one that the connection came to (0: unknown). Browsers leave out of Host no port but 80 and 443:
/// a Host without one on another port was written by a proxy (nginx' $host), and only names are compared then.
[[nodiscard]] bool is_origin_allowed(std::string_view origin, std::string_view host,
                                     const std::vector<std::string>& listed, std::uint16_t own_port = 0);

/// True if what the browser knows of this server shows that a proxy stands between them, so that `host` was not made to
/// mean our address by whoever owns the name: the page came through TLS, which this server does not speak; or it is on
/// a port that Host does not name; or Host names another port than `loopback_port`, the one that the connection came
/// to over the loopback interface. (0: it came from another host. A port in Host proves nothing then: it may have been
/// forwarded, as container hosts do.) REQUIRES: is_origin_allowed() for `host`.
[[nodiscard]] bool came_through_proxy(std::string_view origin, std::string_view host, std::uint16_t loopback_port);

}  // namespace wsr::net
