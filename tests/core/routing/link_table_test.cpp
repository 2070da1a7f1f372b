#include "core/routing/link_table.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

using namespace wsr;

namespace {

class StillClock final : public Clock {
public:
  Time now() const override { return {}; }
  StoreTime store_now() const override { return {}; }
};

struct Table {
  StillClock clock;
  LinkTable links{LinkContext{ShardAddress{ServerId::trusted("here~1"), 0}, {}, {}, clock}};
  LinkTable::Entry to(const std::string& server) { return links.to(ShardAddress{ServerId::trusted(server), 0}); }
};

std::vector<LinkTable::Index> copy(std::span<const LinkTable::Index> taken) { return {taken.begin(), taken.end()}; }
using Indexes = std::vector<LinkTable::Index>;

}  // namespace

TEST_CASE("a link is on a list once, however often it is put there, and again after it was taken") {
  Table table;
  const auto a = table.to("a~1"), b = table.to("b~1");
  table.links.touch(b);
  table.links.touch(a);
  table.links.touch(b);
  CHECK(copy(table.links.take_dirty()) == Indexes{b.index, a.index});  // in the order of their first touch
  CHECK(table.links.take_dirty().empty());
  table.links.touch(b);
  CHECK(copy(table.links.take_dirty()) == Indexes{b.index});
}

TEST_CASE("the watched and the owing come in the order of their indexes, each list for itself") {
  Table table;
  const auto a = table.to("a~1"), b = table.to("b~1"), c = table.to("c~1");
  for (const auto& each : {c, a, b, a}) table.links.watch(each);
  table.links.owe_account(c);
  table.links.owe_account(b);
  CHECK(copy(table.links.take_watched()) == Indexes{a.index, b.index, c.index});
  CHECK(copy(table.links.take_owing()) == Indexes{b.index, c.index});
  CHECK(table.links.take_dirty().empty());
}

TEST_CASE("what is put on a list while the one taken is walked comes with the next") {
  Table table;
  const auto a = table.to("a~1"), b = table.to("b~1");
  table.links.watch(a);
  table.links.watch(b);
  Indexes seen;
  for (const auto index : table.links.take_watched()) {
    seen.push_back(index);
    table.links.watch({index, *table.links.at(index)});
  }
  CHECK(seen == Indexes{a.index, b.index});
  CHECK(copy(table.links.take_watched()) == seen);
}

TEST_CASE("a link dropped while it is listed: its index may stand there, for nobody or for who came after") {
  Table table;
  const auto a = table.to("a~1");
  table.links.watch(a);
  table.links.touch(a);
  table.links.drop(a.index);
  CHECK(copy(table.links.take_dirty()) == Indexes{a.index});
  CHECK(table.links.at(a.index) == nullptr);

  const auto b = table.to("b~1");
  REQUIRE(b.index == a.index);  // reused
  table.links.watch(b);         // its own flag is not yet set: it stands there twice, which costs a look
  const auto taken = copy(table.links.take_watched());
  CHECK(std::count(taken.begin(), taken.end(), b.index) == 2);
  CHECK(table.links.take_watched().empty());
  table.links.watch(b);
  CHECK(copy(table.links.take_watched()) == Indexes{b.index});
}

TEST_CASE("what came over a link is remembered after its drop, for the last 4 096 peers") {
  Table table;
  for (std::uint64_t i = 1; i <= LinkTable::remembered_max + 10; ++i) {
    const auto entry = table.to("x" + std::to_string(i) + "~1");
    entry.link.resume(Link::Inbound{{}, i, 3});
    table.links.drop(entry.index);
  }
  CHECK(table.links.end() == 1);  // one index for all of them
  const auto base_of = [&](const std::string& server) { return table.to(server).link.inbound().base; };
  CHECK(base_of("x10~1") == 0);
  CHECK(base_of("x11~1") == 11);
  CHECK(base_of("x4106~1") == 4'106);
}
