#include "cli/http_fabric.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "cli/http_client.hpp"
#include "core/wire/client_protocol.hpp"

namespace wsr::cli {
namespace {

using nlohmann::json;

constexpr std::size_t recipients_per_request = 1'000;  // what POST /api/send takes

StoreTime store_time(std::int64_t us) { return StoreTime(StoreTime::duration(us)); }

OwnerRow owner_row(const json& row) {
  const auto at = Attachment::parse(row.at("connection").get<std::string>());
  if (!at) throw std::runtime_error("the server's answer names a connection that cannot be read");
  return {ClientId::trusted(row.at("client").get<std::string>()), *at, Epoch{row.at("epoch").get<std::uint64_t>()},
          store_time(row.at("since_us").get<std::int64_t>())};
}

std::vector<OwnerRow> owner_rows(const json& rows) {
  std::vector<OwnerRow> found;
  for (const auto& row : rows) found.push_back(owner_row(row));
  return found;
}

SendResult send_result(const json& result, const ClientId& to) {
  return {to, result.at("state").get<std::string>(), result.value("reason", ""),
          ServerId::trusted(result.value("server", "")), result.value("ms", 0.0)};
}

class HttpFabric final : public FabricClient {
public:
  explicit HttpFabric(std::string_view url) : http_(url) {}

  std::vector<SendResult> send(const ClientId& from, const std::vector<ClientId>& to, std::string_view data,
                               Wait wait) override {
    std::vector<SendResult> results;
    for (std::size_t begin = 0; begin < to.size(); begin += recipients_per_request) {
      const auto end = std::min(begin + recipients_per_request, to.size());
      const auto answer = ask("POST", "/api/send", send_body(from, {to.begin() + begin, to.begin() + end}, data, wait));
      const auto& words = answer.at("results");
      for (std::size_t i = begin; i < end; ++i) results.push_back(send_result(words.at(i - begin), to[i]));
    }
    return results;
  }

  std::vector<OwnerRow> lookup(const ClientId& client) override {
    const auto answer = ask("GET", path_of(client), {}, Missing::is_null);
    return answer.is_null() ? std::vector<OwnerRow>{} : owner_rows(answer.at("owners"));
  }

  OwnerPage page(std::string_view cursor, std::uint32_t count) override {
    const auto answer = ask("GET", fmt::format("/api/owners?cursor={}&count={}", percent_encoded(cursor), count));
    return {Errc::ok, owner_rows(answer.at("owners")), answer.at("cursor").get<std::string>()};
  }

  OwnerCounts counts() override {
    const auto answer = ask("GET", "/api/count");
    OwnerCounts counts;
    for (const auto& [server, held] : answer.at("by_server").items()) {
      counts.by_server.emplace_back(ServerId::trusted(server), held.get<std::uint64_t>());
    }
    return counts;
  }

  Servers servers() override {
    const auto answer = ask("GET", "/api/servers");
    Servers servers;
    for (const auto& row : answer.at("servers")) {
      ServerRow server;
      server.server = ServerId::trusted(row.at("server").get<std::string>());
      server.info = {row.at("url").get<std::string>(), row.at("connections").get<std::uint64_t>(),
                     row.at("shards").get<std::uint32_t>()};
      server.lease = row.at("lease") == "held" ? ServerRow::Lease::held : ServerRow::Lease::expired;
      // Only the age crosses the wire exactly: the epoch of `now` does not matter to a reader.
      server.renewed_at = servers.now - std::chrono::milliseconds(row.at("renewed_ms_ago").get<std::int64_t>());
      servers.rows.push_back(std::move(server));
    }
    return servers;
  }

  std::uint64_t kick(const ClientId& client) override {
    const auto answer = ask("DELETE", path_of(client), {}, Missing::is_null);
    return answer.is_null() ? 0 : answer.at("kicked").get<std::uint64_t>();
  }

private:
  enum class Missing : std::uint8_t { is_error, is_null };

  static std::string path_of(const ClientId& client) { return "/api/owners/" + percent_encoded(client.view()); }

  /// Built by hand: `data` must arrive byte for byte.
  static std::string send_body(const ClientId& from, const std::vector<ClientId>& to, std::string_view data,
                               Wait wait) {
    std::string body = "{\"to\":[";
    for (const auto& client : to) {
      append_json_string(body, client.view());
      body += ',';
    }
    body.back() = ']';
    if (!from.is_empty()) {
      body += ",\"from\":";
      append_json_string(body, from.view());
    }
    if (wait == Wait::not_at_all) body += ",\"wait\":false";
    return body.append(",\"data\":").append(data).append("}");
  }

  json ask(std::string_view method, std::string_view target, std::string body = {},
           Missing missing = Missing::is_error) {
    const auto answer = http_.request(method, target, std::move(body));
    auto parsed = json::parse(answer.body, nullptr, false);
    if (answer.status == 200 && parsed.is_object()) return parsed;
    const auto error = parsed.is_object() ? parsed.value("error", json::object()) : json::object();
    if (answer.status == 404 && missing == Missing::is_null && error.value("code", "") == "offline") return {};
    const auto message = error.value("message", "");
    if (message.empty()) {
      throw std::runtime_error(fmt::format("{} answered {} and not as a wsr server does", http_.url(), answer.status));
    }
    throw std::runtime_error(fmt::format("{} answered {}: {}", http_.url(), answer.status, message));
  }

  HttpClient http_;
};

}  // namespace

std::unique_ptr<FabricClient> make_http_fabric(std::string_view url) { return std::make_unique<HttpFabric>(url); }

}  // namespace wsr::cli
