// WsrServer: one real `wsr serve` on a free loopback port, and its HTTP API in the tests' words.
//
// Errors: std::runtime_error with what the server printed, if it does not come up.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/http_client.hpp"
#include "tests/support/process.hpp"

namespace wsr::test {

struct ServeSetup {
  std::string name = "a";
  std::string store = "memory";
  unsigned shards = 2;
  std::vector<std::string> more = {};  // further arguments
  std::string runtime_dir = {};        // of the run files; empty: one of its own
  unsigned descriptors = 0;            // its hard limit of open files; 0: ours
};

class WsrServer {
public:
  explicit WsrServer(const ServeSetup& setup);

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const;
  [[nodiscard]] Process& process() { return *process_; }
  [[nodiscard]] bool is_running() { return process_->is_running(); }

  [[nodiscard]] nlohmann::json stats() const;
  [[nodiscard]] std::uint64_t connections() const { return stats().at("connections").get<std::uint64_t>(); }
  [[nodiscard]] HttpAnswer get(std::string_view path) const { return http(port_, "GET", path); }
  /// The owner rows of a client; empty: offline.
  [[nodiscard]] nlohmann::json owners(std::string_view client) const;
  /// Where a client is: its newest row's `server/shard/conn`; empty: offline.
  [[nodiscard]] std::string attachment(std::string_view client) const;
  /// The shard of this server that holds the client.
  [[nodiscard]] unsigned shard_of(std::string_view client) const;
  [[nodiscard]] std::uint64_t online() const;
  /// The status of /readyz: 200 or 503; 0 if it does not answer.
  [[nodiscard]] unsigned ready() const;
  /// POST /api/send from nobody; the answer's object.
  [[nodiscard]] nlohmann::json send(std::string_view to, std::string_view data) const;

private:
  TempDir runtime_;
  std::unique_ptr<Process> process_;
  std::uint16_t port_ = 0;
};

/// The sum of the words in a server's stats, the reasons of `dropped` included.
[[nodiscard]] std::uint64_t sum_of_words(const nlohmann::json& stats);

}  // namespace wsr::test
