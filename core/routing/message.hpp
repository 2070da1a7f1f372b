// Message: one direct message that has to wait: for a lookup, for older messages, for the bus.
//
// On its way it travels as an EntryMessage (core/wire/envelope.hpp), whose views point into the sender's
// frame or the inbox batch; only a message that waits is copied.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/ids.hpp"
#include "core/base/time.hpp"
#include "core/wire/envelope.hpp"

namespace wsr {

struct Message {
  std::string from;
  std::string to;
  std::string data;
  std::uint64_t receipt = 0;
  std::uint8_t hops = 0;
  bool is_copy = false;
  std::string copies;
  std::uint64_t deadline = 0;  // EntryMessage::deadline
  Time since{};                // when it began to wait here

  Message(const EntryMessage& entry, Time now)
      : from(entry.from),
        to(entry.to),
        data(entry.data),
        receipt(entry.receipt),
        hops(entry.hops),
        is_copy(entry.is_copy),
        copies(entry.copies),
        deadline(entry.deadline),
        since(now) {}
  [[nodiscard]] EntryMessage entry() const {
    return EntryMessage{.receipt = receipt,
                        .hops = hops,
                        .is_copy = is_copy,
                        .from = from,
                        .to = to,
                        .data = data,
                        .is_fresh = false,
                        .copies = copies,
                        .deadline = deadline};
  }
  [[nodiscard]] std::size_t bytes() const {
    return from.size() + to.size() + data.size() + copies.size() + sizeof(Message);
  }
};

/// EntryMessage::copies: `server/shard`, each with a space behind it, which no server's id has in it.
inline void append_copy(std::string& copies, const ShardAddress& at) {
  copies.append(at.server.view()).append("/").append(std::to_string(at.shard)).append(" ");
}
[[nodiscard]] inline bool has_copy(std::string_view copies, const ShardAddress& at) {
  if (copies.empty()) return false;
  std::string name;
  append_copy(name, at);
  const auto found = copies.find(name);
  // A name may be the end of another one.
  return found == 0 || copies.find(" " + name) != std::string_view::npos;
}

}  // namespace wsr
