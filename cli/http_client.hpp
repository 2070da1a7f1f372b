// HttpClient: one HTTP request, one answer, with a deadline: how the command line speaks to a server.
//
// Thread-safety: none; each call has its own connection. Errors: std::runtime_error with a sentence.
// Bounds:        an answer of at most 16 MiB; `within` covers connecting, asking and answering.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace wsr::cli {

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
};

class HttpClient {
public:
  /// `url`: http://host:port. Throws UsageError if it is not one.
  explicit HttpClient(std::string_view url, std::chrono::milliseconds within = std::chrono::seconds{15});

  /// `method` is GET, POST or DELETE; `target` is percent-encoded; a body is JSON.
  [[nodiscard]] HttpAnswer request(std::string_view method, std::string_view target, std::string body = {}) const;
  [[nodiscard]] const std::string& url() const { return url_; }
  [[nodiscard]] const std::string& host() const { return host_; }
  [[nodiscard]] const std::string& port() const { return port_; }

private:
  std::string url_;  // without a slash at its end
  std::string host_;
  std::string port_;
  std::chrono::milliseconds within_;
};

/// All but RFC 3986's unreserved characters as %XX.
[[nodiscard]] std::string percent_encoded(std::string_view text);

}  // namespace wsr::cli
