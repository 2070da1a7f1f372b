#include "core/net/local_owners.hpp"

#include <catch2/catch.hpp>

using namespace wsr;
using wsr::net::LocalOwners;

namespace {

const auto ada = ClientId::trusted("ada");

ClaimCall claim(ShardIndex shard, std::uint64_t conn, int accepted_us) {
  ClaimCall request;
  request.client = ada;
  request.at = Attachment{ServerId::trusted("s1~a"), shard, ConnId{conn}};
  request.accepted_at = StoreTime{std::chrono::microseconds{accepted_us}};
  return request;
}

}  // namespace

TEST_CASE("a client is found here from its claim until its release") {
  LocalOwners owners;
  CHECK_FALSE(owners.find(ada));
  owners.on_claim(Ticket{1}, claim(0, 7, 100));
  REQUIRE(owners.find(ada));
  owners.on_claimed(Ticket{1}, Claimed{.result = Errc::ok, .epoch = Epoch{42}, .displaced = {}, .detail = {}});
  CHECK(owners.find(ada)->epoch == Epoch{42});
  owners.forget(0, ConnId{7});
  CHECK_FALSE(owners.find(ada));
}

TEST_CASE("the newest connection of a client counts, and the end of an older one changes nothing") {
  LocalOwners owners;
  owners.on_claim(Ticket{1}, claim(0, 7, 100));
  owners.on_claim(Ticket{2}, claim(1, 7, 200));
  CHECK(owners.find(ada)->at.shard == 1);
  owners.forget(0, ConnId{7});
  CHECK(owners.find(ada)->at.shard == 1);
  owners.on_claim(Ticket{3}, claim(0, 7, 100));  // re-asserted late
  CHECK(owners.find(ada)->at.shard == 1);
}

TEST_CASE("a refused claim is forgotten, one that the store could not answer is kept") {
  LocalOwners owners;
  owners.on_claim(Ticket{1}, claim(0, 7, 100));
  owners.on_claimed(Ticket{1}, Claimed{.result = Errc::unavailable, .epoch = {}, .displaced = {}, .detail = {}});
  CHECK(owners.find(ada));
  owners.on_claim(Ticket{2}, claim(0, 7, 100));
  owners.on_claimed(Ticket{2}, Claimed{.result = Errc::superseded, .epoch = {}, .displaced = {}, .detail = {}});
  CHECK_FALSE(owners.find(ada));
  CHECK(owners.size() == 0);
}
