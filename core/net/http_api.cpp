// A request is parsed to its end before any service is called, so a bad one changes nothing.
#include "core/net/http_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "core/net/home_page.hpp"
#include "core/net/http_parts.hpp"
#include "core/net/http_rooms.hpp"
#include "core/net/version.hpp"
#include "core/wire/client_protocol.hpp"
#include "core/wire/close_code.hpp"
#include "core/wire/envelope.hpp"

namespace wsr::net {
namespace {

using http::answer;
using http::answering;
using http::bad_request;
using http::client_of;
using http::Json;
using http::method_not_allowed;
using http::on_method;
using http::PageQuery;
using http::percent_decoded;
using http::Plus;
using http::read_body;
using http::read_page;
using http::refusal;
using http::Reply;
using http::store_refusal;
using http::Target;
using std::chrono::steady_clock;

constexpr std::size_t recipients_max = 1'000;   // of one POST /api/send: one request cannot occupy a shard for long
constexpr std::size_t channel_bytes_max = 256;  // core/store/channel.hpp

std::string home_page;

HttpResponse offline(const ClientId& client) {
  return refusal(404, "offline", fmt::format("no server holds a connection of {}", client.view()));
}

/// 2026-01-31T23:59:59.123Z
std::string iso_time(StoreTime time) {
  using namespace std::chrono;
  const auto since = time.time_since_epoch();
  const auto whole = floor<seconds>(since);
  const auto seconds_count = static_cast<std::time_t>(whole.count());
  std::tm utc{};
  if (gmtime_r(&seconds_count, &utc) == nullptr) return {};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, duration_cast<milliseconds>(since - whole).count());
}

Json owner_json(const OwnerRow& row) {
  return {{"client", row.client.view()},       {"server", row.at.server.view()},
          {"connection", row.at.str()},        {"epoch", row.epoch.value},
          {"since", iso_time(row.claimed_at)}, {"since_us", row.claimed_at.time_since_epoch().count()}};
}

Json owners_json(const std::vector<OwnerRow>& rows) {
  Json list = Json::array();
  for (const auto& row : rows) list.push_back(owner_json(row));
  return list;
}

Json server_json(const ServerRow& row, StoreTime now) {
  using namespace std::chrono;
  return {{"server", row.server.view()},
          {"url", row.info.url},
          {"connections", row.info.connections},
          {"shards", row.info.shards},
          {"version", row.info.version},
          {"bus_version", row.info.bus_version},
          {"lease_ms", row.info.lease.count()},
          {"lease", row.lease == ServerRow::Lease::held ? "held" : "expired"},
          {"renewed_at", iso_time(row.renewed_at)},
          {"renewed_ms_ago", duration_cast<milliseconds>(now - row.renewed_at).count()}};
}

Json words_json(const WordCounts& counts) {
  Json words = Json::object();
  for (std::size_t i = 0; i < words_used; ++i) {
    const auto word = static_cast<Word>(i);
    const auto reason = reason_of(word);
    if (reason.empty()) {
      words[std::string(state_of(word))] = at(counts, word);
    } else {
      words[std::string(state_of(word))][std::string(reason)] = at(counts, word);
    }
  }
  return words;
}

Json keeper_json(const Keeper::Figures& f) {
  return {{"renewals", f.renewals},
          {"renewals_failed", f.renewals_failed},
          {"leases_lost", f.leases_lost},
          {"probes_sent", f.probes_sent},
          {"probes_heard", f.probes_heard},
          {"times_deaf", f.times_deaf},
          {"sweeps", f.sweeps},
          {"sweeps_lost", f.sweeps_lost},
          {"rows_swept", f.rows_swept},
          {"memberships_swept", f.memberships_swept},
          {"reassertions", f.reassertions}};
}

Json stats_json(const ServerId& self, const ServerStats& stats) {
  const auto ended = sum(stats.routing.words);
  Json body = {{"server", self.view()},
               {"version", version()},
               {"uptime_seconds", stats.uptime_seconds},
               {"connections", stats.connections},
               {"memory_bytes", stats.memory_bytes},
               {"bytes_in", stats.bytes_in},
               {"bytes_out", stats.bytes_out},
               {"writes", stats.writes},
               {"http_requests", stats.http_requests},
               {"http_failures", stats.http_failures},
               {"upgrades_refused", stats.upgrades_refused},
               {"refused_per_address", stats.refused_per_address},
               {"refused_connections", stats.refused_connections},
               {"refused_memory", stats.refused_memory},
               {"accepts_paused", stats.accepts_paused},
               {"accepts_failed", stats.accepts_failed}};
  stats.routing.each([&](std::string_view name, std::uint64_t value) { body[std::string(name)] = value; });
  body["words"] = words_json(stats.routing.words);
  body["in_flight"] = stats.routing.sent > ended ? stats.routing.sent - ended : 0;
  body["keeper"] = keeper_json(stats.keeper);
  return body;
}

std::string_view light(Readiness::Light light) { return light == Readiness::Light::green ? "green" : "red"; }

HttpResponse readiness_answer(const Readiness& readiness) {
  Json body{{"ready", readiness.is_ready()},     {"store", light(readiness.store)},
            {"lease", light(readiness.lease)},   {"inbox", light(readiness.inbox)},
            {"draining", readiness.is_draining}, {"bus_version", light(readiness.bus_version)}};
  if (readiness.foreign_version != 0) {
    body["bus_version_spoken"] = batch_version;
    body["bus_version_heard"] = readiness.foreign_version;
  }
  return answer(body, readiness.is_ready() ? 200 : 503);
}

// ---------------------------------------------------------------- POST /api/send

struct SendOrder {
  ClientId from;
  std::vector<ClientId> to;
  std::string_view data;
  enum class Shape : std::uint8_t { one, list } shape = Shape::one;
  Wait wait = Wait::for_word;
};

std::variant<SendOrder, HttpResponse> read_send(const HttpRequest& request) {
  auto body = read_body(request, {"to", "data", "from", "wait"});
  if (body.error) return std::move(*body.error);
  SendOrder order;
  const auto to = body.find("to");
  const auto data = body.find("data");
  if (!to) return bad_request("\"to\" is missing: name the client, or several in an array");
  if (!data) return bad_request("\"data\" is missing: any JSON value, forwarded byte for byte");
  order.data = *data;
  if (const auto from = body.find("from")) {
    auto client = client_of(*from, "from");
    if (!client) return bad_request(client.error().message);
    order.from = std::move(*client);
  }
  if (const auto wait = body.find("wait")) {
    if (*wait != "true" && *wait != "false") return bad_request("\"wait\" must be true or false");
    order.wait = *wait == "true" ? Wait::for_word : Wait::not_at_all;
  }
  JsonWalk names(*to);
  if (names.kind() != JsonWalk::Kind::array) {
    auto client = client_of(*to, "to");
    if (!client) return bad_request(client.error().message);
    order.to.push_back(std::move(*client));
    return order;
  }
  order.shape = SendOrder::Shape::list;
  std::string_view none, name;
  while (names.next(none, name)) {
    if (order.to.size() == recipients_max) {
      return refusal(
          413, "too_big",
          fmt::format("\"to\" names more than {} clients, the most for one request: send several requests, or "
                      "broadcast on a channel",
                      recipients_max));
    }
    auto client = client_of(name, "to");
    if (!client) return bad_request(client.error().message);
    order.to.push_back(std::move(*client));
  }
  if (order.to.empty()) return bad_request("\"to\" names nobody");
  return order;
}

Json sent_json(const Sent& sent, steady_clock::duration took) {
  Json result = {{"state", state_of(sent.word)}};
  if (const auto reason = reason_of(sent.word); !reason.empty()) result["reason"] = reason;
  if (!sent.server.is_empty()) result["server"] = sent.server.view();
  result["ms"] = static_cast<double>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()) / 1000.0;
  return result;
}

