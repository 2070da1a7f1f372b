// The rates, as every backend must keep them: buckets of tokens that all servers share.
#include <vector>

#include "tests/contract/harness.hpp"

namespace wsr::contract {
namespace {

using std::chrono::microseconds;

const RateKey ada{RateKey::Kind::client, "ada"};

Taken take(Harness& h, int n, const RateKey& key, const RateLimit& limit) { return h.ask(n, TakeCall{key, limit}); }

/// Asks servers 1 to 3 in turn until one refuses.
int take_all(Harness& h, const RateKey& key, const RateLimit& limit) {
  int taken = 0;
  while (take(h, taken % 3 + 1, key, limit).result == Errc::ok) REQUIRE(++taken < 10'000);
  return taken;
}

/// Rounded up to what a world can run for.
milliseconds at_least(microseconds time) { return std::chrono::ceil<milliseconds>(time); }

SENTENCE("a bucket begins full: a burst passes, whichever servers ask") {
  CONTRACT_HARNESS(h);
  CHECK(take_all(h, ada, {1, 1h, 7}) == 7);
  CHECK(take_all(h, ada, {1, 1h, 7}) == 0);
}

SENTENCE("without a burst of its own a bucket holds what a window brings") {
  CONTRACT_HARNESS(h);
  CHECK(take_all(h, ada, {5, 1h, 0}) == 5);
}

SENTENCE("a refused call says when the next token is there, and then it is") {
  CONTRACT_HARNESS(h);
  const RateLimit limit{1, 300ms, 1};
  REQUIRE(take(h, 1, ada, limit).result == Errc::ok);
  for (int round = 0; round < 3; ++round) {
    const Taken refused = take(h, 2, ada, limit);
    REQUIRE(refused.result == Errc::rate_limited);
    CHECK(refused.retry_after > 0us);
    CHECK(refused.retry_after <= 300ms);
    if (h.is_time_virtual()) CHECK(refused.retry_after == 300ms);
    h.run_for(at_least(refused.retry_after));
    CHECK(take(h, 1, ada, limit).result == Errc::ok);
  }
}

SENTENCE("a token is not there before its time") {
  CONTRACT_HARNESS(h);
  const RateLimit limit{1, 400ms, 1};
  REQUIRE(take(h, 1, ada, limit).result == Errc::ok);
  const Taken first = take(h, 1, ada, limit);
  h.run_for(100ms);
  const Taken second = take(h, 1, ada, limit);
  REQUIRE(second.result == Errc::rate_limited);
  CHECK(second.retry_after <= first.retry_after - 100ms);
  if (h.is_time_virtual()) {
    CHECK(second.retry_after == 300ms);
    h.run_for(299ms);
    CHECK(take(h, 1, ada, limit).retry_after == 1ms);
  }
}

SENTENCE("over any time servers together admit what the rate brings and the burst, and no more") {
  CONTRACT_HARNESS(h);
  const RateLimit limit{50, 1s, 5};  // a token each 20 ms
  const StoreTime begin = h.now();
  int taken = take_all(h, ada, limit);
  while (h.now() < begin + 1s) {
    h.run_for(7ms);
    taken += take_all(h, ada, limit);
  }
  const StoreTime end = h.now();
  const auto brought = (end - begin).count() * 50 / 1'000'000;
  CHECK(taken <= 5 + brought);
  // In real time the first call comes a little after `begin`, the last one a little before `end`.
  CHECK(taken >= 5 + brought - (h.is_time_virtual() ? 0 : 3));
}

SENTENCE("a rest fills a bucket up to its burst and never beyond") {
  CONTRACT_HARNESS(h);
  const RateLimit limit{100, 1s, 3};
  REQUIRE(take_all(h, ada, limit) >= 3);
  h.run_for(200ms);  // brings twenty
  const int taken = take_all(h, ada, limit);
  CHECK(taken >= 3);
  if (h.is_time_virtual()) CHECK(taken == 3);
  CHECK(taken <= 5);  // in real time one or two more come while we ask
}

SENTENCE("clients, rooms and names do not share a bucket") {
  CONTRACT_HARNESS(h);
  const RateLimit limit{1, 1h, 1};
  for (const char* name : {"ada", "bob", "0", "a b", "{x}", "%7Bx%7D", "\xC3\xA4:}\""}) {
    INFO("the name " << name);
    CHECK(take_all(h, {RateKey::Kind::client, name}, limit) == 1);
    CHECK(take_all(h, {RateKey::Kind::room, name}, limit) == 1);
  }
}

SENTENCE("the largest limits are exact") {
  CONTRACT_HARNESS(h);
  const RateLimit limit{1'000'000, 1h, 1};  // a token each 3600 us
  REQUIRE(take(h, 1, ada, limit).result == Errc::ok);
  const Taken refused = take(h, 1, ada, limit);
  if (refused.result == Errc::rate_limited) CHECK(refused.retry_after <= 3'600us);
  if (h.is_time_virtual()) CHECK(refused.retry_after == 3'600us);
  const RateLimit slow{1, 1h, 1'000'000};
  const RateKey bob{RateKey::Kind::client, "bob"};
  for (int i = 0; i < 100; ++i) REQUIRE(take(h, 1, bob, slow).result == Errc::ok);
}

SENTENCE("a limit that is off admits everything") {
  CONTRACT_HARNESS(h);
  for (int i = 0; i < 10; ++i) CHECK(take(h, 1, ada, {}).result == Errc::ok);
}

}  // namespace
}  // namespace wsr::contract
