#include "cli/owners.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace wsr;
using namespace wsr::cli;

namespace {

OwnerRow row(std::string_view client, std::string_view server, std::uint64_t conn) {
  return {ClientId::trusted(client), {ServerId::trusted(server), 0, ConnId{conn}}, Epoch{1}, {}};
}

OwnersOptions parsed(std::vector<std::string> args) {
  CLI::App app;
  OwnersOptions options;
  add_owners(app, options);
  args.insert(args.begin(), "owners");
  std::reverse(args.begin(), args.end());
  app.parse(args);
  return options;
}

}  // namespace

TEST_CASE("changes are who came, who went and who moved") {
  const auto a1 = row("alice", "web-1~a", 1), a2 = row("alice", "web-2~b", 2), b = row("bob", "web-1~a", 3);
  CHECK(changes({}, {a1}) == std::vector<std::string>{"+ alice  " + a1.at.str()});
  CHECK(changes({a1}, {}) == std::vector<std::string>{"- alice  " + a1.at.str()});
  CHECK(changes({a1, b}, {a2, b}) == std::vector<std::string>{"~ alice  " + a1.at.str() + " -> " + a2.at.str()});
  CHECK(changes({a1}, {a1, a2}) == std::vector<std::string>{"+ alice  " + a2.at.str()});
  CHECK(changes({a1, b}, {a1, b}).empty());
}

TEST_CASE("a client's name cannot steer the terminal that shows it") {
  CHECK(changes({}, {row("a\x1b[2J", "web-1~a", 1)}).at(0).find('\x1b') == std::string::npos);
}

TEST_CASE("a table's columns are as wide as their widest cell") {
  CHECK(table({{"A", "B"}, {"long", "x"}, {"é", "y"}}) == "A     B\nlong  x\né     y\n");
}

TEST_CASE("the verbs of owners and their options, before the verb or after it") {
  using Verb = OwnersOptions::Verb;
  CHECK(parsed({}).verb == Verb::list);
  CHECK(parsed({"--json", "--count", "5"}).count == 5);
  CHECK(parsed({"get", "alice"}).verb == Verb::get);
  CHECK(parsed({"get", "alice"}).client == "alice");
  CHECK(parsed({"kick", "alice", "--json"}).json);
  CHECK(parsed({"by-server"}).verb == Verb::by_server);
  CHECK(parsed({"servers", "--server", "http://127.0.0.1:1"}).fabric.server == "http://127.0.0.1:1");
  CHECK(parsed({"watch", "--every", "200ms"}).every == std::chrono::milliseconds(200));
  CHECK_THROWS_AS(parsed({"get"}), CLI::ParseError);
  CHECK_THROWS_AS(parsed({"nothing"}), CLI::ParseError);
  CHECK_THROWS_AS(parsed({"--count", "0"}), CLI::ParseError);
}
