#include "tests/support/http_client.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <stdexcept>

namespace wsr::test {

namespace asio = boost::asio;
namespace beast = boost::beast;

HttpAnswer http(std::uint16_t port, std::string_view method, std::string_view target, std::string_view body,
                std::string_view content_type, milliseconds within) {
  asio::io_context io;
  beast::tcp_stream stream(io);
  stream.expires_after(within);

  beast::http::request<beast::http::string_body> request;
  request.method_string({method.data(), method.size()});
  request.target({target.data(), target.size()});
  request.version(11);
  request.set(beast::http::field::host, fmt::format("127.0.0.1:{}", port));
  request.set(beast::http::field::connection, "close");
  if (!body.empty()) request.set(beast::http::field::content_type, {content_type.data(), content_type.size()});
  request.body() = body;
  request.prepare_payload();

  beast::flat_buffer buffer;
  beast::http::response_parser<beast::http::string_body> parser;
  parser.body_limit(64 * 1024 * 1024);
  if (method == "HEAD") parser.skip(true);
  beast::error_code failed;
  const char* step = "connect";
  stream.async_connect({asio::ip::address_v4::loopback(), port}, [&](beast::error_code ec) {
    failed = ec;
    if (ec) return;
    step = "write";
    beast::http::async_write(stream, request, [&](beast::error_code wrote, std::size_t) {
      failed = wrote;
      if (wrote) return;
      step = "read";
      beast::http::async_read(stream, buffer, parser, [&](beast::error_code read, std::size_t) { failed = read; });
    });
  });
  io.run();
  if (failed) {
    throw std::runtime_error(
        fmt::format("{} {} on port {}: {} failed: {}", method, target, port, step, failed.message()));
  }
  auto response = parser.release();
  const auto allow = response[beast::http::field::allow];
  return {response.result_int(), std::move(response.body()), std::string(allow.data(), allow.size())};
}

}  // namespace wsr::test
