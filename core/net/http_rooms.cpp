#include "core/net/http_rooms.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace wsr::net {
namespace {

using http::answer;
using http::answering;
using http::bad_request;
using http::Json;
using http::method_not_allowed;
using http::on_method;
using http::Reply;
using http::store_refusal;
using http::Target;

HttpResponse refused(Errc result, std::string_view detail) {
  const bool is_store = is_store_failure(result);
  if (is_store && detail.empty()) return store_refusal(result);
  return http::refusal(http::status_of(result), to_string(result), detail);
}

HttpResponse rate_limited(const RoomPushed& pushed) {
  const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(pushed.retry_after).count();
  auto response =
      answer({{"error", {{"code", to_string(pushed.result)}, {"message", pushed.detail}, {"retry_after_ms", wait_ms}}}},
             http::status_of(pushed.result));
  response.retry_after = std::chrono::ceil<std::chrono::seconds>(pushed.retry_after);
  return response;
}

// ---------------------------------------------------------------- the routes

void list(Services& services, http::Turnstile& listings, const Target& target, const Reply& reply) {
  const auto query = http::read_page(target);
  if (const auto* wrong = std::get_if<HttpResponse>(&query)) return reply(*wrong);
  listings.enter(
      [&services, page = std::get<http::PageQuery>(query)](const Reply& r) {
        services.rooms(page.cursor, page.count, answering<RoomPage>(r, [](const RoomPage& found) {
                         if (found.result != Errc::ok) return store_refusal(found.result);
                         Json rooms = Json::array();
                         for (const auto& [room, size] : found.rooms)
                           rooms.push_back({{"room", room.view()}, {"size", size}});
                         return answer({{"rooms", std::move(rooms)}, {"cursor", found.cursor}});
                       }));
      },
      reply);
}

void describe(Services& services, const RoomName& room, const Reply& reply) {
  services.room_info(
      room, answering<RoomInfo>(reply, [room](const RoomInfo& info) {
        if (info.result != Errc::ok) return store_refusal(info.result);
        Json servers = Json::array();
        for (const auto& [server, connections] : info.servers) {
          servers.push_back({{"server", server.view()}, {"connections", connections}});
        }
        return answer(
            {{"room", room.view()}, {"size", info.size}, {"version", info.version}, {"servers", std::move(servers)}});
      }));
}

void push(Services& services, const RoomName& room, const HttpRequest& request, const Reply& reply) {
  auto body = http::read_body(request, {"data", "from", "echo"});
  if (body.error) return reply(std::move(*body.error));
  const auto data = body.find("data");
  if (!data) return reply(bad_request("\"data\" is missing: any JSON value, forwarded byte for byte"));
  ClientId from;
  if (const auto given = body.find("from")) {
    auto client = http::client_of(*given, "from");
    if (!client) return reply(bad_request(client.error().message));
    from = std::move(*client);
  }
  Echo echo = Echo::yes;
  if (const auto given = body.find("echo")) {
    if (*given != "true" && *given != "false") return reply(bad_request("\"echo\" must be true or false"));
    if (*given == "false") echo = Echo::no;
  }
  if (echo == Echo::no && from.is_empty()) {
    return reply(bad_request("\"echo\": false leaves the sender out, so it needs \"from\""));
  }
  services.push(
      room, from, *data, echo, answering<RoomPushed>(reply, [room](const RoomPushed& pushed) {
        if (pushed.result == Errc::rate_limited) return rate_limited(pushed);
        if (pushed.result != Errc::ok) return refused(pushed.result, pushed.detail);
        Json result = {{"room", room.view()}, {"servers", pushed.servers}, {"connections", pushed.connections}};
        if (pushed.unknown != 0) result["unknown"] = pushed.unknown;
        return answer(result);
      }));
}

void list_members(Services& services, http::Turnstile& listings, const RoomName& room, const Target& target,
                  const Reply& reply) {
  const auto query = http::read_page(target);
  if (const auto* wrong = std::get_if<HttpResponse>(&query)) return reply(*wrong);
  listings.enter(
      [&services, room, page = std::get<http::PageQuery>(query)](const Reply& r) {
        services.room_members(room, page.cursor, page.count, answering<RosterPage>(r, [room](const RosterPage& found) {
                                if (found.result != Errc::ok) return store_refusal(found.result);
                                Json members = Json::array();
                                for (const ClientId& member : found.members) members.push_back(member.view());
                                return answer({{"room", room.view()},
                                               {"members", std::move(members)},
                                               {"cursor", found.cursor},
                                               {"size", found.size},
                                               {"version", found.version}});
                              }));
      },
      reply);
}

std::function<void(RoomDone)> done(const RoomName& room, const ClientId& client, const Reply& reply) {
  return answering<RoomDone>(reply, [room, client](const RoomDone& ended) {
    if (ended.result != Errc::ok) return refused(ended.result, ended.detail);
    return answer({{"room", room.view()}, {"client", client.view()}, {"size", ended.size}, {"version", ended.version}});
  });
}

void on_member(Services& services, const HttpRequest& request, const RoomName& room, const ClientId& client,
               const Reply& reply) {
  if (request.method == "POST") {
    // Nothing is read from the body; its type is asked for all the same.
    if (auto wrong = http::refused_type(request)) return reply(std::move(*wrong));
    return services.join(room, client, done(room, client, reply));
  }
  if (request.method == "DELETE") return services.leave(room, client, done(room, client, reply));
  if (request.method != "GET") return reply(method_not_allowed(request.method, "GET, HEAD, POST, DELETE"));
  services.room_member(
      room, client, answering<RoomInfo>(reply, [room, client](const RoomInfo& info) {
        if (info.result != Errc::ok) return store_refusal(info.result);
        return answer({{"room", room.view()}, {"client", client.view()}, {"is_member", info.size != 0}});
      }));
}

/// The pieces of a path behind /api/rooms/, still percent-encoded.
std::vector<std::string_view> pieces_of(std::string_view path) {
  std::vector<std::string_view> pieces;
  while (true) {
    const auto slash = path.find('/');
    pieces.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return pieces;
    path.remove_prefix(slash + 1);
  }
}

template <class Name>
Result<Name> name_of(std::string_view piece) {
  const auto decoded = http::percent_decoded(piece, http::Plus::is_plus);
  if (decoded) return Name::parse(*decoded);
  return Error{Errc::bad_request, "the path holds a % that is not followed by two hexadecimal digits"};
}

}  // namespace

