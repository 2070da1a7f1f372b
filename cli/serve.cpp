#include "cli/serve.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <tuple>

#include "cli/identity.hpp"
#include "cli/log.hpp"
#include "cli/log_line.hpp"
#include "cli/options.hpp"
#include "cli/patient_write.hpp"
#include "cli/run_file.hpp"
#include "cli/store_log.hpp"
#include "cli/units.hpp"
#include "cli/web/page.hpp"
#include "core/net/home_page.hpp"
#include "core/net/http_reader.hpp"
#include "core/net/memory_backend.hpp"
#include "core/net/version.hpp"
#include "core/redis/backend.hpp"

namespace wsr::cli {
namespace {

using std::chrono::milliseconds;

constexpr unsigned shards_max = 128;
constexpr std::size_t message_bytes_max = 16 * 1024 * 1024;  // still fits in one batch (batch_bytes_limit)
constexpr std::size_t outbox_bytes_min = 1024;
constexpr std::size_t memory_bytes_min = 1024 * 1024;
constexpr std::uint32_t burst_max = 1'000'000;  // core/store/rates.hpp
constexpr std::uint32_t devices_per_client_max = 64;
constexpr int exit_by_signal = 128 + SIGINT;

void require(bool holds, const std::string& sentence) {
  if (!holds) throw UsageError(sentence);
}

boost::asio::ip::address address_of(const std::string& bind) {
  if (bind == "localhost") return boost::asio::ip::make_address("127.0.0.1");
  boost::system::error_code error;
  auto address = boost::asio::ip::make_address(bind, error);
  require(!error, fmt::format("--bind: '{}' is not an IP address, such as 127.0.0.1, 0.0.0.0 or ::1", bind));
  return address;
}

std::string http_url(const boost::asio::ip::address& address, std::uint16_t port) {
  auto reached = address;
  if (address.is_unspecified()) reached = boost::asio::ip::make_address(address.is_v4() ? "127.0.0.1" : "::1");
  return reached.is_v6() ? fmt::format("http://[{}]:{}", reached.to_string(), port)
                         : fmt::format("http://{}:{}", reached.to_string(), port);
}

void check_times(const ServeOptions& o) {
  const auto text = [](milliseconds value) { return format_duration(value); };
  require(o.probe >= milliseconds(50), "--probe must be at least 50ms");
  require(o.lease >= milliseconds(1'000), "--lease must be at least 1s: it is renewed three times in that span");
  require(
      o.lease >= 3 * o.probe,
      fmt::format("--lease {} must be at least three times --probe {}: a server is deaf after three unheard probes, "
                  "and should notice before its lease ends",
                  text(o.lease), text(o.probe)));
  require(
      o.owner_ttl.count() == 0 || o.owner_ttl >= o.lease,
      fmt::format("--owner-ttl {} must be 0 (never) or at least --lease {}: it is renewed three times in that span, "
                  "and a row must outlive a store that is away for a moment",
                  text(o.owner_ttl), text(o.lease)));
  require(o.ping.count() == 0 || o.ping >= milliseconds(1'000), "--ping must be 0 (never) or at least 1s");
  require(o.ping.count() == 0 || o.pong >= milliseconds(100), "--pong must be at least 100ms");
  require(o.ping.count() == 0 || o.pong <= o.ping,
          fmt::format("--pong {} must not exceed --ping {}: one ping is answered before the next is sent", text(o.pong),
                      text(o.ping)));
  require(o.idle.count() == 0 || o.idle >= milliseconds(1'000), "--idle must be 0 (never) or at least 1s");
  require(o.drain <= milliseconds(600'000), "--drain must be at most 10m");
  require(o.store_wait >= milliseconds(100), "--store-wait must be at least 100ms");
}

void check_bounds(const ServeOptions& o) {
  require(o.message_max >= 1 && o.message_max <= message_bytes_max,
          fmt::format("--message-max must be from 1B to {}", format_size(message_bytes_max)));
  require(o.outbox_max >= outbox_bytes_min,
          fmt::format("--outbox-max must be at least {}", format_size(outbox_bytes_min)));
  // Only if both were said: a small outbox alone is a wish to be strict with slow clients.
  require(o.outbox_max >= o.message_max || o.message_max == ServeOptions{}.message_max,
          fmt::format("--outbox-max {} is below --message-max {}: the largest message could never be delivered",
                      format_size(o.outbox_max), format_size(o.message_max)));
  require(o.shards <= shards_max, fmt::format("--shards must be at most {}", shards_max));
  require(o.sessions == "multi" || !o.devices_max,
          "--devices-max is for --sessions multi: with single, a client has one connection");
  require(!o.devices_max || (*o.devices_max >= 1 && *o.devices_max <= devices_per_client_max),
          fmt::format("--devices-max must be from 1 to {}", devices_per_client_max));
  require(o.memory_max >= memory_bytes_min,
          fmt::format("--memory-max must be at least {}", format_size(memory_bytes_min)));
  require(o.memory_max >= o.outbox_max,
          fmt::format("--memory-max {} is below --outbox-max {}: one slow client would be all that the server holds",
                      format_size(o.memory_max), format_size(o.outbox_max)));
  require(!o.memberships_max || *o.memberships_max >= 1 || o.store != "memory",
          "--memberships-max must be at least 1: the memory store has a bound");
  require(!o.owners_max || *o.owners_max >= 1 || o.store != "memory",
          "--owners-max must be at least 1: the memory store has a bound");
}

void check_rooms_and_rates(const ServeOptions& o) {
  require(o.rooms_per_client_max >= 1 && o.rooms_per_client_max <= 100'000,
          "--rooms-per-client-max must be from 1 to 100000: all of them are joined again when the client reconnects");
  require(o.reconnect_grace <= milliseconds(600'000), "--reconnect-grace must be at most 10m");
  for (const auto& [name, rate, burst] :
       {std::tuple{"client", o.client_rate, o.client_burst}, std::tuple{"room", o.room_rate, o.room_burst}}) {
    require(burst == 0 || rate.is_on(),
            fmt::format("--{0}-burst needs --{0}-rate: without a rate there is no limit", name));
    require(burst <= burst_max, fmt::format("--{}-burst must be at most {}", name, burst_max));
  }
  const bool has_rate = o.client_rate.is_on() || o.room_rate.is_on() || o.join_rate.is_on() || o.leave_rate.is_on() ||
                        o.members_rate.is_on();
  require(o.over_rate == "refuse" || has_rate,
          "--over-rate needs --client-rate, --room-rate, --join-rate, --leave-rate or --members-rate: without a rate "
          "there is no limit");
  for (const auto& [name, burst] :
       {std::pair{"connect", o.connect_burst}, std::pair{"address", o.address_burst},
        std::pair{"takeover", o.takeover_burst}, std::pair{"join", o.join_burst.value_or(0)},
        std::pair{"leave", o.leave_burst.value_or(0)}, std::pair{"members", o.members_burst}}) {
    require(burst <= burst_max, fmt::format("--{}-burst must be at most {}", name, burst_max));
  }
}

SlowPolicy slow_policy(const std::string& name) {
  for (const auto policy : {SlowPolicy::drop_oldest, SlowPolicy::keep_latest, SlowPolicy::disconnect}) {
    if (to_string(policy) == name) return policy;
  }
  return SlowPolicy::drop;
}

void check_store(const ServeOptions& o) {
  if (o.store != "memory") {
    const auto address = redis::Address::parse(o.store);
    require(address.has_value(), fmt::format("--store: {}", address.has_value() ? "" : address.error().message));
    require(o.store_ca.empty() || address->kind == redis::Address::Kind::tls, "--store-ca is for a rediss:// store");
  } else {
    require(o.store_ca.empty(), "--store-ca is for a rediss:// store");
  }
  require(!o.prefix.empty() && o.prefix.size() <= 64 && o.prefix.find_first_of("{} \t\r\n") == std::string::npos,
          "--prefix must be 1-64 bytes without spaces and braces");
}

/// The store as people see it: never with a password. The prefix belongs to it: two prefixes are two fabrics.
std::string store_text(const ServeOptions& o) {
  if (o.store == "memory") return o.store;
  const auto address = redis::Address::parse(o.store).value().str();
  return o.prefix == ServeOptions{}.prefix ? address : fmt::format("{} prefix {}", address, o.prefix);
}

net::BackendFactory backend_of(const ServeOptions& o, const StoreLog& log) {
  if (o.store == "memory") {
    memory::Options options;
    if (o.owners_max) options.owners_max = *o.owners_max;
    if (o.memberships_max) options.memberships_max = *o.memberships_max;
    return net::memory_backend(options);
  }
  redis::Options options;
  options.log = log.sink();
  options.address = redis::Address::parse(o.store).value();
  options.prefix = o.prefix;
  options.ca_file = o.store_ca;
  options.owners_max = o.owners_max.value_or(0);
  options.memberships_max = o.memberships_max.value_or(0);
  std::random_device random;
  options.random_seed = (static_cast<std::uint64_t>(random()) << 32) | random();
  return [options](boost::asio::io_context& io, AnswerSink& answers, BusListener& listener) {
    return redis::make_backend(io, options, answers, listener);
  };
}

/// Each connection is a descriptor: as many as the system lets us have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);  // refused: then the lower number is what there is
}

/// SIGINT, SIGTERM and SIGHUP, on a thread of their own: the first stops the server, a second SIGINT or SIGTERM ends
/// the process at once. SIGHUP only ever stops: systemd and shells send it right behind another signal. Under nohup it
/// stays ignored.
class Signals {
public:
  Signals(net::Server& server, Log& log) : server_(server), log_(log), signals_(io_, SIGINT, SIGTERM), tick_(io_) {
    struct sigaction hangup {};
    if (::sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN) signals_.add(SIGHUP);
    wait();
    tick();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Signals() {
    io_.stop();
    thread_.join();
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// From now on a signal is an orderly stop; before, there is nothing to close.
  void on_serving() { is_serving_ = true; }

private:
  void wait() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      const bool is_first = !is_stopping_ && is_serving_;
      // The run file may stay behind then: it names a process that is gone, and is not believed.
      if (!is_first && !(signal == SIGHUP && is_stopping_)) std::_Exit(exit_by_signal);
      if (is_first) {
        is_stopping_ = true;
        log_.write(
            {LogLevel::info, "stopping", "clients are told to reconnect; send the signal again to quit immediately"});
        server_.stop();
      }
      wait();
    });
  }

  void tick() {
    tick_.expires_after(std::chrono::seconds{1});
    tick_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      log_.tick();
      tick();
    });
  }

  net::Server& server_;
  Log& log_;
  std::atomic<bool> is_serving_ = false;
  bool is_stopping_ = false;  // of the thread
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_;
  boost::asio::steady_timer tick_;  // of the log, which says what has repeated
  std::thread thread_;
};

Log::Options log_options(const ServeOptions& o, const net::ServerOptions& server) {
  Log::Options options;
  options.format = o.log_format == "json" ? LogFormat::json : LogFormat::text;
  options.level = o.log_level == "debug"     ? LogLevel::debug
                  : o.log_level == "warning" ? LogLevel::warning
                  : o.log_level == "error"   ? LogLevel::error
                                             : LogLevel::info;
  options.server = server.id.str();
  for (const BatchKey& key : server.keys.keys) options.secrets.push_back(key.secret);
  if (o.store != "memory") options.secrets.push_back(redis::Address::parse(o.store).value().password);
  return options;
}

/// What runs, with the settings that decide what becomes of messages. No secret is among them.
LogEvent started(const net::ServerOptions& o, const std::string& url) {
  const auto rate = [](const RateLimit& limit) {
    return limit.is_on() ? fmt::format("{} burst {}", format_rate(limit), limit.capacity()) : std::string("none");
  };
  return {LogLevel::info,
          "started",
          fmt::format("wsr {} serves {} with store {}", net::version(), url, o.store),
          {{"version", std::string(net::version())},
           {"bus_version", std::to_string(batch_version)},
           {"url", url},
           {"store", o.store},
           {"shards", std::to_string(o.shards)},
           {"sessions", o.policy == SessionPolicy::multi ? "multi" : "single"},
           {"signed_bus", o.keys.keys.empty() ? "no" : "yes"},
           {"lease", format_duration(o.lease)},
           {"probe", format_duration(o.probe_every)},
           {"drain", format_duration(o.drain_within)},
           {"message_max", format_size(o.limits.message_bytes_max)},
           {"outbox_max", format_size(o.limits.outbox_bytes_max)},
           {"memory_max", format_size(o.limits.outboxes_bytes_max)},
           {"slow_consumer", std::string(to_string(o.limits.slow_policy))},
           {"client_rate", rate(o.limits.client_rate)},
           {"room_rate", rate(o.limits.room_rate)},
           {"connect_rate", rate(o.connects.client)},
           {"address_rate", rate(o.connects.address)},
           {"takeover_rate", rate(o.connects.takeover)},
           {"join_rate", rate(o.limits.join_rate)}}};
}

/// Only a convenience: without it, `wsr send` needs --server.
std::unique_ptr<RunFile> write_run_file(const std::string& url, const std::string& store, const ServerId& id,
                                        Log& log) {
  try {
    return std::make_unique<RunFile>(run_directory(Make::yes), own_record(url, store, id.str()));
  } catch (const std::runtime_error& error) {
    log.write({LogLevel::warning, "no_run_file",
               fmt::format("{}; wsr send on this machine will need --server", error.what())});
    return nullptr;
  }
}

}  // namespace

CLI::App* add_serve(CLI::App& app, ServeOptions& o) {
  auto* command = app.add_subcommand("serve", "Run a WebSocket and HTTP server of the fabric");
  command->footer(
      "Examples:\n"
      "  wsr serve -p 9090                                    one server, everything in memory\n"
      "  wsr serve -p 9091 --store redis://127.0.0.1:6379     one of several servers\n\n"
      "Durations: 250ms, 6s, 1m. Sizes: 900B, 64KiB, 4MiB. A flag wins over its environment variable, which wins\n"
      "over the file of --config, where these options are below [serve].");
  std::string group;
  const auto option = [&](const std::string& names, auto& value, const std::string& what) {
    return with_environment(command->add_option(names, value, what)->group(group));
  };
  const auto duration = [&](const std::string& names, milliseconds& value, const std::string& what) {
    add_duration(*command, names, value, what)->group(group);
  };
  // Several values come with commas or by saying the option again: `--origin a b` would swallow what follows.
  const auto list = [&](const std::string& names, std::vector<std::string>& value, const std::string& what) {
    return option(names, value, what)->delimiter(',')->allow_extra_args(false);
  };

  group = "Address";
  option("-p,--port", o.port, "Port for WebSocket, HTTP API and chat page; 0: any free port")
      ->check(CLI::Range(0, 65'535))
      ->type_name("PORT")
      ->capture_default_str();
  option("--bind", o.bind, "IP address to listen on")->capture_default_str()->type_name("ADDRESS");
  option("--url", o.url, "URL at which others reach this server's HTTP API (default: http://bind:port)")
      ->type_name("URL");
  with_environment(
      command->add_flag("--allow-public", o.allow_public,
                        "Allow a --bind address that others can reach, even though clients are not authenticated"))
      ->group(group);
  list("--host", o.hosts,
       "Name by which browsers know this server, such as a proxy's; separate several with commas. Requests for other "
       "names are refused, except localhost, the server's addresses and the name in --url; *: any name")
      ->type_name("NAME");
  list("--origin", o.origins, "Browser origin allowed besides the server's own; separate several with commas; *: any")
      ->type_name("ORIGIN");

  group = "Server";
  option("--name", o.name, "This server's name in the fabric (default: host:pid)")->type_name("NAME");
  option("--shards", o.shards, "Number of threads (default: one per core)")->type_name("N");
  duration("--drain", o.drain,
           "When the server stops, clients are told to reconnect one after the other over this time; slow ones get all "
           "of it");
  with_environment(command->add_flag("--echo", o.echo, "Also serve /echo, for WebSocket conformance suites"))
      ->group(group);

  group = "Store";
  option("--store", o.store, "memory, redis://[user:password@]host[:port][/db], rediss://... or unix:///path")
      ->capture_default_str()
      ->type_name("URL");
  option("--prefix", o.prefix, "Prefix of every key and channel in the store")->capture_default_str();
  option("--store-ca", o.store_ca, "With rediss://: trust this CA file in addition to the system's")->type_name("FILE");
  duration("--store-wait", o.store_wait, "How long to wait for the store at startup");
  list("--bus-key", o.bus_keys,
       "Sign what servers say to each other: the first key signs, all verify. Prefer WSR_BUS_KEY: flags are visible in "
       "ps")
      ->type_name("ID:SECRET");
  duration("--lease", o.lease, "A server that is silent for this long counts as dead; at least 1s and three probes");
  duration("--owner-ttl", o.owner_ttl,
           "Entries of clients in the store also expire by themselves, this long after their server last renewed them; "
           "0: never");
  duration("--probe", o.probe, "How often the server checks that it hears its own inbox");

  group = "Clients";
  option("--sessions", o.sessions,
         "single: the newest connection of a client replaces the older one; multi: up to --devices-max connections")
      ->capture_default_str()
      ->check(CLI::IsMember({"single", "multi"}).description(""))
      ->type_name("single|multi");
  option("--devices-max", o.devices_max, "With multi: the most connections that one client may have (default: 8)")
      ->type_name("N");
  option("--owners-max", o.owners_max,
         "The most connections that the store may hold (default: 4096 in memory, no bound on Redis)")
      ->type_name("N");
  option("--connections-max", o.connections_max,
         "The most sockets of this server, silent ones included; 32 more are kept for probes and the HTTP API; 0: as "
         "many as the descriptors allow")
      ->capture_default_str()
      ->type_name("N");
  option("--per-address-max", o.per_address_max,
         "The most sockets that one address may have open; a /64 of IPv6 counts as one; beyond that, only probes are "
         "answered; 0: no limit. Loopback is bounded only with a loopback --bind (default: 1024; no limit on a "
         "loopback --bind)")
      ->type_name("N");
  add_size(*command, "--message-max", o.message_max, "The largest message; a larger one closes the connection (1009)")
      ->group(group);
  add_size(*command, "--outbox-max", o.outbox_max, "Bytes that may wait for one slow client; at least 1KiB")
      ->group(group);
  option("--slow-consumer", o.slow_consumer,
         "What to do with a message for a client at that bound: drop it, drop_oldest, keep_latest of each room, or "
         "disconnect (1013)")
      ->capture_default_str()
      ->check(CLI::IsMember({"drop", "drop_oldest", "keep_latest", "disconnect"}).description(""))
      ->type_name("POLICY");
  add_size(*command, "--memory-max", o.memory_max,
           "Bytes that the server may keep for all clients together: waiting frames, requests and unfinished messages; "
           "above that, each client has its fair share")
      ->group(group);
  duration("--ping", o.ping, "How often a silent client is pinged; 0: never");
  duration("--pong", o.pong, "A client that does not answer a ping for this long is gone");
  duration("--idle", o.idle, "Close a connection that says nothing for this long (4040); 0: never");

  group = "Rooms";
  option("--memberships-max", o.memberships_max,
         "The most clients in rooms, summed over rooms, that the store may hold (default: 16384 in memory, no bound on "
         "Redis)")
      ->type_name("N");
  option("--rooms-per-client-max", o.rooms_per_client_max, "The most rooms that one client can be in")
      ->capture_default_str()
      ->type_name("N");
  option("--presence-events-max", o.presence_events_max,
         "A room with more clients announces their number each second, instead of who comes and goes")
      ->capture_default_str()
      ->type_name("N");
  duration("--reconnect-grace", o.reconnect_grace,
           "A client that comes back within this time keeps its rooms, and nobody hears that it was away");

  group = "Rates";
  add_rate(*command, "--client-rate", o.client_rate, "Messages that one client may send and push; 0: no limit")
      ->group(group);
  option("--client-burst", o.client_burst, "Burst size; 0: as many as the rate allows in its time")
      ->capture_default_str()
      ->type_name("N");
  add_rate(*command, "--room-rate", o.room_rate,
           "Messages that may be pushed into one room, on all servers together; 0: no limit")
      ->group(group);
  option("--room-burst", o.room_burst, "Burst size; 0: as many as the rate allows in its time")
      ->capture_default_str()
      ->type_name("N");
  option("--over-rate", o.over_rate, "When a client exceeds a rate: refuse its message, or close the connection (4029)")
      ->capture_default_str()
      ->check(CLI::IsMember({"refuse", "close"}).description(""))
      ->type_name("refuse|close");
  const auto priced = [&](const std::string& name, RateLimit& rate, const std::string& what) {
    add_rate(*command, "--" + name + "-rate", rate, what)->group(group);
  };
  const auto burst = [&](const std::string& name, auto& value, const std::string& otherwise) {
    auto* added =
        option("--" + name + "-burst", value,
               otherwise.empty() ? "Burst size; 0: as many as the rate allows in its time" : "Burst size" + otherwise)
            ->type_name("N");
    if (otherwise.empty()) added->capture_default_str();
  };
  priced("connect", o.connect_rate, "WebSockets that one client may open on this server; above that, 429; 0: no limit");
  burst("connect", o.connect_burst, "");
  priced("address", o.address_rate,
         "WebSockets that one address may open on this server; above that, 429; 0: no limit. Loopback has no limit");
  burst("address", o.address_burst, "");
  priced("takeover", o.takeover_rate,
         "How often a name that two programs fight over may change hands; above that, a connection waits; 0: no limit");
  burst("takeover", o.takeover_burst, "");
  priced("join", o.join_rate, "Joins of one client; above that, the error rate_limited; 0: no limit");
  burst("join", o.join_burst, " (default: twice --rooms-per-client-max, at least 2000)");
  priced("leave", o.leave_rate, "Leaves of one client, likewise");
  burst("leave", o.leave_burst, " (default: twice --rooms-per-client-max, at least 2000)");
  priced("members", o.members_rate, "Pages of members that one client may ask for, likewise");
  burst("members", o.members_burst, "");

  group = "Log";
  option("--log-format", o.log_format, "Format of log lines on stderr: text for people, or JSON, one object per line")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "json"}).description(""))
      ->type_name("text|json");
  option("--log-level", o.log_level, "Lowest level that is logged: debug, info, warning or error")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}).description(""))
      ->type_name("LEVEL");
  return command;
}

net::ServerOptions server_options(const ServeOptions& o) {
  const auto address = address_of(o.bind);
  require(address.is_loopback() || o.allow_public,
          fmt::format("--bind {} can be reached by others, and any of them can connect as any client: pass "
                      "--allow-public if you mean that, or put a proxy with authentication in front of 127.0.0.1",
                      o.bind));
  require(o.url.empty() || o.url.starts_with("http://") || o.url.starts_with("https://"),
          fmt::format("--url: '{}' must begin with http:// or https://", o.url));
  for (const auto& host : o.hosts) {
    net::Authority parsed;
    require(host == "*" || net::parse_authority(host, parsed),
            fmt::format("--host: '{}' is not a name such as chat.example.org", host));
  }
  check_times(o);
  check_bounds(o);
  check_rooms_and_rates(o);
  check_store(o);

  net::ServerOptions options;
  options.bind = address.to_string();
  options.port = o.port;
  options.shards = o.shards > 0 ? o.shards : std::clamp(std::thread::hardware_concurrency(), 1u, shards_max);
  options.id = new_server_id(o.name.empty() ? default_server_name() : o.name);
  options.url = o.url;
  options.policy = o.sessions == "multi" ? SessionPolicy::multi : SessionPolicy::single;
  options.limits.message_bytes_max = o.message_max;
  options.limits.outbox_bytes_max = o.outbox_max;
  // One message of the largest size must get through every queue on its way.
  options.limits.route_bytes_max = std::max(options.limits.route_bytes_max, 2 * o.message_max);
  options.limits.link_bytes_max = std::max(options.limits.link_bytes_max, 2 * o.message_max);
  options.body_bytes_max = std::max(options.body_bytes_max, o.message_max + 64 * 1024);
  if (o.devices_max) options.limits.devices_max = *o.devices_max;
  options.limits.slow_policy = slow_policy(o.slow_consumer);
  options.limits.outboxes_bytes_max = o.memory_max;
  options.limits.rooms_per_client_max = o.rooms_per_client_max;
  options.limits.presence_events_max = o.presence_events_max;
  options.limits.reconnect_grace = o.reconnect_grace;
  options.limits.owner_ttl = o.owner_ttl;
  options.limits.client_rate = o.client_rate;
  options.limits.client_rate.burst = o.client_burst;
  options.limits.room_rate = o.room_rate;
  options.limits.room_rate.burst = o.room_burst;
  const std::uint32_t rooms_twice =
      std::max(Limits{}.join_rate.burst, static_cast<std::uint32_t>(2 * o.rooms_per_client_max));
  options.limits.join_rate = o.join_rate;
  options.limits.join_rate.burst = o.join_burst.value_or(rooms_twice);
  options.limits.leave_rate = o.leave_rate;
  options.limits.leave_rate.burst = o.leave_burst.value_or(rooms_twice);
  options.limits.members_rate = o.members_rate;
  options.limits.members_rate.burst = o.members_burst;
  options.connects.client = o.connect_rate;
  options.connects.client.burst = o.connect_burst;
  options.connects.address = o.address_rate;
  options.connects.address.burst = o.address_burst;
  options.connects.takeover = o.takeover_rate;
  options.connects.takeover.burst = o.takeover_burst;
  options.limits.over_rate = o.over_rate == "close" ? Limits::OverRate::close : Limits::OverRate::refuse;
  options.keys = parse_bus_keys(o.bus_keys);
  options.lease = o.lease;
  options.probe_every = o.probe;
  options.ping_every = o.ping;
  options.pong_within = o.pong;
  options.idle_after = o.idle;
  options.drain_within = o.drain;
  options.store = store_text(o);
  options.store_wait = o.store_wait;
  options.connections_max = o.connections_max;
  options.per_address_max = o.per_address_max;
  options.origins = o.origins;
  options.hosts = o.hosts;
  options.echo = o.echo;
  return options;
}

ExitCode run_serve(const ServeOptions& o) {
  auto options = server_options(o);
  Log log(log_options(o, options));
  options.log = log.sink();
  std::signal(SIGPIPE, SIG_IGN);  // a client that is gone is an error code of a write, not our end
  raise_descriptor_limit();
  net::set_home_page(std::string(chat_page()));

  StoreLog store_log;
  net::Server server(options, backend_of(o, store_log));
  Signals signals(server, log);
  try {
    server.start();
  } catch (const std::runtime_error& failed) {
    const auto why = without_secrets(store_log.explain(failed.what()), log_options(o, options).secrets);
    if (o.log_format != "json") throw std::runtime_error(why);
    log.write({LogLevel::error, "start_failed", why});  // whoever reads objects reads nothing else
    return ExitCode::failure;
  }
  const auto address = boost::asio::ip::make_address(options.bind);
  const auto url = http_url(address, server.port());
  const auto run_file = write_run_file(url, store_text(o), options.id, log);
  signals.on_serving();

  (void)write_soon(STDOUT_FILENO,
                   fmt::format("wsr {} listens on {} (store {}, {} shard{}): connect to ws{}/chat?user=alice\n",
                               options.id.view(), url, store_text(o), options.shards, options.shards == 1 ? "" : "s",
                               url.substr(std::string_view("http").size())));
  log.write(started(options, url));
  store_log.speak(log.sink());
  server.run();
  log.write({LogLevel::info, "stopped", "the server has stopped"});
  return ExitCode::ok;
}

}  // namespace wsr::cli
