#include "cli/http_client.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <stdexcept>

#include "cli/exit_code.hpp"

namespace wsr::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

constexpr std::uint64_t answer_bytes_max = 16 * 1024 * 1024;

/// connect -> write -> read, each step starting the next; the stream's timer covers all of them.
class Exchange {
public:
  Exchange(asio::io_context& io, http::request<http::string_body> request) : stream_(io), request_(std::move(request)) {
    parser_.body_limit(answer_bytes_max);
  }

  void start(const asio::ip::tcp::resolver::results_type& endpoints, std::chrono::milliseconds within) {
    stream_.expires_after(within);
    stream_.async_connect(endpoints, [this](error_code error, const auto&) { on_connected(error); });
  }

  [[nodiscard]] error_code error() const { return error_; }
  [[nodiscard]] HttpAnswer answer() { return {parser_.get().result_int(), std::move(parser_.get().body())}; }

private:
  void on_connected(error_code error) {
    if (error) return fail(error);
    http::async_write(stream_, request_, [this](error_code e, std::size_t) { on_written(e); });
  }
  void on_written(error_code error) {
    if (error) return fail(error);
    http::async_read(stream_, buffer_, parser_, [this](error_code e, std::size_t) {
      if (e) fail(e);
    });
  }
  void fail(error_code error) { error_ = error; }

  beast::tcp_stream stream_;
  http::request<http::string_body> request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  error_code error_;
};

}  // namespace

HttpClient::HttpClient(std::string_view url, std::chrono::milliseconds within) : url_(url), within_(within) {
  constexpr std::string_view scheme = "http://";
  while (url_.ends_with('/')) url_.pop_back();
  const auto authority = url_.starts_with(scheme) ? std::string_view(url_).substr(scheme.size()) : std::string_view{};
  const auto bracket = authority.find(']');  // [::1]:9090
  const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  host_ = authority.substr(0, colon);
  port_ = colon == std::string_view::npos ? "80" : authority.substr(colon + 1);
  if (host_.size() > 2 && host_.front() == '[' && host_.back() == ']') host_ = host_.substr(1, host_.size() - 2);
  const bool is_number = !port_.empty() && port_.size() <= 5 && port_.find_first_not_of("0123456789") == port_.npos;
  if (host_.empty() || !is_number || authority.find_first_of("/?#@ ") != std::string_view::npos) {
    throw UsageError(
        fmt::format("'{}' is not the address of a server: write http://host:port, such as "
                    "http://127.0.0.1:9090",
                    url));
  }
}

HttpAnswer HttpClient::request(std::string_view method, std::string_view target, std::string body) const {
  http::request<http::string_body> request;
  request.version(11);
  request.method_string({method.data(), method.size()});
  request.target({target.data(), target.size()});
  request.set(http::field::host, url_.substr(std::string_view("http://").size()));
  request.set(http::field::connection, "close");
  if (!body.empty()) request.set(http::field::content_type, "application/json");
  request.body() = std::move(body);
  request.prepare_payload();

  asio::io_context io{1};
  error_code error;
  const auto endpoints = asio::ip::tcp::resolver(io).resolve(host_, port_, error);
  if (error) throw std::runtime_error(fmt::format("cannot find the host of {}: {}", url_, error.message()));
  Exchange exchange(io, std::move(request));
  exchange.start(endpoints, within_);
  io.run();
  if (exchange.error() == beast::error::timeout) {
    throw std::runtime_error(fmt::format("{} did not answer within {} s", url_, within_.count() / 1000));
  }
  if (exchange.error()) {
    throw std::runtime_error(fmt::format("no wsr server answers at {}: {}", url_, exchange.error().message()));
  }
  return exchange.answer();
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                          c == '.' || c == '_' || c == '~';
    if (is_plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace wsr::cli
