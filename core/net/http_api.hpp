// HttpApi: the routes of `wsr serve` besides the WebSocket: /api/*, /healthz, /readyz. No socket is seen here.
//
// Thread-safety: none; one a shard. Errors: {"error":{"code","message"}} with the status that fits.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/net/services.hpp"

namespace wsr::net {

struct HttpRequest {
  std::string_view method;  // GET, POST, DELETE ...
  std::string_view target;  // path and query, percent-encoded as it came
  std::string_view body;
  std::string_view content_type;
};
struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string allow;     // for 405
  bool is_page = false;  // HTML: no other page may put it into a frame
  std::string failure;   // of a 500: what was thrown, for the log alone
  std::optional<std::chrono::seconds> retry_after;
};

namespace http {
class Turnstile;
}

class HttpApi {
public:
  explicit HttpApi(Services& services);
  ~HttpApi();
  /// Answers exactly once, now or later, on this shard's thread; never throws for a request: what nobody foresaw is a
  /// 500. The request's views end with this call.
  void handle(const HttpRequest& request, const std::function<void(HttpResponse)>& reply);

private:
  void route(const HttpRequest& request, const std::function<void(HttpResponse)>& reply);
  Services& services_;
  std::shared_ptr<http::Turnstile> listings_;
};

}  // namespace wsr::net
