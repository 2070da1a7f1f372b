// The Origin rule: which web pages may open a WebSocket here.
//
// Browsers send cookies and reach loopback addresses from any page; without this check a foreign page could chat as
// its visitor (cross-site WebSocket hijacking). Programs that are no browsers send no Origin and pass.
//
// Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wsr::net {

/// `origin` empty: the request had none. Allowed: none, the page that this server itself serves (`host` is the Host
/// header), those listed; "*" in the list allows any.
[[nodiscard]] bool is_origin_allowed(std::string_view origin, std::string_view host,
                                     const std::vector<std::string>& listed);

}  // namespace wsr::net
