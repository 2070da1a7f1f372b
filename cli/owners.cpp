#include "cli/owners.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/options.hpp"
#include "cli/terminal.hpp"

namespace wsr::cli {
namespace {

using Json = nlohmann::ordered_json;
using Verb = OwnersOptions::Verb;

constexpr std::uint32_t page_rows = 1'000;  // the most one request brings

std::string local_time(StoreTime time) {
  using namespace std::chrono;
  const auto when = static_cast<std::time_t>(duration_cast<seconds>(time.time_since_epoch()).count());
  std::tm local{};
  std::string text(32, '\0');
  if (::localtime_r(&when, &local) == nullptr) return "?";
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local));
  return text;
}

std::string connection_of(const OwnerRow& row) { return fmt::format("{}/{:x}", row.at.shard, row.at.conn.value); }

Json json_of(const OwnerRow& row) {
  return {{"client", row.client.view()},
          {"server", row.at.server.view()},
          {"connection", row.at.str()},
          {"epoch", row.epoch.value},
          {"since_us", row.claimed_at.time_since_epoch().count()}};
}

Json json_of(const std::vector<OwnerRow>& rows) {
  Json list = Json::array();
  for (const auto& row : rows) list.push_back(json_of(row));
  return list;
}

void print(const Json& json) { std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n'; }

std::string owner_table(const std::vector<OwnerRow>& rows) {
  std::vector<std::vector<std::string>> lines{{"CLIENT", "SERVER", "CONNECTION", "EPOCH", "SINCE"}};
  for (const auto& row : rows) {
    lines.push_back({shown(row.client.view()), row.at.server.str(), connection_of(row), std::to_string(row.epoch.value),
                     local_time(row.claimed_at)});
  }
  return table(lines);
}

/// Every row. A row that comes twice (a client may move while the pages are read) is kept once.
std::vector<OwnerRow> all_rows(FabricClient& fabric) {
  std::map<std::pair<ClientId, Attachment>, OwnerRow> rows;
  std::string cursor = "0";
  do {
    auto page = fabric.page(cursor, page_rows);
    for (auto& row : page.rows) rows.insert_or_assign({row.client, row.at}, row);
    cursor = std::move(page.cursor);
  } while (cursor != "0");
  std::vector<OwnerRow> sorted;
  sorted.reserve(rows.size());
  for (auto& [key, row] : rows) sorted.push_back(std::move(row));
  return sorted;
}

ExitCode list(FabricClient& fabric, const OwnersOptions& options) {
  OwnerPage page;
  const bool is_paged = options.count > 0 || !options.cursor.empty();
  if (is_paged) {
    page = fabric.page(options.cursor.empty() ? "0" : options.cursor, options.count > 0 ? options.count : page_rows);
  } else {
    page.rows = all_rows(fabric);
    page.cursor = "0";
  }
  if (options.json) {
    print({{"owners", json_of(page.rows)}, {"cursor", page.cursor}});
    return ExitCode::ok;
  }
  std::cout << owner_table(page.rows);
  if (page.cursor != "0") std::cout << "more: --cursor " << page.cursor << '\n';
  return ExitCode::ok;
}

ExitCode offline(const OwnersOptions& options) {
  if (options.json) {
    print({{"client", options.client}, {"owners", Json::array()}});
  } else {
    std::cout << "offline\n";
  }
  return ExitCode::offline;
}

ExitCode get(FabricClient& fabric, const OwnersOptions& options, const ClientId& client) {
  const auto rows = fabric.lookup(client);
  if (rows.empty()) return offline(options);
  if (options.json) {
    print({{"client", client.view()}, {"owners", json_of(rows)}});
  } else {
    std::cout << owner_table(rows);
  }
  return ExitCode::ok;
}

ExitCode kick(FabricClient& fabric, const OwnersOptions& options, const ClientId& client) {
  const auto kicked = fabric.kick(client);
  if (options.json) {
    print({{"client", client.view()}, {"kicked", kicked}});
  } else if (kicked == 0) {
    std::cout << "offline\n";
  } else {
    std::cout << fmt::format("closed {} connection{} of {}\n", kicked, kicked == 1 ? "" : "s", shown(client.view()));
  }
  return kicked == 0 ? ExitCode::offline : ExitCode::ok;
}

ExitCode count(FabricClient& fabric, const OwnersOptions& options) {
  std::uint64_t online = 0;
  for (const auto& [server, held] : fabric.counts().by_server) online += held;
  if (options.json) {
    print({{"online", online}});
  } else {
    std::cout << online << '\n';
  }
  return ExitCode::ok;
}

ExitCode by_server(FabricClient& fabric, const OwnersOptions& options) {
  const auto counts = fabric.counts();
  Json json = Json::object();
  std::vector<std::vector<std::string>> lines{{"SERVER", "ONLINE"}};
  for (const auto& [server, held] : counts.by_server) {
    json[server.str()] = held;
    lines.push_back({server.str(), std::to_string(held)});
  }
  if (options.json) {
    print(json);
  } else {
    std::cout << table(lines);
  }
  return ExitCode::ok;
}

ExitCode servers(FabricClient& fabric, const OwnersOptions& options) {
  using std::chrono::milliseconds;
  const auto servers = fabric.servers();
  Json json = Json::array();
  std::vector<std::vector<std::string>> lines{
      {"SERVER", "URL", "VERSION", "BUS", "CONNECTIONS", "SHARDS", "LEASE", "RENEWED"}};
  for (const auto& row : servers.rows) {
    const auto age = std::chrono::duration_cast<milliseconds>(servers.now - row.renewed_at).count();
    const auto* lease = row.lease == ServerRow::Lease::held ? "held" : "expired";
    json.push_back({{"server", row.server.view()},
                    {"url", row.info.url},
                    {"connections", row.info.connections},
                    {"shards", row.info.shards},
                    {"version", row.info.version},
                    {"bus_version", row.info.bus_version},
                    {"lease", lease},
                    {"lease_ms", row.info.lease.count()},
                    {"renewed_ms_ago", age}});
    lines.push_back({row.server.str(), shown(row.info.url), shown(row.info.version),
                     row.info.bus_version == 0 ? "-" : std::to_string(row.info.bus_version),
                     std::to_string(row.info.connections), std::to_string(row.info.shards), lease,
                     fmt::format("{:.1f} s ago", double(age) / 1000)});
  }
  if (options.json) {
    print(json);
  } else {
    std::cout << table(lines);
  }
  return ExitCode::ok;
}

ExitCode watch(FabricClient& fabric, const OwnersOptions& options, const Interruption& interruption) {
  auto before = all_rows(fabric);
  if (options.json) {
    print({{"owners", json_of(before)}});
  } else {
    std::cout << owner_table(before);
  }
  std::cout << std::flush;
  while (!interruption.is_asked_within(options.every)) {
    auto after = all_rows(fabric);
    if (options.json) {
      if (!changes(before, after).empty()) print({{"owners", json_of(after)}});
    } else {
      for (const auto& line : changes(before, after)) std::cout << line << '\n';
    }
    std::cout << std::flush;
    before = std::move(after);
  }
  return ExitCode::ok;
}

}  // namespace

