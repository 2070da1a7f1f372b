#include "cli/http_fabric.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "cli/http_client.hpp"
#include "cli/ws_watch.hpp"
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
      server.info = {
          row.at("url").get<std::string>(),      row.at("connections").get<std::uint64_t>(),
          row.at("shards").get<std::uint32_t>(), row.value("bus_version", std::uint32_t{0}),
          row.value("version", std::string()),   std::chrono::milliseconds(row.value("lease_ms", std::int64_t{0}))};
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

  RoomPage rooms(std::string_view cursor, std::uint32_t count) override {
    const auto answer = ask("GET", fmt::format("/api/rooms?cursor={}&count={}", percent_encoded(cursor), count));
    RoomPage page;
    for (const auto& row : answer.at("rooms")) {
      page.rooms.emplace_back(RoomName::trusted(row.at("room").get<std::string>()),
                              row.at("size").get<std::uint64_t>());
    }
    page.cursor = answer.at("cursor").get<std::string>();
    return page;
  }

  RoomInfo room_info(const RoomName& room) override {
    const auto answer = ask("GET", path_of(room));
    RoomInfo info{Errc::ok, answer.at("size").get<std::uint64_t>(), answer.at("version").get<std::uint64_t>(), {}};
    for (const auto& row : answer.at("servers")) {
      info.servers.emplace_back(ServerId::trusted(row.at("server").get<std::string>()),
                                row.at("connections").get<std::uint64_t>());
    }
    return info;
  }

  RosterPage room_members(const RoomName& room, std::string_view cursor, std::uint32_t count) override {
    const auto answer =
        ask("GET", fmt::format("{}/members?cursor={}&count={}", path_of(room), percent_encoded(cursor), count));
    RosterPage page;
    for (const auto& member : answer.at("members"))
      page.members.push_back(ClientId::trusted(member.get<std::string>()));
    page.cursor = answer.at("cursor").get<std::string>();
    page.size = answer.at("size").get<std::uint64_t>();
    page.version = answer.at("version").get<std::uint64_t>();
    return page;
  }

  bool is_member(const RoomName& room, const ClientId& client) override {
    return ask("GET", path_of(room, client)).at("is_member").get<bool>();
  }
  RoomDone join(const RoomName& room, const ClientId& client) override {
    return room_done(request("POST", path_of(room, client), "{}"));  // without a body it would have no type
  }
  RoomDone leave(const RoomName& room, const ClientId& client) override {
    return room_done(request("DELETE", path_of(room, client)));
  }

  RoomPushed push(const RoomName& room, const ClientId& from, std::string_view data, Echo echo) override {
    std::string body = "{";
    if (!from.is_empty()) {
      body += "\"from\":";
      append_json_string(body, from.view());
      body += ',';
    }
    if (echo == Echo::no) body += "\"echo\":false,";
    body.append("\"data\":").append(data).append("}");
    const auto answer = request("POST", path_of(room) + "/push", std::move(body));
    RoomPushed pushed;
    if (answer.status == 200) {
      pushed.servers = answer.body.at("servers").get<std::uint64_t>();
      pushed.connections = answer.body.at("connections").get<std::uint64_t>();
      pushed.unknown = answer.body.value("unknown", std::uint64_t{0});
      return pushed;
    }
    pushed.result = answer_errc(answer);
    pushed.detail = answer.message();
    pushed.retry_after = std::chrono::milliseconds(answer.body.at("error").value("retry_after_ms", std::int64_t{0}));
    return pushed;
  }

  void watch(const RoomName& room, const std::function<void(std::string_view)>& on_frame,
             const Interruption& interruption) override {
    watch_websocket(http_, path_of(room) + "/watch", on_frame, interruption);
  }

private:
  struct Answered {
    unsigned status = 0;
    json body;
    [[nodiscard]] json error() const { return body.is_object() ? body.value("error", json::object()) : json::object(); }
    [[nodiscard]] std::string message() const { return error().value("message", ""); }
  };

  /// What a command treats as an answer; everything else ends it.
  Errc answer_errc(const Answered& answer) const {
    const auto code = answer.error().value("code", "");
    for (const auto errc : {Errc::offline, Errc::not_found, Errc::capacity, Errc::forbidden, Errc::rate_limited,
                            Errc::too_big, Errc::conflict}) {
      if (to_string(errc) == code) return errc;
    }
    complain(answer);
  }

  RoomDone room_done(const Answered& answer) const {
    if (answer.status != 200) return {answer_errc(answer), 0, 0, answer.message()};
    return {Errc::ok, answer.body.at("size").get<std::uint64_t>(), answer.body.at("version").get<std::uint64_t>(), {}};
  }

  enum class Missing : std::uint8_t { is_error, is_null };

  static std::string path_of(const RoomName& room) { return "/api/rooms/" + percent_encoded(room.view()); }
  static std::string path_of(const RoomName& room, const ClientId& client) {
    return path_of(room) + "/members/" + percent_encoded(client.view());
  }

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
    const auto answer = request(method, target, std::move(body));
    if (answer.status == 200 && answer.body.is_object()) return answer.body;
    if (answer.status == 404 && missing == Missing::is_null && answer.error().value("code", "") == "offline") return {};
    complain(answer);
  }

  Answered request(std::string_view method, std::string_view target, std::string body = {}) {
    const auto answer = http_.request(method, target, std::move(body));
    return {answer.status, json::parse(answer.body, nullptr, false)};
  }

  [[noreturn]] void complain(const Answered& answer) const {
    const auto message = answer.message();
    if (message.empty()) {
      throw std::runtime_error(fmt::format("{} answered {}, and not as a wsr server does", http_.url(), answer.status));
    }
    throw std::runtime_error(fmt::format("{} answered {}: {}", http_.url(), answer.status, message));
  }

  HttpClient http_;
};

}  // namespace

std::unique_ptr<FabricClient> make_http_fabric(std::string_view url) { return std::make_unique<HttpFabric>(url); }

}  // namespace wsr::cli
