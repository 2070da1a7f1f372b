#include "core/net/local_first.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/wire/envelope.hpp"

namespace wsr::net {
namespace {

using namespace std::chrono_literals;

const ServerId self = ServerId::trusted("web-1~1");
const ClientId ada = ClientId::trusted("ada");
const Channel own_inbox{ChannelKind::inbox, self.str()};
const Channel hall{ChannelKind::room, "hall"};
constexpr std::uint8_t keeper = 255;

/// The store behind it, and two shards in front of it.
struct World final : Store, Siblings {
  explicit World(SessionPolicy policy = SessionPolicy::single) : local(*this, self, policy, *this) {}

  void call(Ticket ticket, StoreCall&& call) override { asked.emplace_back(ticket, std::move(call)); }
  std::size_t sibling_count() const override { return 2; }
  void give_answer(std::uint8_t shard, Ticket ticket, Answer&& answer) override {
    answers.push_back({shard, ticket, std::move(answer)});
  }
  void give_batch(std::uint16_t shard, std::string batch, std::function<void()> on_taken) override {
    batches.push_back({shard, std::move(batch), std::move(on_taken)});
  }

  bool hand_over(std::uint8_t from, Channel channel, std::string payload) {
    StoreCall publish = PublishCall{std::move(channel), std::move(payload)};
    return local.hand_over(from, Ticket{7}, publish);
  }
  static std::string batch_for(std::uint16_t shard) {
    BatchWriter batch(self.view(), 0, shard, 1, 1);
    batch.add(EntryAccountWanted{});
    return batch.finish({}, self.view(), 0ms);
  }
  static Ticket of_shard(std::uint8_t shard) { return Ticket{1}.with_driver(shard); }
  static Attachment at(ShardIndex shard) { return {self, shard, ConnId::make(1, shard)}; }

  struct Given {
    std::uint8_t shard;
    Ticket ticket;
    Answer answer;
  };
  struct Batched {
    std::uint16_t shard;
    std::string batch;
    std::function<void()> on_taken;
  };
  std::vector<std::pair<Ticket, StoreCall>> asked;
  std::vector<Given> answers;
  std::vector<Batched> batches;
  LocalFirst local;
};

TEST_CASE("a batch for another shard of this server goes to it, and is answered when it has been taken") {
  World world;
  REQUIRE(world.hand_over(0, own_inbox, World::batch_for(1)));
  CHECK(world.asked.empty());
  REQUIRE(world.batches.size() == 1);
  CHECK(world.batches[0].shard == 1);
  CHECK(world.batches[0].batch == World::batch_for(1));
  CHECK(world.answers.empty());

  world.batches[0].on_taken();
  REQUIRE(world.answers.size() == 1);
  CHECK(world.answers[0].shard == 0);
  CHECK(world.answers[0].ticket == Ticket{7});
  CHECK(std::get<Published>(world.answers[0].answer).receivers == 1);
}

TEST_CASE("a batch for a shard that this server does not have reaches nobody") {
  World world;
  REQUIRE(world.hand_over(1, own_inbox, World::batch_for(2)));
  CHECK(world.batches.empty());
  REQUIRE(world.answers.size() == 1);
  CHECK(std::get<Published>(world.answers[0].answer).receivers == 0);
}

TEST_CASE("what is for other servers, for a room, or probes the own inbox is not handed over") {
  World world;
  CHECK_FALSE(world.hand_over(0, Channel{ChannelKind::inbox, "web-2~1"}, World::batch_for(1)));
  CHECK_FALSE(world.hand_over(0, Channel{ChannelKind::room, self.str()}, World::batch_for(1)));
  CHECK_FALSE(world.hand_over(keeper, own_inbox, World::batch_for(1)));
  StoreCall lookup = LookupCall{ada};
  CHECK_FALSE(world.local.hand_over(0, Ticket{7}, lookup));
  CHECK(world.batches.empty());
  CHECK(world.answers.empty());
}

TEST_CASE("a client that is attached here is found without the store, until its row is released") {
  World world;
  world.local.call(World::of_shard(1), ClaimCall{.client = ada, .at = World::at(1)});
  REQUIRE(world.asked.size() == 1);  // the claim itself is the store's

  world.local.call(World::of_shard(0), LookupCall{ada});
  CHECK(world.asked.size() == 1);
  REQUIRE(world.answers.size() == 1);
  CHECK(world.answers[0].shard == 0);
  CHECK(world.answers[0].ticket == Ticket{1});
  const auto& owners = std::get<Owners>(world.answers[0].answer);
  REQUIRE(owners.rows.size() == 1);
  CHECK(owners.rows[0].at == World::at(1));

  world.local.call(World::of_shard(1), ReleaseCall{ada, World::at(1)});
  world.local.call(World::of_shard(0), LookupCall{ada});
  CHECK(world.asked.size() == 3);
}

TEST_CASE("with several devices the store is always asked where they are") {
  World world{SessionPolicy::multi};
  world.local.call(World::of_shard(1), ClaimCall{.client = ada, .at = World::at(1), .policy = SessionPolicy::multi});
  world.local.call(World::of_shard(0), LookupCall{ada});
  CHECK(world.asked.size() == 2);
  CHECK(world.answers.empty());
}

TEST_CASE("a room's channel is given up after the last shard that wants it") {
  World world;
  world.local.call(World::of_shard(0), SubscribeCall{hall});
  world.local.call(World::of_shard(1), SubscribeCall{hall});
  world.local.call(World::of_shard(1), SubscribeCall{hall});  // asked again: still once
  CHECK(world.asked.size() == 3);                             // each answer says that the subscription stands
  REQUIRE(world.local.shards_in("hall") != nullptr);
  CHECK(*world.local.shards_in("hall") == std::vector<std::uint8_t>{0, 1});

  world.local.call(World::of_shard(1), UnsubscribeCall{hall});
  CHECK(world.asked.size() == 3);
  REQUIRE(world.answers.size() == 1);
  CHECK(world.answers[0].shard == 1);

  world.local.call(World::of_shard(0), UnsubscribeCall{hall});
  CHECK(world.asked.size() == 4);
  CHECK(world.local.shards_in("hall") == nullptr);
}

}  // namespace
}  // namespace wsr::net