/// Gathers the words of one request; answers when the last one is there.
struct Gathering {
  Reply reply;
  SendOrder::Shape shape = SendOrder::Shape::one;
  std::vector<Json> results;
  std::size_t missing = 0;

  template <class Make>
  void put(std::size_t index, Make make) {
    if (!reply) return;  // one of them could not be told: the request has failed
    HttpResponse response;
    try {
      results[index] = make();
      if (--missing > 0) return;
      response = answer(shape == SendOrder::Shape::one ? results.front() : Json{{"results", results}});
    } catch (...) {
      response = http::failure_answer();
    }
    std::exchange(reply, {})(std::move(response));
  }
};

void send(Services& services, const HttpRequest& request, Reply reply) {
  auto read = read_send(request);
  if (auto* wrong = std::get_if<HttpResponse>(&read)) return reply(std::move(*wrong));
  const auto& order = std::get<SendOrder>(read);
  auto gathering = std::make_shared<Gathering>();
  gathering->reply = std::move(reply);
  gathering->shape = order.shape;
  gathering->results.resize(order.to.size());
  gathering->missing = order.to.size();
  const auto begun = steady_clock::now();
  for (std::size_t i = 0; i < order.to.size(); ++i) {
    const auto named = [client = order.to[i], shape = order.shape](Json result) {
      if (shape == SendOrder::Shape::one) return result;
      Json with_name = {{"to", client.view()}};
      with_name.update(result);
      return with_name;
    };
    if (order.wait == Wait::not_at_all) {
      services.send(order.from, order.to[i], order.data, [](const Sent&) {});
      gathering->put(i, [&named] { return named({{"state", "accepted"}}); });
    } else {
      services.send(order.from, order.to[i], order.data, [gathering, named, i, begun](const Sent& sent) {
        gathering->put(i, [&] { return named(sent_json(sent, steady_clock::now() - begun)); });
      });
    }
  }
}

