// Leases: until when each server of the registry is known to live, by the local clock.
//
// Made by the Keeper from each reading of the registry and shared by all shards of a server.
//
// Thread-safety: a plain value, never changed once it is made; copies share it.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/time.hpp"

namespace wsr {

class Leases {
public:
  using Entry = std::pair<ServerId, Time>;

  Leases() = default;
  /// `entries`: each server once, sorted by name; a lease that has run out ends at the moment of the reading.
  explicit Leases(std::vector<Entry> entries)
      : entries_(std::make_shared<const std::vector<Entry>>(std::move(entries))) {}

  /// When the lease of a server ends; nullopt: it was not in the registry.
  [[nodiscard]] std::optional<Time> until(const ServerId& server) const {
    if (!entries_) return std::nullopt;
    const auto found = std::lower_bound(entries_->begin(), entries_->end(), server,
                                        [](const Entry& entry, const ServerId& name) { return entry.first < name; });
    if (found == entries_->end() || found->first != server) return std::nullopt;
    return found->second;
  }
  /// All of them, sorted by name.
  [[nodiscard]] std::span<const Entry> entries() const {
    return entries_ ? std::span<const Entry>(*entries_) : std::span<const Entry>();
  }
  [[nodiscard]] Leases without(const ServerId& server) const {
    std::vector<Entry> others(entries().begin(), entries().end());
    std::erase_if(others, [&server](const Entry& entry) { return entry.first == server; });
    return Leases(std::move(others));
  }

private:
  std::shared_ptr<const std::vector<Entry>> entries_;
};

}  // namespace wsr
