#include "core/net/http_reader.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace wsr::net;
using Event = HttpReader::Event;

namespace {

struct Outcome {
  unsigned status = 0;  // 0: done; 1: more is needed
  std::string body;
  std::size_t consumed = 0;
};

/// Reads `stream` in pieces of `piece` bytes, up to the end of the first request.
Outcome read(HttpReader& reader, std::string_view stream, std::size_t piece) {
  std::size_t at = 0;
  for (;;) {
    const auto step = reader.next(stream.substr(at, piece));
    at += step.consumed;
    if (step.event == Event::failed) return {reader.failure().status, {}, at};
    if (step.event == Event::done) return {0, std::string(reader.body()), at};
    if (step.event == Event::need_more && at == stream.size()) return {1, {}, at};
  }
}

/// The status of a request, however its bytes are cut.
unsigned status(std::string_view stream, HttpBounds bounds = {}) {
  std::vector<Outcome> outcomes;
  for (const std::size_t piece : {std::string_view::npos, std::size_t{1}, std::size_t{7}}) {
    HttpReader reader(bounds);
    outcomes.push_back(read(reader, stream, piece));
    CHECK(outcomes.back().status == outcomes.front().status);
    CHECK(outcomes.back().body == outcomes.front().body);
  }
  return outcomes.front().status;
}

std::string request(std::string_view fields, std::string_view body = {}) {
  return "POST /api/send HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) + "\r\n" + std::string(body);
}
std::string chunked(std::string_view body) { return request("Transfer-Encoding: chunked\r\n", body); }

}  // namespace

TEST_CASE("a request says its method, target, host, lists and body") {
  const std::string stream =
      "POST /a%20b?c=d HTTP/1.1\r\nhost:\t Chat.Example:80 \r\nContent-Length: 5\r\nContent-Type: a/b\r\n"
      "Connection: keep-alive\r\nX: y\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhelloGET";
  HttpReader reader({});
  REQUIRE(reader.next(stream).event == Event::head);
  CHECK(reader.method() == "POST");
  CHECK(reader.target() == "/a%20b?c=d");
  CHECK(reader.host() == "Chat.Example:80");
  CHECK(reader.content_type() == "a/b");
  CHECK(reader.connection() == "keep-alive, Upgrade");
  CHECK(reader.upgrade() == "websocket");
  CHECK(reader.keeps_alive());
  HttpReader again({});
  const auto outcome = read(again, stream, 3);
  CHECK(outcome.status == 0);
  CHECK(outcome.body == "hello");
  CHECK(stream.substr(outcome.consumed) == "GET");
}

TEST_CASE("a chunked body is joined, its extensions and trailers are read over") {
  HttpReader reader({});
  const auto outcome =
      read(reader, chunked("3\r\nabc\r\n00A ; name=\"v\"\r\n0123456789\r\n0\r\nX-Trailer: yes\r\n\r\nrest"), 1);
  CHECK(outcome.status == 0);
  CHECK(outcome.body == "abc0123456789");
  CHECK(status(chunked("0\r\n\r\n")) == 0);
}

