// Ports: the world of one server as the routing core sees it, beside the store (core/store/store.hpp).
//
// Thread-safety: each object belongs to one thread. A port never calls back inline.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "core/base/ids.hpp"
#include "core/base/time.hpp"
#include "core/store/store.hpp"

namespace wsr {

class Connections {
public:
  virtual ~Connections() = default;
  /// The outbox of `conn` is no longer empty: write it at the end of this turn.
  virtual void wake(ConnId conn) = 0;
  /// Close with `code` after what is queued; on_close() follows as an input.
  virtual void close(ConnId conn, std::uint16_t code, std::string_view reason) = 0;
};

class Clock {
public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Time now() const = 0;             // of this turn
  [[nodiscard]] virtual StoreTime store_now() const = 0;  // the store's clock as far as known; never goes back
  /// How far store_now() may be from the store's clock, at most.
  [[nodiscard]] virtual std::chrono::microseconds store_error() const { return std::chrono::microseconds{0}; }
};

}  // namespace wsr