// ---------------------------------------------------------------- the other routes

void broadcast(Services& services, const HttpRequest& request, const Reply& reply) {
  auto body = read_body(request, {"channel", "data"});
  if (body.error) return reply(std::move(*body.error));
  const auto channel_bytes = body.find("channel");
  const auto data = body.find("data");
  if (!channel_bytes || !data) return reply(bad_request("\"channel\" and \"data\" are both needed"));
  const auto channel = json_string(*channel_bytes);
  if (!channel || channel->empty() || channel->size() > channel_bytes_max) {
    return reply(bad_request(fmt::format("\"channel\" must be a string of 1-{} bytes", channel_bytes_max)));
  }
  services.broadcast(*channel, *data, answering<Published>(reply, [](const Published& published) {
    if (published.result != Errc::ok) return store_refusal(published.result);
    return answer({{"receivers", published.receivers}});
  }));
}

void owners(Services& services, http::Turnstile& listings, const Target& target, const Reply& reply) {
  const auto query = read_page(target);
  if (const auto* wrong = std::get_if<HttpResponse>(&query)) return reply(*wrong);
  listings.enter(
      [&services, page = std::get<PageQuery>(query)](const Reply& r) {
        services.page(page.cursor, page.count, answering<OwnerPage>(r, [](const OwnerPage& found) {
                        if (found.result != Errc::ok) return store_refusal(found.result);
                        return answer({{"owners", owners_json(found.rows)}, {"cursor", found.cursor}});
                      }));
      },
      reply);
}

void owner(Services& services, const ClientId& client, const Reply& reply) {
  services.lookup(client, answering<Owners>(reply, [client](const Owners& owners) {
                    if (owners.result != Errc::ok) return store_refusal(owners.result);
                    if (owners.rows.empty()) return offline(client);
                    return answer({{"client", client.view()}, {"owners", owners_json(owners.rows)}});
                  }));
}

void kick(Services& services, const ClientId& client, const Reply& reply) {
  services.lookup(client, answering<Owners>(reply, [&services, client](const Owners& owners) {
                    if (owners.result != Errc::ok) return store_refusal(owners.result);
                    if (owners.rows.empty()) return offline(client);
                    for (const auto& row : owners.rows) {
                      services.kick(row.at, CloseCode::policy, "closed by an operator");
                    }
                    return answer({{"client", client.view()}, {"kicked", owners.rows.size()}});
                  }));
}

void counts(Services& services, const Reply& reply) {
  services.counts(answering<OwnerCounts>(reply, [](const OwnerCounts& counts) {
    if (counts.result != Errc::ok) return store_refusal(counts.result);
    Json by_server = Json::object();
    std::uint64_t online = 0;
    for (const auto& [server, held] : counts.by_server) {
      by_server[server.str()] = held;
      online += held;
    }
    return answer({{"online", online}, {"by_server", std::move(by_server)}});
  }));
}

