#include "core/memory/rates.hpp"

#include <iterator>

namespace wsr::memory {

Taken RateTable::take(const RateKey& key, const RateLimit& limit, StoreTime now) {
  if (!limit.is_on()) return {};
  forget_some(now);
  Entry& entry = buckets_[key];
  entry.limit = limit;
  return entry.bucket.take(limit, now);
}

void RateTable::forget_some(StoreTime now) {
  auto at = looked_at_ ? buckets_.upper_bound(*looked_at_) : buckets_.begin();
  for (int i = 0; i < looks && at != buckets_.end(); ++i) {
    looked_at_ = at->first;
    at = at->second.bucket.is_full(at->second.limit, now) ? buckets_.erase(at) : std::next(at);
  }
  if (at == buckets_.end()) looked_at_.reset();
}

}  // namespace wsr::memory
