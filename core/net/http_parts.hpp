// Parts that the routes of the HTTP API share: answers, the request's target and body.
//
// Internal to core/net: http_api.cpp and http_rooms.cpp. Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/net/http_api.hpp"

namespace wsr::net::http {

using Json = nlohmann::ordered_json;  // members in the order in which a reader wants them
using Reply = std::function<void(HttpResponse)>;

// ---------------------------------------------------------------- answers

[[nodiscard]] HttpResponse answer(const Json& body, unsigned status = 200);
/// {"error":{"code","message"}}
[[nodiscard]] HttpResponse refusal(unsigned status, std::string_view code, std::string_view message);
[[nodiscard]] HttpResponse bad_request(std::string_view message);
[[nodiscard]] HttpResponse method_not_allowed(std::string_view method, std::string allow);
[[nodiscard]] unsigned status_of(Errc code);
/// What the store said no to, as a sentence.
[[nodiscard]] HttpResponse store_refusal(Errc code);

// ---------------------------------------------------------------- the request's line

enum class Plus : std::uint8_t { is_plus, is_space };
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view text, Plus plus);

struct Target {
  std::string_view path;
  std::vector<std::pair<std::string, std::string>> query;
};

/// nullopt: a `%` that is not followed by two hexadecimal digits.
[[nodiscard]] std::optional<Target> parse_target(std::string_view text);

struct PageQuery {
  std::string cursor = "0";
  std::uint32_t count = 100;
};
/// cursor= and count= of a listing, or what is wrong with them.
[[nodiscard]] std::variant<PageQuery, HttpResponse> read_page(const Target& target);

/// Calls `then` if the method fits. HEAD comes here as GET: whoever writes the answer leaves its body out.
template <class Then>
void on_method(const HttpRequest& request, std::string_view wanted, const Reply& reply, Then&& then) {
  if (request.method == wanted) return then(reply);
  reply(method_not_allowed(request.method, wanted == "GET" ? "GET, HEAD" : std::string(wanted)));
}

// ---------------------------------------------------------------- the request's body

/// One member of a JSON object: its name and the value's bytes as they came.
struct Member {
  std::string_view name;
  std::string_view value;
};

/// The known members of a body, a handful; the first thing that is wrong with it is `error`.
struct Body {
  std::vector<Member> members;
  std::optional<HttpResponse> error;

  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const {
    for (const auto& member : members) {
      if (member.name == name) return member.value;
    }
    return std::nullopt;
  }
};

/// A refusal unless the request says that its body is JSON. Also a guard: a page of another origin cannot say so
/// without asking first (CORS preflight), so its form changes nothing here.
[[nodiscard]] std::optional<HttpResponse> refused_type(const HttpRequest& request);
/// Reads a JSON object; members other than `known`, members twice, and what no parser of values takes are errors.
/// `known` are literals.
[[nodiscard]] Body read_body(const HttpRequest& request, std::initializer_list<std::string_view> known);
/// `value`: a value of a body that read_body() took.
[[nodiscard]] Result<ClientId> client_of(std::string_view value, std::string_view what);
/// As much of a peer's text as fits into a sentence to it.
[[nodiscard]] std::string shortened(std::string_view text);

// ---------------------------------------------------------------- later answers

/// Lets a few listings of a shard begin at a time; the others wait. A page is large and the store answers many of them
/// in one turn: what a stranger asks for must not all lie in memory at once.
class Turnstile : public std::enable_shared_from_this<Turnstile> {
public:
  static constexpr std::size_t inside_max = 16;
  /// Calls `start` now or later; the reply it is given must be called once.
  void enter(std::function<void(const Reply&)> start, const Reply& reply);
  [[nodiscard]] std::size_t inside() const { return inside_; }

private:
  void begin(const std::function<void(const Reply&)>& start, const Reply& reply);
  void leave();
  std::size_t inside_ = 0;
  std::deque<std::pair<std::function<void(const Reply&)>, Reply>> waiting_;  // at most one a socket
};

/// What is answered where something failed that nobody foresaw: 500.
[[nodiscard]] HttpResponse failure_answer();

/// The callback for a service: `make` turns what it says into an answer, and whatever goes wrong there becomes a 500
/// of this one request.
template <class T, class Make>
[[nodiscard]] std::function<void(T)> answering(const Reply& reply, Make make) {
  return [reply, make = std::move(make)](const T& said) {
    HttpResponse response;
    try {
      response = make(said);
    } catch (...) {
      response = failure_answer();
    }
    reply(std::move(response));
  };
}

}  // namespace wsr::net::http
