#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "cli/options.hpp"
#include "cli/serve.hpp"

using namespace wsr;
using namespace wsr::cli;
using std::chrono::milliseconds;

namespace {

ServeOptions parsed(std::vector<std::string> args) {
  CLI::App app;
  app.set_config("--config");
  app.config_formatter(make_config_reader(app));
  ServeOptions options;
  add_serve(app, options)->fallthrough();
  args.insert(args.begin(), "serve");
  std::reverse(args.begin(), args.end());
  app.parse(args);
  return options;
}

net::ServerOptions meant(std::vector<std::string> args) { return server_options(parsed(std::move(args))); }

struct Variable {
  const char* name;
  Variable(const char* variable, const char* value) : name(variable) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name); }
};

}  // namespace

TEST_CASE("without options a server has the documented defaults") {
  const auto options = meant({});
  CHECK(options.bind == "127.0.0.1");
  CHECK(options.port == 9090);
  CHECK(options.shards >= 1);
  CHECK(options.policy == SessionPolicy::single);
  CHECK(options.lease == milliseconds(6'000));
  CHECK(options.limits.message_bytes_max == 64 * 1024);
  CHECK(options.limits.outbox_bytes_max == 4 * 1024 * 1024);
  CHECK(options.limits.outboxes_bytes_max == 1'024u << 20);
  CHECK(options.limits.slow_policy == SlowPolicy::drop);
  CHECK(options.limits.rooms_per_client_max == 1'000);
  CHECK(options.limits.presence_events_max == 200);
  CHECK(options.limits.reconnect_grace == Duration{0});
  CHECK_FALSE(options.limits.client_rate.is_on());
  CHECK_FALSE(options.limits.room_rate.is_on());
  CHECK(options.limits.over_rate == Limits::OverRate::refuse);
  CHECK_FALSE(options.id.is_empty());
}

TEST_CASE("options reach the server") {
  const auto options = meant({"-p",
                              "0",
                              "--name",
                              "web-1",
                              "--shards",
                              "3",
                              "--sessions",
                              "multi",
                              "--devices-max",
                              "2",
                              "--lease",
                              "2s",
                              "--probe",
                              "100ms",
                              "--message-max",
                              "1KiB",
                              "--outbox-max",
                              "8KiB",
                              "--origin",
                              "https://a.example,https://b.example",
                              "--origin",
                              "https://c.example",
                              "--bus-key",
                              "k:0123456789abcdef",
                              "--echo",
                              "--drain",
                              "1s"});
  CHECK(options.port == 0);
  CHECK(options.id.name() == "web-1");
  CHECK(options.shards == 3);
  CHECK(options.policy == SessionPolicy::multi);
  CHECK(options.limits.devices_max == 2);
  CHECK(options.lease == milliseconds(2'000));
  CHECK(options.probe_every == milliseconds(100));
  CHECK(options.limits.message_bytes_max == 1024);
  CHECK(options.origins == std::vector<std::string>{"https://a.example", "https://b.example", "https://c.example"});
  CHECK(options.keys.keys.size() == 1);
  CHECK(options.echo);
}

TEST_CASE("options of rooms, rates and slow readers reach the server") {
  const auto options = meant({"--rooms-per-client-max", "7", "--presence-events-max", "0", "--reconnect-grace", "3s",
                              "--memory-max", "64MiB", "--slow-consumer", "keep_latest", "--client-rate", "20/1s",
                              "--client-burst", "5", "--room-rate", "600", "--over-rate", "close"});
  CHECK(options.limits.rooms_per_client_max == 7);
  CHECK(options.limits.presence_events_max == 0);
  CHECK(options.limits.reconnect_grace == std::chrono::seconds(3));
  CHECK(options.limits.outboxes_bytes_max == 64u << 20);
  CHECK(options.limits.slow_policy == SlowPolicy::keep_latest);
  CHECK(options.limits.client_rate == RateLimit{20, milliseconds(1'000), 5});
  CHECK(options.limits.client_rate.capacity() == 5);
  CHECK(options.limits.room_rate == RateLimit{600, milliseconds(60'000), 0});
  CHECK(options.limits.room_rate.capacity() == 600);
  CHECK(options.limits.over_rate == Limits::OverRate::close);
  CHECK(parsed({"--memberships-max", "9"}).memberships_max == 9u);
  CHECK_FALSE(parsed({}).memberships_max);
}

TEST_CASE("work has a price unless it is turned off, and a client can come into all its rooms at once") {
  const auto usual = meant({});
  for (const RateLimit& limit : {usual.limits.join_rate, usual.limits.leave_rate, usual.limits.members_rate,
                                 usual.connects.client, usual.connects.address, usual.connects.takeover}) {
    CHECK(limit.is_on());
  }
  CHECK(usual.limits.join_rate.capacity() >= 2 * usual.limits.rooms_per_client_max);
  CHECK(meant({"--rooms-per-client-max", "5000"}).limits.join_rate.capacity() == 10'000);
  CHECK(meant({"--rooms-per-client-max", "5000", "--join-burst", "7"}).limits.join_rate.capacity() == 7);
  const auto set = meant({"--connect-rate", "5/1m", "--connect-burst", "6", "--address-rate", "7/1m", "--address-burst",
                          "8", "--takeover-rate", "9/1m", "--takeover-burst", "10", "--leave-rate", "11/1m",
                          "--leave-burst", "12", "--members-rate", "0"});
  CHECK(set.connects.client == RateLimit{5, milliseconds(60'000), 6});
  CHECK(set.connects.address == RateLimit{7, milliseconds(60'000), 8});
  CHECK(set.connects.takeover == RateLimit{9, milliseconds(60'000), 10});
  CHECK(set.limits.leave_rate == RateLimit{11, milliseconds(60'000), 12});
  CHECK_FALSE(set.limits.members_rate.is_on());
  CHECK_THROWS_WITH(meant({"--join-burst", "1000001"}), Catch::Contains("--join-burst must be at most"));
}

TEST_CASE("each policy for slow readers has the name that the server uses for it") {
  for (const auto policy :
       {SlowPolicy::drop, SlowPolicy::drop_oldest, SlowPolicy::keep_latest, SlowPolicy::disconnect}) {
    CHECK(meant({"--slow-consumer", std::string(to_string(policy))}).limits.slow_policy == policy);
  }
  CHECK_THROWS_AS(parsed({"--slow-consumer", "wait"}), CLI::ParseError);
  CHECK_THROWS_AS(parsed({"--over-rate", "drop"}), CLI::ParseError);
}

TEST_CASE("a large message gets through every queue on its way") {
  const auto options = meant({"--message-max", "8MiB", "--outbox-max", "16MiB"});
  CHECK(options.limits.route_bytes_max >= 8u << 20);
  CHECK(options.limits.link_bytes_max >= 8u << 20);
  CHECK(options.body_bytes_max > 8u << 20);
}

TEST_CASE("an address that others can reach must be meant") {
  CHECK_THROWS_WITH(meant({"--bind", "0.0.0.0"}), Catch::Contains("--allow-public"));
  CHECK_THROWS_WITH(meant({"--bind", "::"}), Catch::Contains("--allow-public"));
  CHECK(meant({"--bind", "0.0.0.0", "--allow-public"}).bind == "0.0.0.0");
  CHECK(meant({"--bind", "::1"}).bind == "::1");
  CHECK(meant({"--bind", "localhost"}).bind == "127.0.0.1");
  CHECK_THROWS_WITH(meant({"--bind", "example"}), Catch::Contains("not an IP address"));
}

TEST_CASE("options that contradict each other are refused with a sentence") {
  CHECK_THROWS_WITH(meant({"--lease", "900ms", "--probe", "100ms"}), Catch::Contains("--lease must be at least 1s"));
  CHECK_THROWS_WITH(meant({"--lease", "2s", "--probe", "1s"}), Catch::Contains("three times --probe"));
  CHECK_THROWS_WITH(meant({"--owner-ttl", "5s"}),
                    Catch::Contains("--owner-ttl 5s must be 0 (never) or at least --lease"));
  CHECK(meant({"--owner-ttl", "6s"}).limits.owner_ttl == milliseconds(6'000));
  CHECK(meant({}).limits.owner_ttl == milliseconds(0));
  CHECK_THROWS_WITH(meant({"--ping", "5s", "--pong", "6s"}), Catch::Contains("must not exceed --ping"));
  CHECK(meant({"--ping", "0", "--pong", "6s"}).ping_every == milliseconds(0));
  CHECK_THROWS_WITH(meant({"--outbox-max", "1023B"}), Catch::Contains("at least 1KiB"));
  CHECK_THROWS_WITH(meant({"--outbox-max", "1KiB", "--message-max", "2KiB"}), Catch::Contains("never be delivered"));
  CHECK(meant({"--outbox-max", "1KiB"}).limits.outbox_bytes_max == 1024);
  CHECK_THROWS_WITH(meant({"--message-max", "17MiB"}), Catch::Contains("--message-max"));
  CHECK_THROWS_WITH(meant({"--devices-max", "2"}), Catch::Contains("--sessions multi"));
  CHECK_THROWS_WITH(meant({"--owners-max", "0"}), Catch::Contains("--owners-max"));
  CHECK_THROWS_WITH(meant({"--memberships-max", "0"}), Catch::Contains("--memberships-max"));
  CHECK_NOTHROW(meant({"--memberships-max", "0", "--store", "redis://127.0.0.1:1"}));
  CHECK_THROWS_WITH(meant({"--store-ca", "ca.pem"}), Catch::Contains("rediss://"));
  CHECK_THROWS_WITH(meant({"--store", "mysql://x"}), Catch::Contains("--store"));
  CHECK_THROWS_WITH(meant({"--prefix", "a b"}), Catch::Contains("--prefix"));
  CHECK_THROWS_WITH(meant({"--name", "a b"}), Catch::Contains("--name"));
}

TEST_CASE("options of rooms and rates that contradict each other are refused with a sentence") {
  CHECK_THROWS_WITH(meant({"--rooms-per-client-max", "0"}), Catch::Contains("--rooms-per-client-max"));
  CHECK_THROWS_WITH(meant({"--rooms-per-client-max", "100001"}), Catch::Contains("--rooms-per-client-max"));
  CHECK_THROWS_WITH(meant({"--reconnect-grace", "11m"}), Catch::Contains("at most 10m"));
  CHECK_THROWS_WITH(meant({"--memory-max", "1023KiB", "--outbox-max", "1KiB"}), Catch::Contains("at least 1MiB"));
  CHECK_THROWS_WITH(meant({"--memory-max", "2MiB"}), Catch::Contains("below --outbox-max 4MiB"));
  CHECK(meant({"--memory-max", "1MiB", "--outbox-max", "1MiB"}).limits.outboxes_bytes_max == 1u << 20);
  CHECK_THROWS_WITH(meant({"--client-burst", "5"}), Catch::Contains("needs --client-rate"));
  CHECK_THROWS_WITH(meant({"--room-burst", "5", "--client-rate", "1/1s"}), Catch::Contains("needs --room-rate"));
  CHECK_THROWS_WITH(meant({"--room-rate", "1/1s", "--room-burst", "1000001"}), Catch::Contains("at most 1000000"));
  CHECK_THROWS_WITH(meant({"--over-rate", "close", "--join-rate", "0", "--leave-rate", "0", "--members-rate", "0"}),
                    Catch::Contains("--over-rate needs"));
  CHECK_NOTHROW(meant({"--over-rate", "close"}));  // joins, leaves and pages have rates unless they are turned off
  CHECK_NOTHROW(meant({"--over-rate", "close", "--room-rate", "1/1s"}));
}

TEST_CASE("a value that cannot be read names its option and shows how to write it") {
  CHECK_THROWS_WITH(parsed({"--lease", "6"}), Catch::Contains("--lease") && Catch::Contains("such as 250ms"));
  CHECK_THROWS_WITH(parsed({"--message-max", "64k"}), Catch::Contains("--message-max") && Catch::Contains("64KiB"));
  CHECK_THROWS_WITH(parsed({"--client-rate", "20/1"}), Catch::Contains("--client-rate") && Catch::Contains("20/1s"));
  CHECK_THROWS_WITH(parsed({"--room-rate", "20/2h"}), Catch::Contains("--room-rate") && Catch::Contains("to 1h"));
  CHECK_THROWS_AS(parsed({"--port", "70000"}), CLI::ParseError);
  CHECK_THROWS_AS(parsed({"--sessions", "double"}), CLI::ParseError);
  CHECK_THROWS_AS(parsed({"--no-such"}), CLI::ParseError);
}

TEST_CASE("a flag wins over the environment, the environment over the config file") {
  const std::string path = "/tmp/wsr-serve-options-" + std::to_string(::getpid()) + ".toml";
  std::ofstream(path)
      << "[serve]\nport = 7001\nlease = \"9s\"\norigin = [\"https://a.example\", \"https://b.example\"]\n"
         "echo = true\n";
  const auto from_file = parsed({"--config", path});
  CHECK(from_file.port == 7001);
  CHECK(from_file.lease == milliseconds(9'000));
  CHECK(from_file.origins == std::vector<std::string>{"https://a.example", "https://b.example"});
  CHECK(from_file.echo);
  {
    const Variable variable("WSR_PORT", "7002");
    CHECK(parsed({"--config", path}).port == 7002);
    CHECK(parsed({"--config", path, "-p", "7003"}).port == 7003);
    CHECK(parsed({}).port == 7002);
  }
  std::remove(path.c_str());
}
