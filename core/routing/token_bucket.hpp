// TokenBucket: the arithmetic of a rate limit, exact in integers, without a clock of its own.
//
// The level counts in parts of a token: 1 token = window in microseconds parts, and one microsecond brings `count`
// parts.
//
// Thread-safety: none; a plain value. Bounds: those of RateLimit (rates.hpp).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/time.hpp"
#include "core/routing/text_map.hpp"
#include "core/store/answer.hpp"
#include "core/store/rates.hpp"

namespace wsr {

class TokenBucket {
public:
  /// Removes a token if there is one. A bucket that was never asked is full. `now` before an earlier call's counts as
  /// that one: time does not run backwards here.
  [[nodiscard]] Taken take(const RateLimit& limit, StoreTime now);
  /// True if the bucket is full at `now`: it may be forgotten.
  [[nodiscard]] bool is_full(const RateLimit& limit, StoreTime now) const;

private:
  void refill(const RateLimit& limit, StoreTime now);

  std::int64_t level_ = -1;  // parts; -1: never asked
  StoreTime at_{};           // when level_ was right
};

/// One bucket for each name. Bounds: buckets_max names; past it those that are full are forgotten, then all.
class BucketTable {
public:
  static constexpr std::size_t buckets_max = 65'536;  // some 10 MB: names that are asked for within one refill

  /// ok if there is no limit.
  [[nodiscard]] Taken take(std::string_view name, const RateLimit& limit, StoreTime now);
  /// How long the next token of this name takes; 0: it is there. Takes none.
  [[nodiscard]] std::chrono::microseconds wait(std::string_view name, const RateLimit& limit, StoreTime now) const;
  [[nodiscard]] std::size_t size() const { return buckets_.size(); }

private:
  TextMap<TokenBucket> buckets_;
};

}  // namespace wsr
