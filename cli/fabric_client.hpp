// FabricClient: what the commands ask of the fabric, whichever way they reach it.
//
// Two ways: over a server's HTTP API (http_fabric), or as a guest of the shared store (store_fabric).
//
// Thread-safety: none; every call waits for its answer. Errors: std::runtime_error with a sentence.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/routing/ports.hpp"
#include "core/routing/router.hpp"

namespace wsr::cli {

struct SendResult {
  ClientId to;
  std::string state;   // delivered | queued | offline | dropped | unknown; accepted when nobody waited
  std::string reason;  // of dropped
  ServerId server;     // who delivered it
  double ms = 0;
};

class FabricClient {
public:
  virtual ~FabricClient() = default;
  /// `data` is one JSON value. One result for each recipient, in their order.
  [[nodiscard]] virtual std::vector<SendResult> send(const ClientId& from, const std::vector<ClientId>& to,
                                                     std::string_view data, Wait wait) = 0;
  /// No rows: offline.
  [[nodiscard]] virtual std::vector<OwnerRow> lookup(const ClientId& client) = 0;
  [[nodiscard]] virtual OwnerPage page(std::string_view cursor, std::uint32_t count) = 0;
  [[nodiscard]] virtual OwnerCounts counts() = 0;
  [[nodiscard]] virtual Servers servers() = 0;
  /// Closes every connection of the client; how many there were.
  [[nodiscard]] virtual std::uint64_t kick(const ClientId& client) = 0;
};

}  // namespace wsr::cli
