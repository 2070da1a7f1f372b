// RateTable: the token buckets of one store as plain state; backend.cpp makes calls of it.
//
// A full bucket says nothing, so it is forgotten: each take() also looks at a few others, in turn. What stays is at
// most about twice what is not full.
//
// Thread-safety: none.
// Cost:          O(log buckets) a call.
#pragma once

#include <cstddef>
#include <map>
#include <optional>

#include "core/routing/token_bucket.hpp"

namespace wsr::memory {

class RateTable {
public:
  [[nodiscard]] Taken take(const RateKey& key, const RateLimit& limit, StoreTime now);
  [[nodiscard]] std::size_t size() const { return buckets_.size(); }

private:
  static constexpr int looks = 2;  // a call adds one bucket at most: two looks get ahead of it
  struct Entry {
    TokenBucket bucket;
    RateLimit limit;  // that it was asked with last
  };

  void forget_some(StoreTime now);

  std::map<RateKey, Entry> buckets_;
  std::optional<RateKey> looked_at_;  // the last one; empty: from the beginning
};

}  // namespace wsr::memory
