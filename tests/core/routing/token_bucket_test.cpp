#include "core/routing/token_bucket.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace wsr {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;

constexpr StoreTime start{1'700'000'000s};

int take_all(TokenBucket& bucket, const RateLimit& limit, StoreTime now) {
  int taken = 0;
  while (bucket.take(limit, now).result == Errc::ok) ++taken;
  return taken;
}

TEST_CASE("a bucket that was never asked holds its burst and is full") {
  TokenBucket bucket;
  const RateLimit limit{10, 1s, 4};
  CHECK(bucket.is_full(limit, start));
  CHECK(take_all(bucket, limit, start) == 4);
  CHECK_FALSE(bucket.is_full(limit, start));
}

TEST_CASE("without a burst of its own a bucket holds as much as a window brings") {
  TokenBucket bucket;
  CHECK(take_all(bucket, {7, 1s, 0}, start) == 7);
}

TEST_CASE("a refused call says to the microsecond when the next token is there") {
  TokenBucket bucket;
  const RateLimit limit{3, 1s, 1};
  REQUIRE(bucket.take(limit, start).result == Errc::ok);
  const Taken refused = bucket.take(limit, start);
  CHECK(refused.result == Errc::rate_limited);
  CHECK(refused.retry_after == 333'334us);  // a third of a second, rounded up
  CHECK(bucket.take(limit, start + 333'333us).retry_after == 1us);
  CHECK(bucket.take(limit, start + 333'334us).result == Errc::ok);
}

TEST_CASE("what a rounding leaves over is kept and no token is lost over time") {
  TokenBucket bucket;
  const RateLimit limit{7, 1ms, 2};  // a token each 142.857 us
  int taken = take_all(bucket, limit, start);
  for (int us = 1; us <= 1'000'000; ++us) taken += take_all(bucket, limit, start + microseconds{us});
  CHECK(taken == 2 + 7'000);
}

TEST_CASE("refused calls cost nothing and being asked often brings nothing") {
  TokenBucket bucket;
  const RateLimit limit{10, 1s, 5};
  int taken = 0;
  for (int us = 0; us <= 2'000'000; us += 37) {
    for (int i = 0; i < 3; ++i) taken += bucket.take(limit, start + microseconds{us}).result == Errc::ok ? 1 : 0;
  }
  CHECK(taken == 5 + 19);  // the last microsecond asked is short of 2 s
}

TEST_CASE("a window's edge brings nothing: no span admits more than its share and the burst") {
  TokenBucket bucket;
  const RateLimit limit{100, 1s, 100};
  std::vector<int> per_ms;
  for (int ms = 0; ms < 3'000; ++ms) per_ms.push_back(take_all(bucket, limit, start + 1ms * ms));
  for (int from = 0; from < 2'000; from += 50) {
    int sum = 0;
    for (int ms = from; ms < from + 1'000; ++ms) sum += per_ms[static_cast<std::size_t>(ms)];
    CHECK(sum <= 200);
  }
}

TEST_CASE("a bucket is full at the very microsecond at which its last part is there") {
  TokenBucket bucket;
  const RateLimit limit{3, 1s, 2};
  REQUIRE(take_all(bucket, limit, start) == 2);
  CHECK_FALSE(bucket.is_full(limit, start + 666'666us));
  CHECK(bucket.is_full(limit, start + 666'667us));
  CHECK(bucket.is_full(limit, start + 24h * 10'000));
  CHECK(take_all(bucket, limit, start + 24h * 10'000) == 2);
}

TEST_CASE("time that runs backwards stands still") {
  TokenBucket bucket;
  const RateLimit limit{1, 1s, 1};
  REQUIRE(bucket.take(limit, start).result == Errc::ok);
  CHECK(bucket.take(limit, start - 10s).retry_after == 1s);
  CHECK(bucket.take(limit, start + 999'999us).result == Errc::rate_limited);
  CHECK(bucket.take(limit, start + 1s).result == Errc::ok);
}

TEST_CASE("the largest limits stay below 53 bits and are exact") {
  TokenBucket bucket;
  const RateLimit limit{1'000'000, 1h, 1'000'000};
  REQUIRE(take_all(bucket, limit, start) == 1'000'000);
  CHECK(bucket.take(limit, start).retry_after == 3'600us);
  CHECK(bucket.take(limit, start + 3'599us).result == Errc::rate_limited);
  CHECK(bucket.take(limit, start + 3'600us).result == Errc::ok);
  CHECK(take_all(bucket, limit, start + 2h) == 1'000'000);
}

TEST_CASE("a limit that was lowered holds at once") {
  TokenBucket bucket;
  REQUIRE(bucket.take({100, 1s, 100}, start).result == Errc::ok);
  CHECK(take_all(bucket, {10, 1s, 10}, start) == 10);
}

TEST_CASE("a limit that is off admits everything") {
  TokenBucket bucket;
  for (int i = 0; i < 100; ++i) REQUIRE(bucket.take({}, start).result == Errc::ok);
  CHECK(bucket.is_full({}, start));
}

}  // namespace
TEST_CASE("in a table of buckets each name has its own, and a limit that is off keeps none") {
  BucketTable table;
  const RateLimit limit{1, 1s, 2};
  CHECK(table.take("ada", limit, start).result == Errc::ok);
  CHECK(table.take("ada", limit, start).result == Errc::ok);
  CHECK(table.wait("ada", limit, start) == 1s);
  CHECK(table.wait("ada", limit, start) == 1s);  // asking takes nothing
  CHECK(table.take("ada", limit, start).retry_after == 1s);
  CHECK(table.take("bob", limit, start).result == Errc::ok);
  CHECK(table.wait("eve", limit, start).count() == 0);
  for (int i = 0; i < 100; ++i) CHECK(table.take("nobody" + std::to_string(i), {}, start).result == Errc::ok);
  CHECK(table.size() == 2);
}

TEST_CASE("a table of buckets never holds more than its bound, and forgets the full ones first") {
  BucketTable table;
  const RateLimit limit{1, 1s, 2};
  for (std::size_t i = 0; i < BucketTable::buckets_max - 1; ++i) {
    (void)table.take("n" + std::to_string(i), limit, start);
  }
  CHECK(table.take("late", limit, start + 10s).result == Errc::ok);
  CHECK(table.size() == BucketTable::buckets_max);
  CHECK(table.take("later", limit, start + 10s).result == Errc::ok);
  CHECK(table.size() == 2);  // those of ten seconds ago were full again
}

}  // namespace wsr
