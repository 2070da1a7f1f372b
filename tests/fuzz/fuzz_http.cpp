// Requests of the HTTP API as bytes, from the socket's end of the reader to the head of the answer: whatever comes,
// each request that is read gets one answer that is HTTP and JSON, none is a 500, and nothing that reaches a service
// is anything but valid. How the bytes are cut does not matter, and where another parser (Beast's) accepts a request,
// both agree about what it is and where it ends.
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/net/http_api.hpp"
#include "core/net/http_reader.hpp"
#include "core/net/http_writer.hpp"
#include "core/net/origin.hpp"
#include "core/net/own_hosts.hpp"
#include "core/net/upgrade.hpp"
#include "core/wire/client_protocol.hpp"
#include "core/wire/utf8.hpp"
#include "tests/core/net/fake_services.hpp"
#include "tests/fuzz/require.hpp"

using namespace wsr;
using namespace wsr::net;

namespace {

constexpr HttpBounds bounds{2'048, 4'096};
constexpr std::size_t requests_max = 16;  // of one connection

struct Read {
  std::string method, target, host, origin, content_type, connection, upgrade, ws_version, ws_key, ws_protocol, body;
  unsigned version = 0;
  bool keeps_alive = false;
  std::size_t end = 0;  // in the stream
  bool operator==(const Read&) const = default;
};
struct Outcome {
  std::vector<Read> requests;
  unsigned failed = 0;  // the status of what was refused behind them
  bool operator==(const Outcome&) const = default;
};

Read snapshot(const HttpReader& reader, std::size_t end) {
  const auto own = [](std::string_view text) { return std::string(text); };
  return {own(reader.method()),       own(reader.target()),
          own(reader.host()),         own(reader.origin()),
          own(reader.content_type()), own(reader.connection()),
          own(reader.upgrade()),      own(reader.ws_version()),
          own(reader.ws_key()),       own(reader.ws_protocol()),
          own(reader.body()),         reader.version(),
          reader.keeps_alive(),       end};
}

/// The stream in pieces of 1 to `piece_max` bytes.
Outcome read(std::string_view stream, std::size_t piece_max, unsigned seed) {
  Outcome outcome;
  std::size_t at = 0;
  HttpReader reader(bounds);
  while (at < stream.size() && outcome.requests.size() < requests_max) {
    seed = seed * 1'664'525 + 1'013'904'223;
    const auto piece = stream.substr(at, 1 + (seed >> 8) % piece_max);
    const auto step = reader.next(piece);
    WSR_REQUIRE(step.consumed <= piece.size());
    WSR_REQUIRE(reader.held_bytes() <= 2 * bounds.head_bytes_max + bounds.body_bytes_max + 256);
    at += step.consumed;
    switch (step.event) {
      case HttpReader::Event::need_more:
        WSR_REQUIRE(step.consumed == piece.size());
        continue;
      case HttpReader::Event::head:
        if (reader.next({}).event != HttpReader::Event::done) continue;
        [[fallthrough]];
      case HttpReader::Event::done:
        outcome.requests.push_back(snapshot(reader, at));
        if (!reader.keeps_alive()) return outcome;
        reader = HttpReader(bounds);
        continue;
      case HttpReader::Event::failed:
        outcome.failed = reader.failure().status;
        WSR_REQUIRE(outcome.failed >= 400 && outcome.failed < 600);
        WSR_REQUIRE(!reader.failure().message.empty());
        return outcome;
    }
  }
  return outcome;
}

/// What Beast accepts as the request that begins the stream is the same request.
void compare_with_beast(std::string_view stream, const Read& ours) {
  namespace http = boost::beast::http;
  http::request_parser<http::string_body> parser;
  parser.eager(true);
  parser.header_limit(static_cast<std::uint32_t>(bounds.head_bytes_max));
  parser.body_limit(bounds.body_bytes_max);
  boost::beast::error_code error;
  std::size_t used = 0;
  while (used < stream.size() && !parser.is_done()) {
    const auto step = parser.put(boost::asio::buffer(stream.data() + used, stream.size() - used), error);
    used += step;
    if (error || step == 0) break;
  }
  if (error || !parser.is_done()) return;
  const auto& theirs = parser.get();
  WSR_REQUIRE(std::string_view(theirs.method_string().data(), theirs.method_string().size()) == ours.method);
  WSR_REQUIRE(theirs.body() == ours.body);
  WSR_REQUIRE(used == ours.end);
  if (theirs.target().starts_with('/')) {
    WSR_REQUIRE(std::string_view(theirs.target().data(), theirs.target().size()) == ours.target);
  }
}

void check_head(const HttpResponse& response) {
  const auto head = http_head(response, Persistence::close);
  WSR_REQUIRE(head.starts_with("HTTP/1.1 ") && head.ends_with("\r\n\r\n"));
  WSR_REQUIRE(head.find("\r\n\r\n") == head.size() - 4);
  for (std::size_t i = 0; i < head.size(); ++i) {
    WSR_REQUIRE(head[i] != '\n' || (i > 0 && head[i - 1] == '\r'));
    WSR_REQUIRE(head[i] == '\r' || head[i] == '\n' || (head[i] >= 0x20 && head[i] < 0x7F));
  }
}

void check_told(const wsr::net::test::FakeServices& services) {
  for (const auto& told : services.told) {
    WSR_REQUIRE(is_plain_json_value(told.data));
    WSR_REQUIRE(is_utf8(told.from) && is_utf8(told.to) && !told.to.empty() && told.to.size() <= 256);
  }
  for (const auto* places : {&services.joined, &services.left}) {
    for (const auto& [room, client] : *places) {
      WSR_REQUIRE(RoomName::check(room).code == Errc::ok && ClientId::check(client).code == Errc::ok);
    }
  }
  WSR_REQUIRE(services.asked_count <= 1'000 && services.asked_cursor.size() <= 1'024);
}

void answer(const Read& request) {
  const UpgradeRequest wanted{.method = request.method,
                              .target = request.target,
                              .version = request.version,
                              .host = request.host,
                              .origin = is_utf8(request.origin) ? std::string_view(request.origin) : "null",
                              .connection = request.connection,
                              .upgrade = request.upgrade,
                              .ws_version = request.ws_version,
                              .ws_key = request.ws_key,
                              .ws_protocol = request.ws_protocol};
  static const std::vector<std::string> origins{"https://app.example"};
  static const OwnHosts hosts("127.0.0.1", "http://chat.example:9090", {"other.example"});
  const bool is_foreign = !request.host.empty() && !hosts.is_ours(request.host, "127.0.0.1");
  const UpgradeRules rules{.origins = origins, .own_port = 9090, .is_foreign_host = is_foreign, .has_echo = true};
  if (is_upgrade(wanted, rules)) {
    const auto decision = decide_upgrade(wanted, rules);
    if (const auto* refusal = std::get_if<Refusal>(&decision)) {
      WSR_REQUIRE(is_json_value(error_json(refusal->code, refusal->message)));
      WSR_REQUIRE(refusal->status >= 400 && refusal->status < 500);
    } else {
      const auto& upgrade = std::get<Upgrade>(decision);
      WSR_REQUIRE(!upgrade.client || ClientId::check(upgrade.client->view()).code == Errc::ok);
      WSR_REQUIRE(!is_foreign || !wanted.origin.empty());
    }
    return;
  }
  if (is_foreign) {
    const auto refusal = foreign_host(request.host);
    WSR_REQUIRE(is_json_value(error_json(refusal.code, refusal.message)));
  }
  wsr::net::test::FakeServices services;
  HttpApi api(services);
  int answers = 0;
  const bool is_head = request.method == "HEAD";
  api.handle({is_head ? "GET" : std::string_view(request.method), request.target, request.body, request.content_type},
             [&](const HttpResponse& response) {
               ++answers;
               WSR_REQUIRE(response.status >= 200 && response.status < 500);
               WSR_REQUIRE(is_json_value(response.body) && response.body.size() < 256 * 1'024);
               WSR_REQUIRE(response.status == 200 || response.body.starts_with(R"({"error":{"code":")"));
               check_head(response);
             });
  WSR_REQUIRE(answers == 1);
  check_told(services);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = read(stream, stream.size(), 1);
  WSR_REQUIRE(read(stream, 1 + data[0] % 40, data[0]) == whole);
  if (!whole.requests.empty() && !stream.starts_with("\r")) compare_with_beast(stream, whole.requests.front());
  for (const auto& request : whole.requests) answer(request);
  return 0;
}