std::vector<std::string> changes(const std::vector<OwnerRow>& before, const std::vector<OwnerRow>& after) {
  using Rows = std::map<ClientId, std::set<Attachment>>;
  const auto by_client = [](const std::vector<OwnerRow>& rows) {
    Rows found;
    for (const auto& row : rows) found[row.client].insert(row.at);
    return found;
  };
  auto was = by_client(before);
  auto is = by_client(after);
  std::vector<std::string> lines;
  std::set<ClientId> clients;
  for (const auto& [client, at] : was) clients.insert(client);
  for (const auto& [client, at] : is) clients.insert(client);
  for (const auto& client : clients) {
    std::vector<Attachment> gone, come;
    std::set_difference(was[client].begin(), was[client].end(), is[client].begin(), is[client].end(),
                        std::back_inserter(gone));
    std::set_difference(is[client].begin(), is[client].end(), was[client].begin(), was[client].end(),
                        std::back_inserter(come));
    const auto name = shown(client.view());
    const auto moved = std::min(gone.size(), come.size());
    for (std::size_t i = 0; i < moved; ++i)
      lines.push_back(fmt::format("~ {}  {} -> {}", name, gone[i].str(), come[i].str()));
    for (std::size_t i = moved; i < gone.size(); ++i) lines.push_back(fmt::format("- {}  {}", name, gone[i].str()));
    for (std::size_t i = moved; i < come.size(); ++i) lines.push_back(fmt::format("+ {}  {}", name, come[i].str()));
  }
  return lines;
}