void servers(Services& services, const Reply& reply) {
  services.servers(answering<Servers>(reply, [](const Servers& servers) {
    if (servers.result != Errc::ok) return store_refusal(servers.result);
    Json list = Json::array();
    for (const auto& row : servers.rows) list.push_back(server_json(row, servers.now));
    return answer({{"now", iso_time(servers.now)}, {"servers", std::move(list)}});
  }));
}

void stats(Services& services, const Reply& reply) {
  services.stats(answering<ServerStats>(
      reply, [self = services.self()](const ServerStats& figures) { return answer(stats_json(self, figures)); }));
}

HttpResponse page() {
  if (home_page.empty()) return refusal(404, "not_found", "no page here; see /api, /healthz and /readyz");
  HttpResponse response;
  response.content_type = "text/html; charset=utf-8";
  response.is_page = true;
  response.body = home_page;
  return response;
}

void on_owner_path(Services& services, const HttpRequest& request, std::string_view name, const Reply& reply) {
  const auto decoded = percent_decoded(name, Plus::is_plus);
  if (!decoded) return reply(bad_request("the path holds a % that is not followed by two hexadecimal digits"));
  const auto client = ClientId::parse(*decoded);
  if (!client) return reply(bad_request(client.error().message));
  if (request.method == "GET") return owner(services, *client, reply);
  if (request.method == "DELETE") return kick(services, *client, reply);
  reply(method_not_allowed(request.method, "GET, HEAD, DELETE"));
}

}  // namespace

void set_home_page(std::string html) { home_page = std::move(html); }

HttpApi::HttpApi(Services& services) : services_(services), listings_(std::make_shared<http::Turnstile>()) {}
HttpApi::~HttpApi() = default;

void HttpApi::handle(const HttpRequest& request, const std::function<void(HttpResponse)>& reply) {
  // The last catch: a request that nobody foresaw costs its own answer and nothing else.
  const auto is_told = std::make_shared<bool>(false);
  const Reply once = [is_told, reply](HttpResponse response) {
    if (!std::exchange(*is_told, true)) reply(std::move(response));
  };
  try {
    route(request, once);
  } catch (...) {
    once(http::failure_answer());
  }
}

void HttpApi::route(const HttpRequest& request, const std::function<void(HttpResponse)>& reply) {
  const auto target = http::parse_target(request.target);
  if (!target) return reply(bad_request("the query holds a % that is not followed by two hexadecimal digits"));
  const auto path = target->path;
  auto& s = services_;
  constexpr std::string_view owner_prefix = "/api/owners/";

  if (path == "/healthz") {
    return on_method(request, "GET", reply, [](const Reply& r) {
      r(answer({{"status", "ok"}, {"version", version()}}));
    });
  }
  if (path == "/readyz") {
    return on_method(request, "GET", reply, [&](const Reply& r) { r(readiness_answer(s.readiness())); });
  }
  if (path == "/api/send") {
    return on_method(request, "POST", reply, [&](const Reply& r) { send(s, request, r); });
  }
  if (path == "/api/broadcast") {
    return on_method(request, "POST", reply, [&](const Reply& r) { broadcast(s, request, r); });
  }
  if (path == "/api/owners") {
    return on_method(request, "GET", reply, [&](const Reply& r) { owners(s, *listings_, *target, r); });
  }
  if (path == "/api/count") {
    return on_method(request, "GET", reply, [&](const Reply& r) { counts(s, r); });
  }
  if (path == "/api/servers") {
    return on_method(request, "GET", reply, [&](const Reply& r) { servers(s, r); });
  }
  if (path == "/api/stats") {
    return on_method(request, "GET", reply, [&](const Reply& r) { stats(s, r); });
  }
  if (path == "/") {
    return on_method(request, "GET", reply, [](const Reply& r) { r(page()); });
  }
  if (path == "/api/rooms" || path.starts_with("/api/rooms/")) {
    return handle_rooms(s, *listings_, request, *target, reply);
  }
  if (path.starts_with(owner_prefix) && path.size() > owner_prefix.size() &&
      path.find('/', owner_prefix.size()) == std::string_view::npos) {
    return on_owner_path(s, request, path.substr(owner_prefix.size()), reply);
  }
  reply(
      refusal(404, "not_found",
              "nothing here; there are /chat (WebSocket), /api/send, /api/broadcast, /api/owners, /api/owners/CLIENT, "
              "/api/rooms, /api/count, /api/servers, /api/stats, /healthz, /readyz"));
}

}  // namespace wsr::net
