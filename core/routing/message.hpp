// Message: one direct message that has to wait: for a lookup, for older messages, for the bus.
//
// On its way it travels as an EntryMessage (core/wire/envelope.hpp), whose views point into the sender's
// frame or the inbox batch; only a message that waits is copied.
#pragma once

#include <cstdint>
#include <string>

#include "core/routing/time.hpp"
#include "core/wire/envelope.hpp"

namespace wsr {

struct Message {
  std::string from;
  std::string to;
  std::string data;
  std::uint64_t receipt = 0;
  std::uint8_t hops = 0;
  bool is_copy = false;
  bool has_copies = false;
  Time since{};  // when it began to wait here

  Message(const EntryMessage& entry, Time now)
      : from(entry.from),
        to(entry.to),
        data(entry.data),
        receipt(entry.receipt),
        hops(entry.hops),
        is_copy(entry.is_copy),
        has_copies(entry.has_copies),
        since(now) {}
  [[nodiscard]] EntryMessage entry() const {
    return EntryMessage{.receipt = receipt,
                        .hops = hops,
                        .is_copy = is_copy,
                        .from = from,
                        .to = to,
                        .data = data,
                        .is_fresh = false,
                        .has_copies = has_copies};
  }
  [[nodiscard]] std::size_t bytes() const { return from.size() + to.size() + data.size() + sizeof(Message); }
};

}  // namespace wsr
