#include "core/net/origin.hpp"

#include <algorithm>

namespace wsr::net {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

bool take_suffix(std::string& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.resize(text.size() - suffix.size());
  return true;
}

}  // namespace

bool is_origin_allowed(std::string_view origin, std::string_view host, const std::vector<std::string>& listed) {
  if (origin.empty()) return true;
  const auto wanted = lower(origin);
  for (const auto& entry : listed) {
    if (entry == "*") return true;
    auto allowed = lower(entry);
    take_suffix(allowed, "/");
    if (allowed == wanted) return true;
  }
  // The scheme is not compared: behind a TLS proxy the page is https and this socket is not.
  std::string page, port;
  if (wanted.starts_with("http://")) {
    page = wanted.substr(7), port = ":80";
  } else if (wanted.starts_with("https://")) {
    page = wanted.substr(8), port = ":443";
  } else {
    return false;  // "null", an extension, a file
  }
  auto own = lower(host);
  take_suffix(page, port);
  take_suffix(own, port);
  return !own.empty() && page == own;
}

}  // namespace wsr::net