void handle_rooms(Services& services, http::Turnstile& listings, const HttpRequest& request, const http::Target& target,
                  const Reply& reply) {
  static constexpr std::string_view root = "/api/rooms";
  if (target.path == root) {
    return on_method(request, "GET", reply, [&](const Reply& r) { list(services, listings, target, r); });
  }
  const auto pieces = pieces_of(target.path.substr(root.size() + 1));
  const auto room = name_of<RoomName>(pieces[0]);
  if (!room) return reply(bad_request(room.error().message));
  if (pieces.size() == 1) {
    return on_method(request, "GET", reply, [&](const Reply& r) { describe(services, *room, r); });
  }
  if (pieces.size() == 2 && pieces[1] == "push") {
    return on_method(request, "POST", reply, [&](const Reply& r) { push(services, *room, request, r); });
  }
  if (pieces.size() == 2 && pieces[1] == "members") {
    return on_method(request, "GET", reply,
                     [&](const Reply& r) { list_members(services, listings, *room, target, r); });
  }
  if (pieces.size() == 3 && pieces[1] == "members") {
    const auto client = name_of<ClientId>(pieces[2]);
    if (!client) return reply(bad_request(client.error().message));
    return on_member(services, request, *room, *client, reply);
  }
  reply(http::refusal(404, "not_found",
                      "below /api/rooms/ROOM are: push, members, members/CLIENT, and watch as a WebSocket"));
}

}  // namespace wsr::net