TEST_CASE("where a request ends is never a matter of opinion") {
  const std::vector<std::pair<std::string, unsigned>> cases{
      {request("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400},
      {request("Content-Length: 3, 3\r\n", "abc"), 400},
      {request("Content-Length: +3\r\n", "abc"), 400},
      {request("Content-Length: -3\r\n", "abc"), 400},
      {request("Content-Length: 0x3\r\n", "abc"), 400},
      {request("Content-Length: 3 3\r\n", "abc"), 400},
      {request("Content-Length:\r\n"), 400},
      {request("Content-Length: 99999999999999999999999\r\n"), 413},
      {request("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {request("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), 400},
      {request("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {request("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400},
      {request("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), 400},
      {request("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
      {request("Transfer-Encoding: identity\r\n"), 400},
      {request("Transfer-Encoding: xchunked\r\n"), 400},
      {request("Transfer-Encoding:\r\n"), 400},
      {request("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400},
      {request("Transfer-Encoding: \x0b"
               "chunked\r\n",
               "0\r\n\r\n"),
       400},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {request("X: a\r\n b\r\n"), 400},
      {"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n", 400},
      {request("X: a\rContent-Length: 3\r\n"), 400},
      {request("X: a\nContent-Length: 3\r\n"), 400},
      {request(std::string("X: a\0b\r\n", 8)), 400},
      {request(": empty\r\n"), 400},
      {request("no colon\r\n"), 400},
      {"GET / HTTP/1.1\nHost: localhost\n\n", 400},
      {chunked("3\nabc\r\n0\r\n\r\n"), 400},
      {chunked("3\r\nabcd\r\n0\r\n\r\n"), 400},
      {chunked("3\r\nabc\n0\r\n\r\n"), 400},
      {chunked("\r\n"), 400},
      {chunked("-1\r\n"), 400},
      {chunked("0x3\r\nabc\r\n0\r\n\r\n"), 400},
      {chunked("3 3\r\nabc\r\n0\r\n\r\n"), 400},
      {chunked("00000000000000003\r\nabc\r\n0\r\n\r\n"), 400},
      {chunked("ffffffffffffffff\r\n"), 413},
      {chunked("3;a=\nb\r\nabc\r\n0\r\n\r\n"), 400},
      {chunked("0\r\n folded: x\r\n\r\n"), 400},
      {chunked("0\r\nX: a\rb\r\n\r\n"), 400},
  };
  for (const auto& [stream, expected] : cases) {
    INFO(stream);
    CHECK(status(stream) == expected);
  }
}

TEST_CASE("a request has exactly one Host, which is a host") {
  const auto with = [](std::string_view fields) { return "GET / HTTP/1.1\r\n" + std::string(fields) + "\r\n"; };
  for (const std::string good : {"localhost", "LOCALHOST:80", "127.0.0.1:9090", "[::1]", "[::1]:9090", "a_b-c.d"}) {
    INFO(good);
    CHECK(status(with("Host: " + good + "\r\n")) == 0);
  }
  for (const std::string bad : {"", "a b", "a,b", "a/b", "user@a", "a:b", "a:99999", "a:123456", "[::1", "[]", "::1",
                                "[x]", "a:80:90", "http://a", "a\\b", "a\x80"}) {
    INFO(bad);
    CHECK(status(with("Host: " + bad + "\r\n")) == 400);
  }
  CHECK(status(with("")) == 400);
  CHECK(status(with("Host: a\r\nHost: a\r\n")) == 400);
  CHECK(status(with("Host: a\r\nhOST: b\r\n")) == 400);
  CHECK(status("GET / HTTP/1.0\r\n\r\n") == 0);
  HttpReader absolute({});
  const std::string_view stream = "GET HTTP://one.example:80/x HTTP/1.1\r\nHost: two.example\r\n\r\n";
  REQUIRE(absolute.next(stream).event == Event::head);
  CHECK(absolute.host() == "one.example:80");
  CHECK(absolute.target() == "/x");
}

TEST_CASE("a request line is a method, a target and a version of HTTP/1") {
  const auto line = [](std::string_view text) { return status(std::string(text) + "\r\nHost: a\r\n\r\n"); };
  CHECK(line("OPTIONS * HTTP/1.1") == 0);
  CHECK(line("\r\nGET / HTTP/1.1") == 0);
  for (const char* bad :
       {"\r\n\r\nGET / HTTP/1.1", "GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET / http/1.1", "G(T / HTTP/1.1",
        "GET x HTTP/1.1", "GET * HTTP/1.1", "GET /a#b HTTP/1.1", "GET /\x01 HTTP/1.1", "GET http:///x HTTP/1.1",
        "GET http://a HTTP/1.1", "GET\t/ HTTP/1.1", " GET / HTTP/1.1"}) {
    INFO(bad);
    CHECK(line(bad) == 400);
  }
  CHECK(line("GET / HTTP/2.0") == 505);
}

TEST_CASE("keep-alive is the version's default, and the Connection list may say otherwise") {
  const auto keeps = [](std::string_view version, std::string_view fields) {
    HttpReader reader({});
    const auto stream = "GET / HTTP/" + std::string(version) + "\r\nHost: a\r\n" + std::string(fields) + "\r\n";
    REQUIRE(reader.next(stream).event == Event::head);
    return reader.keeps_alive();
  };
  CHECK(keeps("1.1", ""));
  CHECK_FALSE(keeps("1.1", "Connection: foo, Close\r\n"));
  CHECK_FALSE(keeps("1.0", ""));
  CHECK(keeps("1.0", "Connection: Keep-Alive\r\n"));
}

TEST_CASE("head, body, extensions and trailers are bounded, whatever is announced and however it comes") {
  const HttpBounds bounds{1'024, 4'096};
  CHECK(status("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(2'000, 'x'), bounds) == 431);
  CHECK(status(std::string(2'000, 'x'), bounds) == 431);
  CHECK(status(request("Content-Length: 4097\r\n"), bounds) == 413);
  CHECK(status(request("Content-Length: 4096\r\n", std::string(4'096, 'b')), bounds) == 0);
  CHECK(status(chunked("1001\r\n"), bounds) == 413);
  CHECK(status(chunked("800\r\n" + std::string(2'048, 'b') + "\r\n801\r\n"), bounds) == 413);
  CHECK(status(chunked("1;" + std::string(2'000, 'e')), bounds) == 431);
  CHECK(status(chunked("0\r\n" + std::string(2'000, 't')), bounds) == 431);
  std::string small, trailers = "0\r\n";
  for (int i = 0; i < 200; ++i) {
    small += "1;ext=ension\r\nb\r\n";
    trailers += "X-A: b\r\n";
  }
  CHECK(status(chunked(small), bounds) == 431);
  CHECK(status(chunked(trailers), bounds) == 431);
  std::string plain;
  for (int i = 0; i < 4'096; ++i) plain += "1\r\nb\r\n";
  CHECK(status(chunked(plain + "0\r\n\r\n"), bounds) == 0);  // many chunks are no burden: nothing of them is kept
}

TEST_CASE("a reader holds what has come and never what was announced") {
  HttpReader reader(HttpBounds{16 * 1'024, 1 << 20});
  const auto head = request("Content-Length: 1000000\r\n");
  REQUIRE(reader.next(head).event == Event::head);
  CHECK(reader.held_bytes() < 1'024);
  const std::string part(10'000, 'x');
  REQUIRE(reader.next(part).event == Event::need_more);
  CHECK(reader.held_bytes() < 16 * 1'024);
  HttpReader extension({});
  REQUIRE(extension.next(chunked("")).event == Event::head);
  REQUIRE(extension.next("1;").event == Event::need_more);
  for (int i = 0; i < 1'000 && extension.next(std::string(1'000, 'e')).event == Event::need_more; ++i) {
    REQUIRE(extension.held_bytes() < 1'024);
  }
  CHECK(extension.failure().status == 431);
}
