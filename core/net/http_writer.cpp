#include "core/net/http_writer.hpp"

#include <string_view>

namespace wsr::net {
namespace {

std::string_view reason(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Other";
  }
}

}  // namespace

std::string http_head(const HttpResponse& response, Persistence persistence) {
  std::string head = "HTTP/1.1 ";
  head.append(std::to_string(response.status)).append(" ").append(reason(response.status)).append("\r\n");
  const auto field = [&head](std::string_view name, std::string_view value) {
    head.append(name).append(": ").append(value).append("\r\n");
  };
  field("Content-Type", response.content_type);
  field("Content-Length", std::to_string(response.body.size()));
  field("X-Content-Type-Options", "nosniff");
  if (response.is_page) {
    // A page in another page's frame can be clicked without its reader's knowledge.
    field("Content-Security-Policy", "frame-ancestors 'none'; base-uri 'none'; object-src 'none'");
    field("X-Frame-Options", "DENY");
    field("Referrer-Policy", "no-referrer");
  }
  if (!response.allow.empty()) field("Allow", response.allow);
  if (response.retry_after) field("Retry-After", std::to_string(response.retry_after->count()));
  if (response.status == 426) {
    field("Sec-WebSocket-Version", "13");
    field("Upgrade", "websocket");
    field("Connection", persistence == Persistence::close ? "upgrade, close" : "upgrade");
  } else if (persistence != Persistence::keep) {
    field("Connection", persistence == Persistence::close ? "close" : "keep-alive");
  }
  head.append("\r\n");
  return head;
}

}  // namespace wsr::net
