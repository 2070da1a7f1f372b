#include "core/routing/token_bucket.hpp"

#include <algorithm>

namespace wsr {
namespace {

std::int64_t parts_of_token(const RateLimit& limit) { return std::chrono::microseconds{limit.window}.count(); }

std::int64_t parts_when_full(const RateLimit& limit) { return std::int64_t{limit.capacity()} * parts_of_token(limit); }

/// Rounded up: at the end of that time the parts are there.
std::int64_t micros_for(std::int64_t parts, const RateLimit& limit) {
  return (parts + limit.count - 1) / std::int64_t{limit.count};
}

}  // namespace

Taken TokenBucket::take(const RateLimit& limit, StoreTime now) {
  if (!limit.is_on()) return {};
  refill(limit, now);
  const std::int64_t token = parts_of_token(limit);
  if (level_ < token) return {Errc::rate_limited, std::chrono::microseconds{micros_for(token - level_, limit)}};
  level_ -= token;
  return {};
}

bool TokenBucket::is_full(const RateLimit& limit, StoreTime now) const {
  if (level_ < 0 || !limit.is_on()) return true;
  TokenBucket later = *this;
  later.refill(limit, now);
  return later.level_ == parts_when_full(limit);
}

void TokenBucket::refill(const RateLimit& limit, StoreTime now) {
  const std::int64_t full = parts_when_full(limit);
  const std::int64_t elapsed = level_ < 0 ? 0 : std::max<std::int64_t>((now - at_).count(), 0);
  at_ = level_ < 0 ? now : std::max(at_, now);
  // Compared as times, not as parts: after a long rest elapsed * count would leave the 53 bits that Lua has.
  if (level_ < 0 || level_ >= full || elapsed >= micros_for(full - level_, limit)) {
    level_ = full;
  } else {
    level_ += elapsed * std::int64_t{limit.count};
  }
}

Taken BucketTable::take(std::string_view name, const RateLimit& limit, StoreTime now) {
  if (!limit.is_on()) return {};
  auto found = buckets_.find(name);
  if (found == buckets_.end()) {
    if (buckets_.size() >= buckets_max) {
      std::erase_if(buckets_, [&](const auto& entry) { return entry.second.is_full(limit, now); });
      if (buckets_.size() >= buckets_max) buckets_.clear();
    }
    found = buckets_.try_emplace(std::string(name)).first;
  }
  return found->second.take(limit, now);
}

std::chrono::microseconds BucketTable::wait(std::string_view name, const RateLimit& limit, StoreTime now) const {
  const auto found = buckets_.find(name);
  if (!limit.is_on() || found == buckets_.end()) return {};
  TokenBucket asked = found->second;
  return asked.take(limit, now).retry_after;
}

}  // namespace wsr
