#include "cli/room.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"
#include "cli/payload.hpp"
#include "cli/terminal.hpp"

namespace wsr::cli {
namespace {

using Json = nlohmann::ordered_json;
using Verb = RoomOptions::Verb;

constexpr std::uint32_t page_rows = 1'000;  // the most one request brings

void print(const Json& json) {
  std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
}

RoomName room_named(const std::string& text) {
  auto room = RoomName::parse(text);
  if (!room) throw UsageError(room.error().message);
  return *room;
}

/// "1 member", "3 members".
std::string members_text(std::uint64_t size) { return fmt::format("{} member{}", size, size == 1 ? "" : "s"); }

bool is_paged(const RoomOptions& options) { return options.count > 0 || !options.cursor.empty(); }

ExitCode list(FabricClient& fabric, const RoomOptions& options) {
  RoomPage all;
  all.cursor = options.cursor.empty() ? "0" : options.cursor;
  do {
    auto page = fabric.rooms(all.cursor, options.count > 0 ? options.count : page_rows);
    for (auto& row : page.rooms) all.rooms.push_back(std::move(row));
    all.cursor = std::move(page.cursor);
  } while (!is_paged(options) && all.cursor != "0");
  if (options.json) {
    Json rooms = Json::array();
    for (const auto& [room, size] : all.rooms) rooms.push_back({{"room", room.view()}, {"size", size}});
    print({{"rooms", std::move(rooms)}, {"cursor", all.cursor}});
    return ExitCode::ok;
  }
  std::vector<std::vector<std::string>> lines{{"ROOM", "SIZE"}};
  for (const auto& [room, size] : all.rooms) lines.push_back({shown(room.view()), std::to_string(size)});
  std::cout << table(lines);
  if (all.cursor != "0") std::cout << "more: --page '" << shown(all.cursor) << "'\n";
  return ExitCode::ok;
}

ExitCode size(FabricClient& fabric, const RoomOptions& options, const RoomName& room) {
  const auto info = fabric.room_info(room);
  if (options.json) {
    Json servers = Json::object();
    for (const auto& [server, connections] : info.servers) servers[server.str()] = connections;
    print({{"room", room.view()}, {"size", info.size}, {"version", info.version}, {"servers", std::move(servers)}});
  } else {
    std::cout << info.size << '\n';
  }
  return info.size == 0 ? ExitCode::offline : ExitCode::ok;
}

ExitCode members(FabricClient& fabric, const RoomOptions& options, const RoomName& room) {
  RosterPage all;
  all.cursor = options.cursor.empty() ? "0" : options.cursor;
  do {
    auto page = fabric.room_members(room, all.cursor, options.count > 0 ? options.count : page_rows);
    for (auto& member : page.members) all.members.push_back(std::move(member));
    all.cursor = std::move(page.cursor);
    all.size = page.size;
    all.version = page.version;
  } while (!is_paged(options) && all.cursor != "0");
  if (options.json) {
    Json names = Json::array();
    for (const auto& member : all.members) names.push_back(member.view());
    print({{"room", room.view()},
           {"members", std::move(names)},
           {"cursor", all.cursor},
           {"size", all.size},
           {"version", all.version}});
  } else {
    for (const auto& member : all.members) std::cout << shown(member.view()) << '\n';
    if (all.cursor != "0") std::cout << "more: --page '" << shown(all.cursor) << "'\n";
  }
  return all.size == 0 ? ExitCode::offline : ExitCode::ok;
}

ExitCode is_member(FabricClient& fabric, const RoomOptions& options, const RoomName& room, const ClientId& client) {
  const bool is_there = fabric.is_member(room, client);
  if (options.json) {
    print({{"room", room.view()}, {"client", client.view()}, {"is_member", is_there}});
  } else {
    std::cout << (is_there ? "yes\n" : "no\n");
  }
  return is_there ? ExitCode::ok : ExitCode::offline;
}

ExitCode join_or_leave(FabricClient& fabric, const RoomOptions& options, const RoomName& room, const ClientId& client) {
  const bool is_join = options.verb == Verb::join;
  const auto done = is_join ? fabric.join(room, client) : fabric.leave(room, client);
  if (options.json) {
    Json json = {{"room", room.view()}, {"client", client.view()}, {"result", to_string(done.result)}};
    if (done.result == Errc::ok) {
      json["size"] = done.size;
      json["version"] = done.version;
    } else {
      json["message"] = done.detail;
    }
    print(json);
  } else if (done.result == Errc::ok) {
    std::cout << fmt::format("{} {} {} ({})\n", shown(client.view()), is_join ? "is in" : "left", shown(room.view()),
                             members_text(done.size));
  } else {
    std::cout << fmt::format("{}: {}\n", to_string(done.result), shown(done.detail));
  }
  return exit_code_of(done);
}

struct Message {
  ClientId from;
  std::string data;  // one JSON value
};

Message message_of(const RoomOptions& options) {
  Message message;
  if (!options.from.empty()) message.from = client_named(options.from, "--from");
  if (options.no_echo && message.from.is_empty()) {
    throw UsageError("--no-echo leaves the sender out, so it needs --from");
  }
  message.data = payload_of(text_of_word(options.text), options.raw ? TextIs::json : TextIs::text);
  return message;
}

ExitCode push(FabricClient& fabric, const RoomOptions& options, const RoomName& room, const Message& message) {
  const auto pushed = fabric.push(room, message.from, message.data, options.no_echo ? Echo::no : Echo::yes);
  if (options.json) {
    Json json = {{"room", room.view()}, {"result", to_string(pushed.result)}};
    if (pushed.result == Errc::ok) {
      json["servers"] = pushed.servers;
      json["connections"] = pushed.connections;
      if (pushed.unknown != 0) json["unknown"] = pushed.unknown;
    } else {
      json["message"] = pushed.detail;
      if (pushed.result == Errc::rate_limited) {
        json["retry_after_ms"] = std::chrono::ceil<std::chrono::milliseconds>(pushed.retry_after).count();
      }
    }
    print(json);
  } else {
    std::cout << describe(pushed) << '\n';
  }
  return exit_code_of(pushed);
}

ExitCode watch(FabricClient& fabric, const RoomOptions& options, const RoomName& room,
               const Interruption& interruption) {
  const auto show = [&options](std::string_view frame) {
    const std::string line = options.json ? one_line(frame) : describe_frame(frame);
    if (!line.empty()) std::cout << line << '\n' << std::flush;
  };
  fabric.watch(room, show, interruption);
  return ExitCode::ok;
}

}  // namespace

std::string one_line(std::string_view json) {
  std::string line(json);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line;
}

std::string describe_frame(std::string_view frame) try {
  const auto json = Json::parse(frame);
  const auto op = json.value("op", "");
  if (op == "room") {
    const auto from = json.value("from", "");
    const auto& data = json.at("data");
    const auto text =
        data.is_string() ? data.get<std::string>() : data.dump(-1, ' ', false, Json::error_handler_t::replace);
    return fmt::format("{}: {}", from.empty() ? "(nobody)" : shown(from), shown(text));
  }
  if (op == "presence") {
    const auto event = json.value("event", "");
    const auto size = json.value("size", std::uint64_t{0});
    if (event == "count") return "= " + members_text(size);
    return fmt::format("{} {} ({})", event == "join" ? "+" : "-", shown(json.value("client", "")), members_text(size));
  }
  if (op == "watching") return fmt::format("watching {}; press Ctrl-C to stop", shown(json.value("room", "")));
  if (op == "dropped") return fmt::format("! {} messages were missed: this reader is too slow", json.value("count", 0));
  return {};
} catch (const Json::exception&) {
  return {};  // of a server that speaks otherwise than this one
}

std::string describe(const RoomPushed& pushed) {
  if (pushed.result != Errc::ok) return fmt::format("{}: {}", to_string(pushed.result), shown(pushed.detail));
  const auto unknown =
      pushed.unknown == 0 ? std::string()
                          : fmt::format("; {} server{} did not answer", pushed.unknown, pushed.unknown == 1 ? "" : "s");
  if (pushed.connections == 0) return "nobody is there" + unknown;
  return fmt::format("pushed to {} connection{} on {} server{}{}", pushed.connections,
                     pushed.connections == 1 ? "" : "s", pushed.servers, pushed.servers == 1 ? "" : "s", unknown);
}

ExitCode exit_code_of(const RoomPushed& pushed) {
  if (pushed.result != Errc::ok) return ExitCode::dropped;
  if (pushed.unknown != 0) return ExitCode::unknown;
  return pushed.connections == 0 ? ExitCode::offline : ExitCode::ok;
}

ExitCode exit_code_of(const RoomDone& done) {
  if (done.result == Errc::ok) return ExitCode::ok;
  return done.result == Errc::offline || done.result == Errc::not_found ? ExitCode::offline : ExitCode::failure;
}

CLI::App* add_room(CLI::App& app, RoomOptions& options) {
  auto* command = app.add_subcommand("room", "See who is in a room, push into it, listen to it");
  command->footer(
      "Examples:\n"
      "  wsr room list                             the rooms that have members\n"
      "  wsr room push chat:room:42 \"hi\"           to everybody in the room\n"
      "  wsr room watch chat:room:42               messages, + who comes, - who goes\n"
      "  wsr room join chat:room:42 alice          wherever alice is connected\n\n"
      "Exit code: 0 done, 3 nobody is there, 4 a push was refused, 5 unknown, 2 usage, 1 anything else.");
  command->require_subcommand(0, 1);
  with_environment(command->add_flag("--json", options.json, "Print JSON"));
  add_fabric_options(*command, options.fabric);

  const auto verb = [&](const std::string& name, const std::string& what, Verb value) {
    auto* sub = command->add_subcommand(name, what)->fallthrough();
    sub->parse_complete_callback([&options, value] { options.verb = value; });
    return sub;
  };
  const auto room_verb = [&](const std::string& name, const std::string& what, Verb value) {
    auto* sub = verb(name, what, value);
    sub->add_option("room", options.room, "The room's name")->required()->type_name("ROOM");
    return sub;
  };
  const auto client_verb = [&](const std::string& name, const std::string& what, Verb value) {
    room_verb(name, what, value)
        ->add_option("client", options.client, "The client's name")
        ->required()
        ->type_name("CLIENT");
  };
  const auto paged = [&](CLI::App* sub) {
    with_environment(sub->add_option("--page", options.cursor, "Where the previous page ended"))->type_name("CURSOR");
    with_environment(sub->add_option("--count", options.count, "Rows per page (default: all rows)"))
        ->check(CLI::Range(1u, page_rows).description(""))
        ->type_name(fmt::format("1..{}", page_rows));
  };
  paged(verb("list", "The rooms that have members, with their sizes", Verb::list));
  room_verb("size", "How many clients are in a room", Verb::size);
  paged(room_verb("members", "The clients in a room, by name", Verb::members));
  client_verb("is-member", "Is this client in the room? yes (0) or no (3)", Verb::is_member);
  auto* pushing = room_verb("push", "Push a message to everybody in a room", Verb::push);
  pushing->add_option("text", options.text, "The text ('-': standard input)")
      ->required()
      ->type_name("TEXT")
      ->allow_extra_args(false);
  with_environment(pushing->add_option("--from", options.from, "Who the members see as sender (default: nobody)"))
      ->type_name("CLIENT");
  with_environment(pushing->add_flag("--no-echo", options.no_echo, "Do not deliver it to the sender"));
  with_environment(pushing->add_flag("--raw", options.raw, "The text is one JSON value: push it as it is"));
  room_verb("watch", "Print messages, + who comes and - who goes, until Ctrl-C", Verb::watch);
  client_verb("join", "Put a client into a room, wherever it is connected", Verb::join);
  client_verb("leave", "Take a client out of a room", Verb::leave);
  return command;
}

ExitCode run_room(const RoomOptions& options) {
  const bool has_room = options.verb != Verb::list;
  const bool has_client = options.verb == Verb::is_member || options.verb == Verb::join || options.verb == Verb::leave;
  const auto room = has_room ? room_named(options.room) : RoomName();
  const auto client = has_client ? client_named(options.client, "CLIENT") : ClientId();
  const auto message = options.verb == Verb::push ? message_of(options) : Message();
  if (options.verb == Verb::watch) {
    const Interruption interruption;  // before the fabric, whose threads inherit the mask
    const auto fabric = find_fabric(options.fabric);
    return watch(*fabric, options, room, interruption);
  }
  const auto fabric = find_fabric(options.fabric);
  switch (options.verb) {
    case Verb::size:
      return size(*fabric, options, room);
    case Verb::members:
      return members(*fabric, options, room);
    case Verb::is_member:
      return is_member(*fabric, options, room, client);
    case Verb::push:
      return push(*fabric, options, room, message);
    case Verb::join:
    case Verb::leave:
      return join_or_leave(*fabric, options, room, client);
    case Verb::list:
    case Verb::watch:
      break;
  }
  return list(*fabric, options);
}

}  // namespace wsr::cli
