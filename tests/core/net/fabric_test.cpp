#include "core/net/fabric.hpp"

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "core/net/memory_backend.hpp"

using namespace wsr;
using namespace wsr::net;
using namespace std::chrono_literals;

namespace {

/// Runs the loop until `is_done`, or fails after five seconds.
template <class Predicate>
void run_until(boost::asio::io_context& io, Predicate is_done) {
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (!is_done()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    io.run_one_for(10ms);
  }
}

FabricOptions named(const char* name, KeeperOptions::Role role = KeeperOptions::Role::server) {
  FabricOptions options;
  options.id = ServerId::make(name, "a1").value();
  options.role = role;
  return options;
}

/// Fabrics of one process on one store: a small cluster.
struct Cluster {
  boost::asio::io_context io{1};
  BackendFactory store = memory_backend({});
  std::unique_ptr<Fabric> join(const char* name, KeeperOptions::Role role = KeeperOptions::Role::server) {
    auto fabric = std::make_unique<Fabric>(io, named(name, role), store);
    bool is_ready = false;
    fabric->start([&] { is_ready = true; });
    run_until(io, [&] { return is_ready; });
    return fabric;
  }
  void leave(Fabric& fabric) {
    bool is_stopped = false;
    fabric.stop([&] { is_stopped = true; });
    run_until(io, [&] { return is_stopped; });
  }
};

}  // namespace

TEST_CASE("a message reaches a client that another fabric owns, and its word comes back") {
  Cluster cluster;
  auto one = cluster.join("one");
  auto two = cluster.join("two");
  std::string heard;
  REQUIRE(two->own(ClientId::trusted("bob"), [&](std::string_view data) { heard = data; }, {}).has_value());
  std::optional<Sent> sent;
  one->send_to_client(ClientId::trusted("ada"), ClientId::trusted("bob"), R"({"a": 1})", [&](Sent s) { sent = s; });
  run_until(cluster.io, [&] { return sent.has_value(); });
  CHECK(sent->word == Word::delivered);
  CHECK(sent->server == two->self());
  CHECK(heard == R"({"a": 1})");
  cluster.leave(*one);
  cluster.leave(*two);
}

TEST_CASE("a guest sends and hears the word, and owns nobody") {
  Cluster cluster;
  auto server = cluster.join("server");
  auto guest = cluster.join("guest", KeeperOptions::Role::guest);
  std::string heard;
  REQUIRE(server->own(ClientId::trusted("bob"), [&](std::string_view data) { heard = data; }, {}).has_value());
  CHECK(guest->own(ClientId::trusted("x"), {}, {}).error().code == Errc::forbidden);
  std::optional<Sent> delivered, offline;
  guest->send_to_client({}, ClientId::trusted("bob"), "1", [&](Sent s) { delivered = s; });
  guest->send_to_client({}, ClientId::trusted("nobody"), "1", [&](Sent s) { offline = s; });
  run_until(cluster.io, [&] { return delivered && offline; });
  CHECK(delivered->word == Word::delivered);
  CHECK(offline->word == Word::offline);
  CHECK(heard == "1");
  cluster.leave(*guest);
  cluster.leave(*server);
}

TEST_CASE("a newer owner elsewhere ends the older one as replaced - a release ends without a word") {
  Cluster cluster;
  auto one = cluster.join("one");
  auto two = cluster.join("two");
  std::optional<CloseCode> closed;
  bool is_other_closed = false;
  const auto ada = ClientId::trusted("ada");
  REQUIRE(one->own(ada, {}, [&](CloseCode code, std::string_view) { closed = code; }).has_value());
  std::optional<Owners> owners;
  const auto look = [&] {
    owners.reset();
    one->lookup(ada, [&](Owners found) { owners = std::move(found); });
    run_until(cluster.io, [&] { return owners.has_value(); });
    return owners->rows.size();
  };
  run_until(cluster.io, [&] { return look() == 1; });
  const auto conn = two->own(ada, {}, [&](CloseCode, std::string_view) { is_other_closed = true; });
  run_until(cluster.io, [&] { return closed.has_value(); });
  CHECK(*closed == CloseCode::replaced);
  REQUIRE(look() == 1);
  CHECK(owners->rows[0].at.server == two->self());
  two->release(*conn);
  run_until(cluster.io, [&] { return look() == 0; });
  CHECK_FALSE(is_other_closed);
  cluster.leave(*one);
  cluster.leave(*two);
}

TEST_CASE("a broadcast reaches every subscriber, exact and by pattern, until it unsubscribes") {
  Cluster cluster;
  auto one = cluster.join("one");
  auto two = cluster.join("two");
  int standing = 0;
  std::vector<std::string> heard;
  const auto listen = [&](std::string_view channel, std::string_view payload) {
    heard.push_back(std::string(channel) + "=" + std::string(payload));
  };
  const auto stands = [&](Errc result) { standing += result == Errc::ok ? 1 : 0; };
  (void)one->subscribe("news", Match::exact, listen, stands);
  const auto pattern = two->subscribe("n*", Match::pattern, listen, stands);
  run_until(cluster.io, [&] { return standing == 2; });
  std::optional<Published> published;
  const auto say = [&] {
    published.reset();
    heard.clear();
    one->broadcast("news", "x", [&](Published p) { published = p; });
  };
  say();
  run_until(cluster.io, [&] { return published && heard.size() == 2; });
  CHECK(published->receivers == 2);
  two->unsubscribe(pattern);
  say();
  run_until(cluster.io, [&] { return published.has_value(); });
  run_until(cluster.io, [&] { return heard.size() == 1; });
  cluster.leave(*one);
  cluster.leave(*two);
}

TEST_CASE("who is online is counted by server, and a server that leaves takes its clients with it") {
  Cluster cluster;
  auto one = cluster.join("one");
  auto two = cluster.join("two");
  for (const char* name : {"a", "b", "c"}) REQUIRE(two->own(ClientId::trusted(name), {}, {}).has_value());
  std::uint64_t online = 0;
  const auto count = [&] {
    bool is_answered = false;
    one->online_count([&](Errc, std::uint64_t n) { online = n, is_answered = true; });
    run_until(cluster.io, [&] { return is_answered; });
    return online;
  };
  run_until(cluster.io, [&] { return count() == 3; });
  cluster.leave(*two);
  CHECK(count() == 0);
  std::optional<Servers> servers;
  one->servers([&](Servers found) { servers = std::move(found); });
  run_until(cluster.io, [&] { return servers.has_value(); });
  CHECK(servers->rows.size() == 1);
  cluster.leave(*one);
}

TEST_CASE("a fabric may go while its loop lives on") {
  boost::asio::io_context io{1};
  auto fabric = std::make_unique<Fabric>(io, named("one"), memory_backend({}));
  fabric->start([] {});
  (void)fabric->own(ClientId::trusted("ada"), {}, {});
  io.poll_one();
  fabric.reset();
  io.run_for(20ms);
}
