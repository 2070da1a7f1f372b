#include "core/net/http_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <exception>

#include "core/wire/client_protocol.hpp"

namespace wsr::net::http {
namespace {

constexpr std::uint32_t page_count_max = 1'000;
constexpr std::size_t cursor_bytes_max = 1'024;
constexpr std::size_t quoted_bytes_max = 64;  // of a peer's own text in a sentence to it

bool is_json_type(std::string_view content_type) {
  auto type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  constexpr std::string_view json = "application/json";
  return std::equal(type.begin(), type.end(), json.begin(), json.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

}  // namespace

HttpResponse answer(const Json& body, unsigned status) {
  HttpResponse response;
  response.status = status;
  // A name that another program wrote into the store may hold anything: it must not end in an exception here.
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return response;
}

HttpResponse refusal(unsigned status, std::string_view code, std::string_view message) {
  return answer({{"error", {{"code", code}, {"message", message}}}}, status);
}

HttpResponse bad_request(std::string_view message) { return refusal(400, "bad_request", message); }

HttpResponse method_not_allowed(std::string_view method, std::string allow) {
  auto response =
      refusal(405, "method_not_allowed", fmt::format("{} is not allowed on this path: use {}", method, allow));
  response.allow = std::move(allow);
  return response;
}

unsigned status_of(Errc code) {
  switch (code) {
    case Errc::ok:
      return 200;
    case Errc::bad_request:
      return 400;
    case Errc::forbidden:
      return 403;
    case Errc::not_found:
    case Errc::offline:
      return 404;
    case Errc::rate_limited:
      return 429;
    case Errc::too_big:
      return 413;
    case Errc::superseded:
    case Errc::conflict:
      return 409;
    case Errc::capacity:
    case Errc::unavailable:
      return 503;
    case Errc::timeout:
      return 504;
    case Errc::internal:
      return 500;
  }
  return 500;
}

HttpResponse store_refusal(Errc code) {
  std::string_view sentence = "the store refused the request";
  if (code == Errc::unavailable) sentence = "the store cannot be reached now; try again, and see /readyz";
  if (code == Errc::timeout) sentence = "the store did not answer in time; try again, and see /readyz";
  if (code == Errc::bad_request) sentence = "the store did not understand the request: is the cursor from an answer?";
  return refusal(status_of(code), to_string(code), sentence);
}

std::optional<std::string> percent_decoded(std::string_view text, Plus plus) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      unsigned char byte = 0;
      const auto* digits = text.data() + i + 1;
      if (text.size() - i < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) return std::nullopt;
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += plus == Plus::is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::optional<Target> parse_target(std::string_view text) {
  Target target;
  const auto mark = text.find('?');
  target.path = text.substr(0, mark);
  auto rest = mark == std::string_view::npos ? std::string_view{} : text.substr(mark + 1);
  while (!rest.empty()) {
    const auto pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const auto equals = pair.find('=');
    auto name = percent_decoded(pair.substr(0, equals), Plus::is_space);
    auto value = percent_decoded(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1),
                                 Plus::is_space);
    if (!name || !value) return std::nullopt;
    target.query.emplace_back(std::move(*name), std::move(*value));
  }
  return target;
}

std::variant<PageQuery, HttpResponse> read_page(const Target& target) {
  PageQuery page;
  for (const auto& [name, value] : target.query) {
    if (name == "cursor" && !value.empty() && value.size() <= cursor_bytes_max) {
      page.cursor = value;
    } else if (name == "count") {
      const auto* end = value.data() + value.size();
      const auto [stopped, error] = std::from_chars(value.data(), end, page.count);
      if (error != std::errc{} || stopped != end || page.count < 1 || page.count > page_count_max) {
        return bad_request(fmt::format("count must be a number from 1 to {}", page_count_max));
      }
    } else {
      return bad_request("the query takes cursor= (from the previous answer) and count=");
    }
  }
  return page;
}

std::optional<HttpResponse> refused_type(const HttpRequest& request) {
  if (is_json_type(request.content_type)) return std::nullopt;
  return refusal(415, "unsupported_media_type", "send the body as Content-Type: application/json");
}

Body read_body(const HttpRequest& request, std::initializer_list<std::string_view> known) {
  Body body;
  body.error = refused_type(request);
  if (body.error) return body;
  if (!is_plain_json_value(request.body)) {
    body.error = bad_request(
        "the body is not one JSON value in UTF-8 (RFC 8259, at most 64 levels deep, no half of a surrogate pair, no "
        "number beyond a double)");
    return body;
  }
  JsonWalk walk(request.body);
  if (walk.kind() != JsonWalk::Kind::object) {
    body.error = bad_request("the body must be a JSON object");
    return body;
  }
  std::string_view spelled, value;
  while (walk.next(spelled, value)) {
    const auto name = json_string(spelled).value_or(std::string{});
    const auto* member = std::find(known.begin(), known.end(), name);
    if (member == known.end()) {
      body.error =
          bad_request(fmt::format("unknown member \"{}\"; known are: {}", shortened(name), fmt::join(known, ", ")));
      return body;
    }
    if (body.find(*member)) {
      body.error = bad_request(fmt::format("\"{}\" is given twice in the body", *member));
      return body;
    }
    body.members.push_back({*member, value});
  }
  return body;
}

std::string shortened(std::string_view text) {
  if (text.size() <= quoted_bytes_max) return std::string(text);
  std::size_t end = quoted_bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside of a character
  return std::string(text.substr(0, end)) + "...";
}

HttpResponse failure_answer() {
  auto response =
      refusal(500, "internal", "the server failed to handle this request; it may have been carried out in part");
  try {
    if (const auto thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    response.failure = error.what();
  } catch (...) {
    response.failure = "an exception that is not a std::exception";
  }
  return response;
}

void Turnstile::enter(std::function<void(const Reply&)> start, const Reply& reply) {
  if (inside_ < inside_max) {
    ++inside_;
    return begin(start, reply);
  }
  waiting_.emplace_back(std::move(start), reply);
}

void Turnstile::begin(const std::function<void(const Reply&)>& start, const Reply& reply) {
  const Reply counted = [self = shared_from_this(), reply](HttpResponse response) {
    reply(std::move(response));
    self->leave();
  };
  try {
    start(counted);
  } catch (...) {
    counted(failure_answer());
  }
}

void Turnstile::leave() {
  if (waiting_.empty()) {
    --inside_;
    return;
  }
  const auto next = std::move(waiting_.front());
  waiting_.pop_front();
  begin(next.first, next.second);
}

Result<ClientId> client_of(std::string_view value, std::string_view what) {
  const auto text = json_string(value);
  if (!text) return Error{Errc::bad_request, fmt::format("\"{}\" must be a client's name, as a string", what)};
  auto client = ClientId::parse(*text);
  if (!client) return Error{Errc::bad_request, fmt::format("\"{}\": {}", what, client.error().message)};
  return client;
}

}  // namespace wsr::net::http
