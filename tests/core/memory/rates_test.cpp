#include "core/memory/rates.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

namespace wsr::memory {
namespace {

using namespace std::chrono_literals;

constexpr StoreTime start{1'700'000'000s};

RateKey client(int i) { return {RateKey::Kind::client, "c" + std::to_string(i)}; }

TEST_CASE("full buckets are forgotten in passing, so a store full of visitors of once stays small") {
  RateTable rates;
  const RateLimit limit{10, 1s, 10};  // full again 100 ms after one token was taken
  std::size_t largest = 0;
  for (int i = 0; i < 100'000; ++i) {
    CHECK(rates.take(client(i), limit, start + 1ms * i).result == Errc::ok);
    largest = std::max(largest, rates.size());
  }
  CHECK(largest <= 400);  // about a hundred at a time are not full
}

TEST_CASE("a bucket that is not full is never forgotten") {
  RateTable rates;
  const RateLimit slow{1, 1h, 1};
  REQUIRE(rates.take(client(0), slow, start).result == Errc::ok);
  for (int i = 1; i <= 1'000; ++i) {
    CHECK(rates.take(client(i), {1'000, 1s, 1}, start + 1s * i).result == Errc::ok);
    CHECK(rates.take(client(0), slow, start + 1s * i).result == Errc::rate_limited);
  }
  CHECK(rates.take(client(0), slow, start + 1h).result == Errc::ok);
}

}  // namespace
}  // namespace wsr::memory