CLI::App* add_owners(CLI::App& app, OwnersOptions& options) {
  auto* command = app.add_subcommand("owners", "See who is connected where, and close connections");
  command->footer("Exit code: 0 ok, 3 the client of get or kick is offline, 2 usage, 1 anything else.");
  command->require_subcommand(0, 1);
  with_environment(command->add_flag("--json", options.json, "Print JSON"));
  with_environment(command->add_option("--count", options.count, "Rows per page (default: all rows)"))
      ->check(CLI::Range(1u, page_rows).description(""))
      ->type_name(fmt::format("1..{}", page_rows));
  with_environment(command->add_option("--cursor", options.cursor, "Where the previous page ended"));
  add_fabric_options(*command, options.fabric);

  const auto verb = [&](const std::string& name, const std::string& what, Verb value) {
    auto* sub = command->add_subcommand(name, what)->fallthrough();
    sub->parse_complete_callback([&options, value] { options.verb = value; });
    return sub;
  };
  const auto client_verb = [&](const std::string& name, const std::string& what, Verb value) {
    verb(name, what, value)->add_option("client", options.client, "The client's name")->required()->type_name("CLIENT");
  };
  client_verb("get", "The rows of one client", Verb::get);
  verb("count", "How many client connections the fabric holds now", Verb::count);
  verb("by-server", "How many client connections each server holds now", Verb::by_server);
  verb("servers", "The servers, their leases, and what each reported when it last renewed", Verb::servers)
      ->footer(
          "CONNECTIONS is as of the server's last renewal (RENEWED; every third of --lease), and counts every open\n"
          "WebSocket, including those of wsr room watch and /echo. by-server counts client connections as of now.");
  auto* watching = verb("watch", "Print changes until Ctrl-C: + came, - went, ~ moved", Verb::watch);
  add_duration(*watching, "--every", options.every, "How often to look");
  client_verb("kick", "Close every connection of a client (1008)", Verb::kick);
  return command;
}

ExitCode run_owners(const OwnersOptions& options) {
  ClientId client;
  if (options.verb == Verb::get || options.verb == Verb::kick) {
    auto parsed = ClientId::parse(options.client);
    if (!parsed) throw UsageError(parsed.error().message);
    client = *parsed;
  }
  if (options.verb == Verb::watch) {
    if (options.every < std::chrono::milliseconds(50)) throw UsageError("--every must be at least 50ms");
    const Interruption interruption;  // before the fabric, whose threads inherit the mask
    const auto fabric = find_fabric(options.fabric);
    return watch(*fabric, options, interruption);
  }
  const auto fabric = find_fabric(options.fabric);
  switch (options.verb) {
    case Verb::get:
      return get(*fabric, options, client);
    case Verb::kick:
      return kick(*fabric, options, client);
    case Verb::count:
      return count(*fabric, options);
    case Verb::by_server:
      return by_server(*fabric, options);
    case Verb::servers:
      return servers(*fabric, options);
    case Verb::list:
    case Verb::watch:
      break;
  }
  return list(*fabric, options);
}

}  // namespace wsr::cli
